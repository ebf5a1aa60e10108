"""Glob patterns: `*` is any run of characters, `?` is exactly one.

A pattern is cut at its stars; the first chunk must begin the text, the last must end it, and each chunk between is
taken at its leftmost place. Leftmost is always enough for a glob, so nothing is ever tried twice: a hostile pattern
costs at most (length of text x longest chunk) steps in C, however many wildcards it has.

Left out on purpose: character classes and escapes. A star meant literally arrives as a `Literal`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Matcher = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Literal:
    """Text in which `*` and `?` stand for themselves: `${*}`, or the value of a policy variable."""

    text: str


Pieces = Iterable[str | Literal]


class _Chunk:
    """What stands between two stars: literals, with one arbitrary character between neighbours."""

    __slots__ = ("_literal", "_pattern", "width")

    def __init__(self, literals: list[str]) -> None:
        self.width = sum(map(len, literals)) + len(literals) - 1
        self._literal = literals[0]
        # No quantifier is ever in this expression, so `re` has nothing to backtrack over.
        self._pattern = re.compile(".".join(map(re.escape, literals)), re.DOTALL) if len(literals) > 1 else None

    def at(self, text: str, position: int) -> bool:
        if self._pattern is None:
            return text.startswith(self._literal, position)
        return self._pattern.match(text, position) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self._pattern is None:
            return text.find(self._literal, start, end)
        found = self._pattern.search(text, start, end)
        return -1 if found is None else found.start()


def compile_glob(pieces: Pieces) -> Matcher:
    """A case-sensitive test of whole strings against a pattern; wildcards count in its `str` pieces only."""
    chunks = _cut_at_stars(pieces)
    if len(chunks) == 1:
        return _whole(chunks[0])
    if len(chunks) == 2 and len(chunks[0]) == 1 and chunks[1] == [""]:
        prefix = chunks[0][0]
        return lambda text: text.startswith(prefix)
    if all(len(chunk) == 1 for chunk in chunks):
        return _literals_around_stars([chunk[0] for chunk in chunks])
    return _around_stars(chunks)


def compile_exact(pieces: Pieces) -> Matcher:
    """A test of whole strings against the text that `pieces` spell, no wildcard in it, case-sensitively."""
    return spell(pieces).__eq__


def spell(pieces: Pieces) -> str:
    """The text of `pieces`, wildcards taken literally."""
    return "".join(piece if isinstance(piece, str) else piece.text for piece in pieces)


def _cut_at_stars(pieces: Pieces) -> list[list[str]]:
    """Chunks between stars, each a list of the literals between its question marks."""
    chunks = [[""]]
    for piece in pieces:
        if isinstance(piece, Literal):
            chunks[-1][-1] += piece.text
            continue
        for star, section in enumerate(piece.split("*")):
            if star:
                chunks.append([""])
            first, *others = section.split("?")
            chunks[-1][-1] += first
            chunks[-1].extend(others)
    return chunks


def _whole(literals: list[str]) -> Matcher:
    if len(literals) == 1:
        return literals[0].__eq__
    chunk = _Chunk(literals)
    return lambda text: len(text) == chunk.width and chunk.at(text, 0)


def _literals_around_stars(literals: list[str]) -> Matcher:
    """The general test below without its question marks: the common case, without a call for each chunk."""
    prefix, *between, suffix = literals
    middle = tuple((literal, len(literal)) for literal in between if literal)
    start, tail, least = len(prefix), len(suffix), sum(map(len, literals))

    def match(text: str) -> bool:
        if len(text) < least or not text.startswith(prefix) or not text.endswith(suffix):
            return False
        position, end = start, len(text) - tail
        for literal, width in middle:
            position = text.find(literal, position, end)
            if position < 0:
                return False
            position += width
        return True

    return match


def _around_stars(chunks: list[list[str]]) -> Matcher:
    first, *middle, last = (
        _Chunk(chunk) for chunk in chunks if chunk != [""] or chunk is chunks[0] or chunk is chunks[-1]
    )
    least = first.width + sum(chunk.width for chunk in middle) + last.width

    def match(text: str) -> bool:
        end = len(text) - last.width
        if len(text) < least or not first.at(text, 0) or not last.at(text, end):
            return False
        position = first.width
        for chunk in middle:
            position = chunk.find(text, position, end)
            if position < 0:
                return False
            position += chunk.width
        return True

    return match
