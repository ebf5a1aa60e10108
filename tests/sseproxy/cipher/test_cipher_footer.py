"""The footer: what it holds, and every way in which it can be untrue."""

from dataclasses import replace

import pytest

from sseproxy.cipher.derive import FOOTER_NUMBER, ObjectKey
from sseproxy.cipher.errors import BadFooter, BadLayout
from sseproxy.cipher.footer import Footer, PartEntry, Tag, open_footer, open_tail, seal_footer, tail
from sseproxy.cipher.geometry import MIN_PART, footer_size, object_size, sealed_size
from sseproxy.cipher.stream import ObjectSealer

OEK = ObjectKey(bytes(range(32)))
SALT = b"the footer's one"
PART = b"the part's salt."
SINGLE = Footer(False, 10, (PartEntry(0, 10, PART, b"\1\2\3\4".ljust(64, b"\0")),), {Tag.CRC32: b"\1\2\3\4", 32: b"F"})
PARTS = (
    PartEntry(2, MIN_PART, PART, bytes(64)),
    PartEntry(3, MIN_PART + 7, PART, bytes(64)),
    PartEntry(9, 1, PART, bytes(64)),
)
MANY = Footer(True, 2 * MIN_PART + 8, PARTS, {Tag.MD5: bytes(16), Tag.SHA512: bytes(64)})


def sealed(footer: Footer) -> bytes:
    return seal_footer(footer, OEK, SALT)[:-16]


def seal_raw(plaintext: bytes) -> bytes:
    """A footer that our own sealer would not make."""
    sealer = ObjectSealer(OEK, FOOTER_NUMBER, SALT)
    return bytes(sealer.update(plaintext) + sealer.finish())


def plaintext(tlv: bytes = b"", *, version: int = 1, kind: int = 0, zeros: int = 0, count: int = 1) -> bytes:
    block = bytes((version, kind)) + zeros.to_bytes(2, "big") + count.to_bytes(4, "big") + (10).to_bytes(8, "big")
    return block + tlv.ljust(240, b"\0") + bytes(2) + (10).to_bytes(6, "big") + PART + bytes(64)


@pytest.mark.parametrize("footer", [SINGLE, MANY])
def test_a_footer_comes_back_as_it_was(footer: Footer) -> None:
    assert open_footer(sealed(footer), OEK, object_size(footer.size)) == footer


def test_a_footer_of_ten_thousand_parts_comes_back_as_it_was() -> None:
    parts = tuple(PartEntry(n, MIN_PART, PART, bytes(64)) for n in range(1, 10_001))
    footer = Footer(True, 10_000 * MIN_PART, parts, {})
    assert open_footer(sealed(footer), OEK, object_size(footer.size)) == footer


def test_a_short_checksum_is_filled_with_zeros() -> None:
    footer = replace(SINGLE, parts=(replace(SINGLE.parts[0], checksum=b"\1\2\3\4"),))
    assert open_footer(sealed(footer), OEK, object_size(10)) == SINGLE


def test_the_tail_completes_the_object_to_its_lawful_size() -> None:
    for footer in (SINGLE, MANY):
        end = tail(footer, OEK, SALT)
        body = sum(sealed_size(part.length) for part in footer.parts)
        assert body + len(end) == object_size(footer.size)
        size = open_tail(end[-16:])
        assert size == footer_size(len(footer.parts))
        assert open_footer(end[-16 - size : -16], OEK, object_size(footer.size)) == footer


@pytest.mark.parametrize("at", range(16))
def test_a_flipped_byte_in_the_tail_is_refused(at: int) -> None:
    end = bytearray(seal_footer(SINGLE, OEK, SALT)[-16:])
    end[at] ^= 1
    with pytest.raises(BadFooter):
        open_tail(bytes(end))


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_tail_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadFooter):
        open_tail(seal_footer(SINGLE, OEK, SALT)[-length:] if length else b"")


@pytest.mark.parametrize("at", [0, 16, 17, 200, 350, -1])
def test_a_flipped_bit_in_the_footer_is_refused(at: int) -> None:
    end = bytearray(sealed(SINGLE))
    end[at] ^= 1
    with pytest.raises(BadFooter):
        open_footer(bytes(end), OEK, object_size(10))


@pytest.mark.parametrize("cut", [1, 16, 88])
def test_a_footer_that_is_cut_or_too_long_is_refused(cut: int) -> None:
    with pytest.raises(BadFooter):
        open_footer(sealed(MANY)[:-cut], OEK, object_size(MANY.size))
    with pytest.raises(BadFooter):
        open_footer(sealed(MANY) + bytes(cut), OEK, object_size(MANY.size))


def test_the_footer_of_another_object_is_refused() -> None:
    with pytest.raises(BadFooter):
        open_footer(sealed(SINGLE), ObjectKey(bytes(32)), object_size(10))


def test_a_part_does_not_pass_for_a_footer() -> None:
    sealer = ObjectSealer(OEK, 1, SALT)
    sealer.update(plaintext())
    with pytest.raises(BadFooter):
        open_footer(bytes(sealer.finish()), OEK, object_size(10))


@pytest.mark.parametrize("stored", [object_size(9), object_size(11), 0, object_size(10) + 1])
def test_a_stored_size_that_is_not_the_objects_is_refused(stored: int) -> None:
    with pytest.raises(BadLayout):
        open_footer(sealed(SINGLE), OEK, stored)


def test_a_dropped_last_part_is_told_by_the_stored_size() -> None:
    with pytest.raises(BadLayout):
        open_footer(sealed(MANY), OEK, object_size(MANY.size) - sealed_size(1))


CONTRADICTIONS = {
    "a size that is not the sum": replace(SINGLE, size=11),
    "no parts": replace(MANY, parts=(), size=0),
    "a single PUT with a part number": replace(SINGLE, parts=(replace(SINGLE.parts[0], number=1),)),
    "a single PUT of two parts": replace(MANY, multipart=False),
    "part number 0": replace(SINGLE, multipart=True),
    "part number 10,001": replace(SINGLE, multipart=True, parts=(replace(SINGLE.parts[0], number=10_001),)),
    "numbers that fall": replace(MANY, parts=(PARTS[1], PARTS[0], PARTS[2])),
    "a number twice": replace(MANY, parts=(PARTS[0], replace(PARTS[1], number=2), PARTS[2])),
    "a small part in the middle": replace(
        MANY, parts=(PARTS[0], replace(PARTS[2], number=3), replace(PARTS[1], number=9))
    ),
    "a short salt": replace(SINGLE, parts=(replace(SINGLE.parts[0], salt=b"short"),)),
    "a long checksum": replace(SINGLE, parts=(replace(SINGLE.parts[0], checksum=bytes(65)),)),
    "tag 0": replace(SINGLE, tlv={0: b""}),
    "tag 256": replace(SINGLE, tlv={256: b""}),
    "a long value": replace(SINGLE, tlv={1: bytes(256)}),
    "too many values": replace(SINGLE, tlv={tag: bytes(64) for tag in range(1, 5)}),
}


@pytest.mark.parametrize("footer", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_footer_that_contradicts_itself_is_not_sealed(footer: Footer) -> None:
    with pytest.raises(BadFooter):
        seal_footer(footer, OEK, SALT)
    with pytest.raises(BadFooter):
        tail(footer, OEK, SALT)


WRONG_TEXTS = {
    "version": plaintext(version=2),
    "kind": plaintext(kind=2),
    "multipart with number 0": plaintext(kind=1),
    "reserved": plaintext(zeros=1),
    "count": plaintext(count=2),
    "a tag twice": plaintext(b"\1\1x\1\1x"),
    "tags that fall": plaintext(b"\2\1x\1\1x"),
    "bytes after the end": plaintext(b"\0\1"),
    "a value that leaves the block": plaintext(bytes((1, 239)) + bytes(238)),
    "a tag without a length": plaintext(bytes((1, 237)) + bytes(237) + b"\2"),
}


@pytest.mark.parametrize("text", WRONG_TEXTS.values(), ids=WRONG_TEXTS.keys())
def test_a_sealed_footer_that_breaks_the_format_is_refused(text: bytes) -> None:
    with pytest.raises(BadFooter):
        open_footer(seal_raw(text), OEK, object_size(10))


def test_tags_of_a_later_day_and_full_blocks_are_read() -> None:
    footer = replace(SINGLE, tlv={77: b"later", 200: bytes(231)})
    assert open_footer(sealed(footer), OEK, object_size(10)).tlv == footer.tlv
