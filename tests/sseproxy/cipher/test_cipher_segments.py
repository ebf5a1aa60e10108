"""Segments one by one: what is accepted, and every neighbour that is not."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.cipher.derive import ObjectKey, part_key
from sseproxy.cipher.errors import BadSegment, CipherMisuse
from sseproxy.cipher.geometry import SEGMENT
from sseproxy.cipher.segments import PartOpener, PartSealer

OEK = ObjectKey(bytes(range(32)))
SALT = b"salt of attempt1"
OTHER = b"salt of attempt2"
TEXT = hashlib.shake_128(b"text").digest(2 * SEGMENT + 100)


def sealed(salt: bytes = SALT, number: int = 7, text: bytes = TEXT) -> list[bytes]:
    sealer = PartSealer(OEK, number, salt)
    cuts = range(0, len(text) or 1, SEGMENT)
    return [bytes(sealer.seal(text[at : at + SEGMENT], final=at == cuts[-1])) for at in cuts]


def opener(start: int = 0, salt: bytes | None = None, number: int = 7, p: int = len(TEXT)) -> PartOpener:
    return PartOpener(OEK, number, p=p, start=start, salt=salt)


def test_a_segment_is_salt_ciphertext_and_tag_under_the_written_nonce() -> None:
    aead = AESGCM(part_key(OEK, 7, SALT).reveal())
    first, _, last = sealed()
    assert first == SALT + aead.encrypt(bytes(12), TEXT[:SEGMENT], None)
    assert last == SALT + aead.encrypt(b"\0\1\0\0\0\0\0\0\0\0\0\2", TEXT[2 * SEGMENT :], None)


def test_the_segments_of_a_part_open_in_order() -> None:
    part = opener(salt=SALT)
    assert b"".join(part.open(segment) for segment in sealed()) == TEXT


def test_opening_may_begin_at_any_segment() -> None:
    assert opener(start=2).open(sealed()[2]) == TEXT[2 * SEGMENT :]


def test_an_empty_part_is_one_empty_final_segment() -> None:
    (only,) = sealed(text=b"")
    assert len(only) == 32
    assert opener(p=0).open(only) == b""
    with pytest.raises(BadSegment):
        opener(p=0).open(only[:-1] + bytes([only[-1] ^ 1]))


@pytest.mark.parametrize("at", [0, 15, 16, 40_000, -17, -16, -1])
def test_a_flipped_bit_in_salt_ciphertext_or_tag_is_refused(at: int) -> None:
    segment = bytearray(sealed()[0])
    segment[at] ^= 0x10
    with pytest.raises(BadSegment):
        opener().open(segment)


def test_swapped_segments_are_refused() -> None:
    with pytest.raises(BadSegment):
        opener().open(sealed()[1])


def test_a_repeated_segment_is_refused() -> None:
    part = opener()
    part.open(sealed()[0])
    with pytest.raises(BadSegment):
        part.open(sealed()[0])


def test_a_segment_after_the_final_one_is_refused() -> None:
    part = opener()
    for segment in sealed():
        part.open(segment)
    with pytest.raises(BadSegment):
        part.open(sealed()[2])


@pytest.mark.parametrize("length", [0, 16, 31, 32, 65_567])
def test_a_truncated_segment_is_refused(length: int) -> None:
    with pytest.raises(BadSegment):
        opener().open(sealed()[0][:length])


def test_a_part_cut_at_a_segment_boundary_is_refused() -> None:
    part = opener(p=2 * SEGMENT)
    part.open(sealed()[0])
    with pytest.raises(BadSegment):
        part.open(sealed()[1])


def test_a_final_segment_does_not_pass_for_an_inner_one() -> None:
    (only,) = sealed(text=TEXT[:SEGMENT])
    with pytest.raises(BadSegment):
        opener().open(only)


def test_a_segment_of_another_part_is_refused() -> None:
    with pytest.raises(BadSegment):
        opener(number=8).open(sealed()[0])


def test_a_segment_of_another_object_is_refused() -> None:
    other = PartOpener(ObjectKey(bytes(32)), 7, p=len(TEXT))
    with pytest.raises(BadSegment):
        other.open(sealed()[0])


def test_two_attempts_of_a_part_do_not_splice() -> None:
    part = opener()
    part.open(sealed(SALT)[0])
    with pytest.raises(BadSegment):
        part.open(sealed(OTHER)[1])


def test_an_attempt_that_the_footer_does_not_name_is_refused() -> None:
    with pytest.raises(BadSegment):
        opener(salt=SALT).open(sealed(OTHER)[0])


def test_after_a_refusal_the_right_segment_is_still_the_next() -> None:
    part = opener()
    with pytest.raises(BadSegment):
        part.open(sealed()[1])
    assert part.open(sealed()[0]) == TEXT[:SEGMENT]


@pytest.mark.parametrize(("length", "final"), [(SEGMENT - 1, False), (0, False), (SEGMENT + 1, True)])
def test_a_sealer_takes_only_whole_segments_before_the_final_one(length: int, final: bool) -> None:
    with pytest.raises(CipherMisuse):
        PartSealer(OEK, 1, SALT).seal(TEXT[:length], final=final)


def test_a_sealer_takes_nothing_after_the_final_segment() -> None:
    sealer = PartSealer(OEK, 1, SALT)
    sealer.seal(b"", final=True)
    with pytest.raises(CipherMisuse):
        sealer.seal(b"", final=True)
