"""The checksums of S3: ten algorithms, their header names, their streaming digests, and how parts make a whole.

Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3". A digest here is always raw bytes, big-endian;
base64 is the wire's affair (`encode`, `decode`). None of them protects against an adversary: the cipher room does that.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol

import xxhash
from awscrt import checksums as crt

from sseproxy.s3.errors import InvalidRequest

HEADER_PREFIX: Final = "x-amz-checksum-"


class Algorithm(StrEnum):
    """S3's ChecksumAlgorithm. XXHASH3 is the 64-bit XXH3, XXHASH128 the 128-bit one, all with seed 0."""

    CRC32 = "CRC32"
    CRC32C = "CRC32C"
    CRC64NVME = "CRC64NVME"
    SHA1 = "SHA1"
    SHA256 = "SHA256"
    SHA512 = "SHA512"
    MD5 = "MD5"
    XXHASH64 = "XXHASH64"
    XXHASH3 = "XXHASH3"
    XXHASH128 = "XXHASH128"

    @property
    def header(self) -> str:
        """The name of the header and of the trailer that carry it."""
        return HEADER_PREFIX + self.lower()


Buffer = bytes | bytearray | memoryview


class Digest(Protocol):
    """A checksum under way."""

    def update(self, data: Buffer, /) -> None:
        """Take in the next bytes."""
        ...

    def digest(self) -> bytes:
        """The checksum of all bytes so far."""
        ...


class _Crc:
    """A CRC under way; `step` continues one from its value so far."""

    __slots__ = ("_size", "_step", "_value")

    def __init__(self, step: Callable[[Buffer, int], int], size: int) -> None:
        self._step = step
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._step(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


_NEW: Final[dict[Algorithm, Callable[[], Digest]]] = {
    Algorithm.CRC32: lambda: _Crc(crt.crc32, 4),
    Algorithm.CRC32C: lambda: _Crc(crt.crc32c, 4),
    Algorithm.CRC64NVME: lambda: _Crc(crt.crc64nvme, 8),
    Algorithm.SHA1: lambda: hashlib.sha1(usedforsecurity=False),
    Algorithm.SHA256: hashlib.sha256,
    Algorithm.SHA512: hashlib.sha512,
    Algorithm.MD5: lambda: hashlib.md5(usedforsecurity=False),
    Algorithm.XXHASH64: xxhash.xxh64,
    Algorithm.XXHASH3: xxhash.xxh3_64,
    Algorithm.XXHASH128: xxhash.xxh3_128,
}
_COMBINE: Final[dict[Algorithm, Callable[[int, int, int], int]]] = {
    Algorithm.CRC32: crt.combine_crc32,
    Algorithm.CRC32C: crt.combine_crc32c,
    Algorithm.CRC64NVME: crt.combine_crc64nvme,
}
_SIZES: Final = {algorithm: len(new().digest()) for algorithm, new in _NEW.items()}
_BY_HEADER: Final = {algorithm.header: algorithm for algorithm in Algorithm}

FULL_OBJECT: Final = frozenset(_COMBINE)
"""What a multipart object can have over all of its bytes: the CRCs, since theirs combine."""
COMPOSITE: Final = frozenset(Algorithm) - {Algorithm.CRC64NVME}
"""What a multipart object can have as a checksum of checksums."""


def new_digest(algorithm: Algorithm) -> Digest:
    """A fresh digest of no bytes."""
    return _NEW[algorithm]()


def digest_size(algorithm: Algorithm) -> int:
    """Bytes of a digest."""
    return _SIZES[algorithm]


def by_header(name: str) -> Algorithm | None:
    """The algorithm whose (lower-case) header or trailer this is."""
    return _BY_HEADER.get(name)


def encode(digest: bytes) -> str:
    """A checksum as the wire has it."""
    return base64.b64encode(digest).decode("ascii")


def decode(algorithm: Algorithm, text: str, place: str = "header") -> bytes:
    """The checksum in a header or trailer (`place` is for the message); InvalidRequest if it is none of that size."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != _SIZES[algorithm]:
        raise InvalidRequest(f"Value for {algorithm.header} {place} is invalid.")
    return digest


def composite(algorithm: Algorithm, parts: Sequence[bytes]) -> str:
    """The COMPOSITE checksum of parts, as the wire has it: the checksum of their checksums, in order, `-`, how many."""
    whole = new_digest(algorithm)
    whole.update(b"".join(parts))
    return f"{encode(whole.digest())}-{len(parts)}"


def full_object(algorithm: Algorithm, parts: Iterable[tuple[bytes, int]]) -> bytes:
    """The checksum of all bytes, from each part's checksum and length in bytes; `algorithm` is one of FULL_OBJECT."""
    combine = _COMBINE[algorithm]
    value = 0
    for digest, length in parts:
        value = combine(value, int.from_bytes(digest, "big"), length)
    return value.to_bytes(_SIZES[algorithm], "big")
