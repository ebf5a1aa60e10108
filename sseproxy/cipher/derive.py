"""The keys of an object, all of them HKDF-SHA256 (RFC 5869): from the data key the key that seals the object key, and
from the object key everything that touches the body and the header.

Each `info` begins with its own label and ends in fields of fixed length, so no two purposes share a key. The object key
is 32 uniformly random bytes, which is why the extract step needs no random salt (RFC 5869, section 3.1).
"""

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from kms_core.crypto.secret import Secret
from sseproxy.cipher.errors import CipherMisuse

SUITE: Final = 1
"""AES-256-GCM segments under HKDF-SHA256 keys: the only suite there is."""
SALT: Final = 16
FOOTER_NUMBER: Final = 0xFFFF

_SHA256: Final = hashes.SHA256()
_KEY: Final = 32


def kek(dk: Secret, seal_salt: bytes, kind: int) -> Secret:
    """KEK: seals the object key under the data key `dk`. `seal_salt` is 32 bytes, fresh for every seal."""
    if len(seal_salt) != 32:
        raise CipherMisuse("sseproxy.cipher.derive: a seal salt has 32 bytes")
    return Secret(HKDF(_SHA256, _KEY, seal_salt, b"ssep/v1/kek" + kind.to_bytes(1)).derive(dk.reveal()))


def prk(oek: Secret) -> Secret:
    """PRK: the root of every key derived from the object key `oek` (32 bytes)."""
    if len(oek) != _KEY:
        raise CipherMisuse("sseproxy.cipher.derive: an object key has 32 bytes")
    return Secret(HKDF.extract(_SHA256, b"ssep/v1", oek.reveal()))


class ObjectKey(Secret):
    """OEK, 32 random bytes, with its PRK made once: envelope, body and footer all need it."""

    __slots__ = ("prk",)

    def __init__(self, value: bytes) -> None:
        super().__init__(value)
        self.prk: Final = prk(self)


def meta_key(oek: ObjectKey) -> Secret:
    """K_meta: authenticates the envelope, the headers and the user metadata."""
    return Secret(HKDFExpand(_SHA256, _KEY, b"ssep/v1/meta").derive(oek.prk.reveal()))


def part_key(oek: ObjectKey, number: int, salt: bytes) -> Secret:
    """K_part: seals the segments of part `number` (0 for a single PUT, 1 to 10,000, FOOTER_NUMBER) under that salt.

    `salt` is 16 bytes, fresh for every upload attempt: a key never sees two different bodies, so segment indices can
    serve as nonces.
    """
    if len(salt) != SALT:
        raise CipherMisuse("sseproxy.cipher.derive: a part salt has 16 bytes")
    info = b"ssep/v1/part" + SUITE.to_bytes(1) + number.to_bytes(2, "big") + salt
    return Secret(HKDFExpand(_SHA256, _KEY, info).derive(oek.prk.reveal()))
