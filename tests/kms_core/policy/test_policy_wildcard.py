"""Globs agree with a matcher too simple to be wrong, and stay cheap on patterns made to be dear."""

from hypothesis import given
from hypothesis import strategies as st

from kms_core.policy.wildcard import Literal, compile_exact, compile_glob


def naive(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return naive(pattern[1:], text) or (bool(text) and naive(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and naive(pattern[1:], text[1:])


@given(st.text("ab*?\n", max_size=8), st.text("ab\n", max_size=10))
def test_a_glob_agrees_with_the_naive_matcher(pattern, text):
    assert compile_glob((pattern,))(text) == naive(pattern, text)


@given(st.lists(st.tuples(st.booleans(), st.text("ab*?", max_size=3)), max_size=4), st.text("ab*?", max_size=8))
def test_a_literal_piece_matches_itself_alone(pieces, text):
    """Against the naive matcher, with a sign for each literal wildcard that the alphabet does not have."""
    signs = str.maketrans("*?", "\u2605\u2753")
    pattern = "".join(piece.translate(signs) if literal else piece for literal, piece in pieces)
    built = compile_glob(Literal(piece) if literal else piece for literal, piece in pieces)
    assert built(text) == naive(pattern, text.translate(signs))


def test_the_ends_of_a_pattern_may_not_overlap():
    assert not compile_glob(("aba*aba",))("ababa")
    assert compile_glob(("aba*aba",))("abaaba")


def test_two_chunks_do_not_share_a_character():
    for pattern, shared, apart in (("*a*a*", "ab", "aba"), ("*a?*a?*", "abbb", "abab")):
        assert not compile_glob((pattern,))(shared)
        assert compile_glob((pattern,))(apart)


def test_a_regular_expression_in_a_pattern_is_plain_text():
    assert compile_glob(("a.+?",))("a.+x")
    assert not compile_glob(("a.+?",))("aaaa")


def test_exact_text_has_no_wildcard():
    assert compile_exact(("a*", Literal("?")))("a*?")
    assert not compile_exact(("a*",))("ab")


def test_thousands_of_stars_end():
    assert not compile_glob(("*a" * 5000 + "b",))("a" * 5000)
    assert not compile_glob(("*a?" * 1000 + "b",))("a" * 5000)
    assert compile_glob(("*" * 20_000,))("a")
