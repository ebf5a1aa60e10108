"""The pipelines: any block size in, the same bytes out, and nothing unverified."""

import hashlib

import pytest

from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.errors import BadSegment, CipherMisuse
from sseproxy.cipher.geometry import SEALED_SEGMENT, SEGMENT, sealed_size, span
from sseproxy.cipher.segments import PartSealer
from sseproxy.cipher.stream import ObjectSealer, RangeOpener

OEK = ObjectKey(bytes(range(32)))
SALT = b"0123456789abcdef"
TEXT = hashlib.shake_128(b"stream").digest(4 * SEGMENT + 1000)
BLOCKS = [1000, SEGMENT - 1, SEGMENT, SEGMENT + 1, SEALED_SEGMENT, 3 * SEGMENT, 1 << 20]


def seal(text: bytes, block: int = 1 << 20) -> bytes:
    sealer = ObjectSealer(OEK, 3, SALT)
    out = b"".join(sealer.update(text[at : at + block]) for at in range(0, len(text), block))
    return out + sealer.finish()


def open_range(stored: bytes, p: int, first: int, last: int, block: int = 1 << 20, salt: bytes | None = None) -> bytes:
    part = span(p, first, last)
    opener = RangeOpener(OEK, 3, p, part, salt)
    wanted = stored[part.first : part.last + 1]
    out = b"".join(opener.update(wanted[at : at + block]) for at in range(0, len(wanted), block))
    opener.finish()
    return out


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("length", [0, 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, len(TEXT)])
def test_block_sizes_leave_no_trace_in_what_is_stored(length: int, block: int) -> None:
    text = TEXT[:length]
    sealer = PartSealer(OEK, 3, SALT)
    cuts = range(0, length or 1, SEGMENT)
    expected = b"".join(sealer.seal(text[at : at + SEGMENT], final=at == cuts[-1]) for at in cuts)
    stored = seal(text, block)
    assert stored == expected
    assert len(stored) == sealed_size(length)
    assert open_range(stored, length, 0, length - 1, block, SALT) == text


def test_a_full_segment_waits_until_it_is_known_not_to_be_the_last() -> None:
    sealer = ObjectSealer(OEK, 3, SALT)
    assert sealer.update(TEXT[:SEGMENT]) == b""
    assert sealer.update(b"") == b""
    assert len(sealer.update(b"x")) == SEALED_SEGMENT


def test_input_may_be_a_buffer_that_is_used_again() -> None:
    sealer = ObjectSealer(OEK, 3, SALT)
    buffer = bytearray(TEXT[:100])
    sealer.update(memoryview(buffer))
    buffer[:] = bytes(100)
    buffer.clear()
    assert sealer.finish() == seal(TEXT[:100])


def test_nothing_is_sealed_after_the_end() -> None:
    sealer = ObjectSealer(OEK, 3, SALT)
    sealer.finish()
    with pytest.raises(CipherMisuse):
        sealer.finish()


@pytest.mark.parametrize("block", [777, SEALED_SEGMENT, 1 << 20])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, 0),
        (5, 9),
        (SEGMENT - 1, SEGMENT),
        (SEGMENT, 2 * SEGMENT - 1),
        (100, len(TEXT) - 2),
        (4 * SEGMENT, len(TEXT) - 1),
    ],
)
def test_a_range_is_the_slice_of_the_text(first: int, last: int, block: int) -> None:
    assert open_range(seal(TEXT), len(TEXT), first, last, block) == TEXT[first : last + 1]


def test_nothing_of_a_tampered_segment_or_of_what_follows_leaves() -> None:
    stored = bytearray(seal(TEXT))
    stored[2 * SEALED_SEGMENT + 500] ^= 1
    opener = RangeOpener(OEK, 3, len(TEXT), span(len(TEXT), 0, len(TEXT) - 1), None)
    assert opener.update(stored[: 2 * SEALED_SEGMENT]) == TEXT[: 2 * SEGMENT]
    assert opener.update(stored[2 * SEALED_SEGMENT : 2 * SEALED_SEGMENT + 600]) == b""
    with pytest.raises(BadSegment):
        opener.update(stored[2 * SEALED_SEGMENT + 600 :])
    with pytest.raises(BadSegment):
        opener.finish()


@pytest.mark.parametrize("cut", [1, 16, 1000, SEALED_SEGMENT])
def test_a_body_that_ends_early_is_refused_at_the_end(cut: int) -> None:
    stored = seal(TEXT)
    opener = RangeOpener(OEK, 3, len(TEXT), span(len(TEXT), 0, len(TEXT) - 1), None)
    opener.update(stored[:-cut])
    with pytest.raises(BadSegment):
        opener.finish()


def test_more_bytes_than_the_span_has_are_refused() -> None:
    stored = seal(TEXT)
    opener = RangeOpener(OEK, 3, len(TEXT), span(len(TEXT), 0, 9), None)
    assert opener.update(stored[:SEALED_SEGMENT]) == TEXT[:10]
    with pytest.raises(BadSegment):
        opener.update(b"x")


def test_an_empty_part_is_verified_too() -> None:
    stored = seal(b"")
    assert open_range(stored, 0, 0, -1) == b""
    with pytest.raises(BadSegment):
        open_range(bytes([stored[0] ^ 1]) + stored[1:], 0, 0, -1)
    with pytest.raises(BadSegment):
        open_range(b"", 0, 0, -1)


def test_the_salt_of_another_attempt_is_refused() -> None:
    with pytest.raises(BadSegment):
        open_range(seal(TEXT), len(TEXT), 0, 9, salt=b"another attempt!")
