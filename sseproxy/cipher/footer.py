"""The footer: an object's true size, its parts' numbers, lengths, salts and checksums, sealed after the last part.

It is what makes a whole out of parts: a dropped, moved or superseded part contradicts it. Layout of the end of an
object: `zero pad || footer_ct || tail16`; the tail says where the footer begins. The pad's bytes carry nothing and are
not looked at; how many there are follows from the sizes.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from operator import ge
from typing import Final

from sseproxy.cipher.derive import FOOTER_NUMBER, SALT, ObjectKey
from sseproxy.cipher.errors import BadFooter, BadLayout, BadSegment
from sseproxy.cipher.geometry import (
    FOOTER_BLOCK,
    FOOTER_ENTRY,
    MAX_PARTS,
    TAIL,
    footer_parts,
    object_size,
    padding,
    span,
)
from sseproxy.cipher.stream import ObjectSealer, RangeOpener

_BLOCK: Final = struct.Struct(">BBHIQ240s")
_ENTRY: Final = struct.Struct(">HHI16s64s")
_TAIL: Final = struct.Struct(">4sB3sQ")
_TLV: Final = 240
_CHECKSUM: Final = 64
_VERSION: Final = 1


class Tag(IntEnum):
    """What a TLV value of the footer is: a checksum of the object, or the type of these checksums."""

    MD5 = 1
    CRC32 = 2
    CRC32C = 3
    CRC64NVME = 4
    SHA1 = 5
    SHA256 = 6
    SHA512 = 7
    XXHASH64 = 8
    XXHASH3 = 9
    XXHASH128 = 10
    CHECKSUM_TYPE = 32
    """`C` for composite, `F` for full object."""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part: `number` (0 for a single PUT), plaintext `length`, 16 bytes of `salt`, and its `checksum`, at most 64
    bytes. A footer that was read has 64, zero-filled on the right: the algorithm tells how many count."""

    number: int
    length: int
    salt: bytes
    checksum: bytes = b""


@dataclass(frozen=True, slots=True)
class Footer:
    """`size` is the plaintext's; `parts` in the order of the body; `tlv` by Tag (or a later tag, kept as it is)."""

    multipart: bool
    size: int
    parts: tuple[PartEntry, ...]
    tlv: Mapping[int, bytes]


def seal_footer(footer: Footer, oek: ObjectKey, salt: bytes) -> bytes:
    """`footer_ct || tail16`. `salt` is 16 fresh random bytes: a footer sealed again needs another. BadFooter if the
    footer contradicts itself."""
    _check(footer)
    return _seal(footer, oek, salt)


def tail(footer: Footer, oek: ObjectKey, salt: bytes) -> bytes:
    """`zero pad || footer_ct || tail16`: everything after the last part. As `seal_footer` otherwise."""
    pad = _check(footer)
    return bytes(pad) + _seal(footer, oek, salt)


def open_tail(tail16: bytes) -> int:
    """Size of footer_ct, from an object's last 16 bytes; BadFooter. Not authenticated: it says where to look, and a
    footer that begins elsewhere does not open."""
    if len(tail16) != TAIL:
        raise BadFooter("cut short")
    magic, version, zeros, size = _TAIL.unpack(tail16)
    if magic != b"SSEP" or version != _VERSION or zeros != bytes(3):
        raise BadFooter("not the tail of an object, or of a version not known here")
    _footer_parts(size)
    return int(size)


def open_footer(footer_ct: bytes, oek: ObjectKey, stored_size: int) -> Footer:
    """Open and check the footer of an object of `stored_size` bytes.

    BadFooter if it does not open or contradicts itself; BadLayout if an object of its size is not stored in
    `stored_size` bytes.
    """
    n_parts = _footer_parts(len(footer_ct))
    p = FOOTER_BLOCK + FOOTER_ENTRY * n_parts
    opener = RangeOpener(oek, FOOTER_NUMBER, p, span(p, 0, p - 1), None)
    try:
        plaintext = opener.update(footer_ct)
    except BadSegment as error:
        raise BadFooter("the footer does not verify") from error
    version, kind, zeros, count, size, tlv = _BLOCK.unpack_from(plaintext)
    if version != _VERSION or kind > 1 or zeros or count != n_parts:
        raise BadFooter("a version or kind that is not known here, or a wrong count")
    entries = _ENTRY.iter_unpack(memoryview(plaintext)[FOOTER_BLOCK:])
    parts = tuple(PartEntry(number, high << 32 | low, salt, checksum) for number, high, low, salt, checksum in entries)
    footer = Footer(bool(kind), size, parts, _unpack_tlv(tlv))
    _check(footer)
    if object_size(size) != stored_size:
        raise BadLayout("the stored size is not that of the object in the footer")
    return footer


def _seal(footer: Footer, oek: ObjectKey, salt: bytes) -> bytes:
    block = _BLOCK.pack(_VERSION, footer.multipart, 0, len(footer.parts), footer.size, _pack_tlv(footer.tlv))
    entries = [_ENTRY.pack(p.number, p.length >> 32, p.length & 0xFFFFFFFF, p.salt, p.checksum) for p in footer.parts]
    sealer = ObjectSealer(oek, FOOTER_NUMBER, salt)
    sealed = sealer.update(b"".join((block, *entries))) + sealer.finish()
    return bytes(sealed + _TAIL.pack(b"SSEP", _VERSION, bytes(3), len(sealed)))


def _footer_parts(sealed: int) -> int:
    try:
        return footer_parts(sealed)
    except BadLayout as error:
        raise BadFooter("no footer has this size") from error


def _check(footer: Footer) -> int:
    """What holds of every footer, made here or read; gives the size of the pad before it. BadFooter."""
    numbers = [part.number for part in footer.parts]
    if not footer.multipart:
        if numbers != [0]:
            raise BadFooter("a single PUT is one part with the number 0")
    elif not numbers or numbers[0] < 1 or numbers[-1] > MAX_PARTS or any(map(ge, numbers, numbers[1:])):
        raise BadFooter("part numbers are not ascending in 1 to 10,000")
    for part in footer.parts:
        if len(part.salt) != SALT or len(part.checksum) > _CHECKSUM:
            raise BadFooter("a salt or checksum of the wrong length")
    try:
        return padding(footer.size, [part.length for part in footer.parts])
    except BadLayout as error:
        raise BadFooter("the parts do not make up the object") from error


def _pack_tlv(tlv: Mapping[int, bytes]) -> bytes:
    packed = bytearray()
    for tag, value in sorted(tlv.items()):
        if not 1 <= tag <= 255 or len(value) > 255:
            raise BadFooter("a tag or value that does not fit")
        packed += bytes((tag, len(value))) + value
    if len(packed) > _TLV:
        raise BadFooter("more than 240 bytes of checksums")
    return bytes(packed)


def _unpack_tlv(packed: bytes) -> dict[int, bytes]:
    """Tags ascend, so that none comes twice; the first zero ends them, and zeros fill the rest."""
    tlv: dict[int, bytes] = {}
    at = previous = 0
    while at < _TLV and packed[at]:
        tag = packed[at]
        end = at + 2 + packed[at + 1] if at + 1 < _TLV else _TLV + 1
        if tag <= previous or end > _TLV:
            raise BadFooter("checksums out of order, or longer than their space")
        tlv[tag] = packed[at + 2 : end]
        at, previous = end, tag
    if any(packed[at:]):
        raise BadFooter("bytes after the last checksum")
    return tlv
