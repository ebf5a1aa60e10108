"""The envelope: the sealed object key and the MAC over all that is known of an object before its body is read.

It lies with the object as base64url text. The seal binds the object key to the data key, the fixed fields and the
object's ARN; the MAC, under a key derived from the object key, covers these and the headers and user metadata. The MAC
commits to the key, which AES-GCM alone does not, so it is verified before any segment is opened. The wrapped data key
and its ARN are outside of both: KMS authenticates its own blob, and ReEncrypt must be able to replace it.

Double-layer encryption and sealed user metadata have their numbers reserved and are refused.
"""

import base64
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import SUITE, ObjectKey, kek, meta_key
from sseproxy.cipher.errors import BadEnvelope, CipherMisuse, MacMismatch, WrongKey
from sseproxy.cipher.geometry import MAX_PLAINTEXT

VERSION: Final = 1
MULTIPART: Final = 1
BUCKET_KEY: Final = 2
SYSTEM_HEADERS: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "x-amz-website-redirect-location",
)
"""The headers under the MAC, in its order."""

Headers = Sequence[tuple[str, str]]

_FIXED: Final = struct.Struct(">BBBB16sQ")
_KEY: Final = struct.Struct(">B32s48s")
_COUNTED_KEY: Final = struct.Struct(">BB32s48s")
_LENGTH: Final = struct.Struct(">H")
_MAC: Final = 32
_ABSENT: Final = b"\xff\xff"
_UNKNOWN_SIZE: Final = (1 << 64) - 1
_NONCE: Final = bytes(12)  # a KEK seals once: the seal salt is fresh


class Kind(IntEnum):
    """Whose data key it is; the same number names the object's encryption and the kind of each sealed key."""

    SSE_S3 = 1
    KMS = 2
    SSE_C = 3
    DSSE = 4


_SERVED: Final = {kind.value: kind for kind in Kind if kind is not Kind.DSSE}


@dataclass(frozen=True, slots=True)
class KeyEnvelope:
    """A sealed object key: 32 bytes of `seal_salt`, 48 of `seal`, and how to get the data key back: `wrapped_key` (the
    blob that KMS made; None where the caller brings the key) and `key_arn`."""

    kind: Kind
    seal_salt: bytes
    seal: bytes
    wrapped_key: bytes | None
    key_arn: str | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope. Only `verify_mac` makes its contents trustworthy.

    `size`: plaintext bytes, None if not known when it was made. `context`: the client's encryption context, JSON as
    given. `keys`: exactly one here.
    """

    version: int
    suite: int
    sse: Kind
    flags: int
    oid: bytes
    size: int | None
    context: str | None
    keys: tuple[KeyEnvelope, ...]
    mac: bytes

    @property
    def multipart(self) -> bool:
        """The object was uploaded in parts."""
        return bool(self.flags & MULTIPART)

    @property
    def bucket_key(self) -> bool:
        """The data key serves the whole bucket."""
        return bool(self.flags & BUCKET_KEY)

    def fixed(self) -> bytes:
        """The fields of fixed length, as stored: 28 bytes."""
        return _fixed(self.sse, self.flags, self.oid, self.size)

    def encode(self) -> str:
        """The base64url text, without padding. BadEnvelope if a field is too long."""
        fields = [self.fixed(), _lp_text(self.context), len(self.keys).to_bytes(1)]
        for key in self.keys:
            fields += (_KEY.pack(key.kind, key.seal_salt, key.seal), _lp(key.wrapped_key), _lp_text(key.key_arn))
        return _base64url(b"".join((*fields, self.mac)))

    @classmethod
    def decode(cls, text: str) -> "Envelope":
        """Parse; an envelope has one spelling only. BadEnvelope."""
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except ValueError as error:
            raise BadEnvelope("not base64url") from error
        if _base64url(raw) != text:  # the decoder skips foreign characters and ignores unused bits
            raise BadEnvelope("not base64url in its one spelling")
        if raw[:1] != VERSION.to_bytes(1):
            raise BadEnvelope("an unknown version")
        try:
            return _parse(raw)
        except (struct.error, UnicodeDecodeError) as error:
            raise BadEnvelope("cut short, or text that is not UTF-8") from error


def _parse(raw: bytes) -> Envelope:
    version, suite, sse_number, flags, oid, size = _FIXED.unpack_from(raw)
    sse = _SERVED.get(sse_number)
    if suite != SUITE or sse is None or flags & ~(MULTIPART | BUCKET_KEY):
        raise BadEnvelope("a suite, encryption or flag that is not known here")
    if size > MAX_PLAINTEXT and size != _UNKNOWN_SIZE:
        raise BadEnvelope("an impossible size")
    context, at = _read_lp(raw, _FIXED.size)
    count, kind, seal_salt, seal = _COUNTED_KEY.unpack_from(raw, at)
    if count != 1 or kind != sse:
        raise BadEnvelope("not one sealed key of the object's kind")
    wrapped_key, at = _read_lp(raw, at + _COUNTED_KEY.size)
    key_arn, at = _read_lp(raw, at)
    if len(raw) - at != _MAC:
        raise BadEnvelope("cut short, or bytes after the end")
    if (wrapped_key is None) != (sse is Kind.SSE_C):
        raise BadEnvelope("a wrapped key is missing, or there is one for a key that the caller brings")
    key = KeyEnvelope(sse, seal_salt, seal, wrapped_key, None if key_arn is None else key_arn.decode())
    known_size = None if size == _UNKNOWN_SIZE else size
    known_context = None if context is None else context.decode()
    return Envelope(version, suite, sse, flags, oid, known_size, known_context, (key,), raw[at:])


def seal_envelope(
    *,
    dk: Secret,
    oek: ObjectKey,
    sse: Kind,
    multipart: bool,
    bucket_key: bool,
    oid: bytes,
    size: int | None,
    context: str | None,
    wrapped_key: bytes | None,
    key_arn: str | None,
    object_arn: str,
    system: Headers,
    user: Headers,
    seal_salt: bytes,
) -> Envelope:
    """Seal `oek` under `dk` and MAC the envelope.

    `oid` (16 bytes) and `seal_salt` (32) are fresh random bytes. `system` and `user` are the canonical headers as the
    store will give them back; `system` may hold only SYSTEM_HEADERS. BadEnvelope if a field cannot be encoded.
    """
    if sse is Kind.DSSE or len(oid) != 16 or (wrapped_key is None) != (sse is Kind.SSE_C):
        raise CipherMisuse("sseproxy.cipher.envelope: a kind not served, an oid of the wrong length, or a key amiss")
    if size is not None and not 0 <= size <= MAX_PLAINTEXT:
        raise BadEnvelope("an impossible size")
    flags = MULTIPART * multipart | BUCKET_KEY * bucket_key
    fixed = _fixed(sse, flags, oid, size)
    aad = fixed + _lp_text(object_arn)
    seal = AESGCM(kek(dk, seal_salt, sse).reveal()).encrypt(_NONCE, oek.reveal(), aad)
    key = KeyEnvelope(sse, seal_salt, seal, wrapped_key, key_arn)
    mac = _mac(oek, fixed, context, key, object_arn, system, user)
    return Envelope(VERSION, SUITE, sse, flags, oid, size, context, (key,), mac)


def open_envelope(envelope: Envelope, dk: Secret, object_arn: str) -> ObjectKey:
    """The object key; WrongKey. Verify the MAC before using it."""
    (key,) = envelope.keys
    aad = envelope.fixed() + _lp_text(object_arn)
    try:
        return ObjectKey(AESGCM(kek(dk, key.seal_salt, key.kind).reveal()).decrypt(_NONCE, key.seal, aad))
    except InvalidTag as error:
        raise WrongKey("the object key does not open") from error


def verify_mac(envelope: Envelope, oek: ObjectKey, object_arn: str, system: Headers, user: Headers) -> None:
    """MacMismatch unless envelope, ARN, headers and user metadata are those that were sealed. Constant time."""
    (key,) = envelope.keys
    mac = _mac(oek, envelope.fixed(), envelope.context, key, object_arn, system, user)
    if not hmac.compare_digest(mac, envelope.mac):
        raise MacMismatch("the envelope does not verify")


def _mac(
    oek: ObjectKey, fixed: bytes, context: str | None, key: KeyEnvelope, object_arn: str, system: Headers, user: Headers
) -> bytes:
    present = dict(system)
    covered = [_lp_text(present.pop(name, None)) for name in SYSTEM_HEADERS]
    if present or len(covered) - covered.count(_ABSENT) != len(system):
        # A header outside the list would look authenticated and be free to edit.
        raise BadEnvelope("a system header twice, or one that the MAC does not cover")
    message = [fixed, _lp_text(context), _KEY.pack(key.kind, key.seal_salt, key.seal), _lp_text(object_arn), *covered]
    message.append(len(user).to_bytes(4, "big"))
    for name, value in sorted(user):
        message += (_lp_text(name), _lp_text(value))
    return hmac.digest(meta_key(oek).reveal(), b"".join(message), "sha256")


def _fixed(sse: Kind, flags: int, oid: bytes, size: int | None) -> bytes:
    return _FIXED.pack(VERSION, SUITE, sse, flags, oid, _UNKNOWN_SIZE if size is None else size)


def _lp(field: bytes | None) -> bytes:
    if field is None:
        return _ABSENT
    if len(field) >= 0xFFFF:
        raise BadEnvelope("a field longer than 65,534 bytes")
    return len(field).to_bytes(2, "big") + field


def _lp_text(text: str | None) -> bytes:
    if text is None:
        return _ABSENT
    try:
        return _lp(text.encode())
    except UnicodeEncodeError as error:
        raise BadEnvelope("a lone surrogate, which UTF-8 has no bytes for") from error


def _read_lp(raw: bytes, at: int) -> tuple[bytes | None, int]:
    """The field at `at` and where the next one begins; struct.error if it is cut short."""
    (length,) = _LENGTH.unpack_from(raw, at)
    begin = at + 2
    if length == 0xFFFF:
        return None, begin
    if begin + length > len(raw):
        raise BadEnvelope("cut short")
    return raw[begin : begin + length], begin + length


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
