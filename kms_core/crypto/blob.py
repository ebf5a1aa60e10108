"""The KMS ciphertext blob: what Encrypt and GenerateDataKey hand out, and Decrypt takes back.

```
u8 1 | u8 flags (1 multi-Region) | key uuid16 | first 8 bytes of material id | salt32 | ciphertext | tag16 | commit32
K || commit = HKDF-SHA256(material, salt32, "ssep/kms/v1", 64 bytes)
AES-256-GCM(K, nonce = 0^12, plaintext, aad = blob up to and with salt32 || canonical encryption context)
```
Every blob has a key of its own, so the zero nonce is used once per key and no count of blobs is a bound. `commit` ties
the blob to one key (GCM alone does not) and is compared first, in constant time.
"""

import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms_core.crypto.secret import Secret
from kms_core.errors import InvalidCiphertext

_VERSION = 1
_MULTI_REGION = 1
_PREFIX = 26
SALT = 32
_HEAD = _PREFIX + SALT
_TAG = 16
_COMMIT = 32
_NONCE = bytes(12)
_INFO = b"ssep/kms/v1"
OVERHEAD = _HEAD + _TAG + _COMMIT


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What a blob says in the clear: which key and which material. Trusted only once the blob has opened."""

    key_id: str
    material_prefix: str
    multi_region: bool


def _derive(material: Secret, salt: bytes) -> tuple[AESGCM, bytes]:
    both = HKDF(SHA256(), 64, salt, _INFO).derive(material.reveal())
    return AESGCM(both[:32]), both[32:]


def _uuid_bytes(key_id: str) -> bytes:
    return bytes.fromhex(key_id.removeprefix("mrk-").replace("-", ""))


def _key_id(name: str, *, multi_region: bool) -> str:
    """32 hex digits as a key id: `mrk-` and the digits, or a UUID's groups."""
    if multi_region:
        return f"mrk-{name}"
    return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}"


def seal_blob(
    *, key_id: str, material_id: str, material: Secret, context: bytes, plaintext: Secret, salt: bytes
) -> bytes:
    """Encrypt under a key's material. `context` is canonical, `salt` 32 fresh random bytes."""
    flags = _MULTI_REGION if key_id.startswith("mrk-") else 0
    head = bytes((_VERSION, flags)) + _uuid_bytes(key_id) + bytes.fromhex(material_id[:16]) + salt
    cipher, commit = _derive(material, salt)
    return head + cipher.encrypt(_NONCE, plaintext.reveal(), head + context) + commit


def read_blob(blob: bytes) -> BlobHead:
    """The key and material that a blob names. InvalidCiphertext for anything that is no blob."""
    if len(blob) <= OVERHEAD or blob[0] != _VERSION or blob[1] & ~_MULTI_REGION:
        raise InvalidCiphertext
    multi_region = bool(blob[1] & _MULTI_REGION)
    return BlobHead(_key_id(blob[2:18].hex(), multi_region=multi_region), blob[18:_PREFIX].hex(), multi_region)


def open_blob(blob: bytes, *, material: Secret, context: bytes) -> Secret:
    """Decrypt. InvalidCiphertext, with no hint at what is wrong, unless everything is as it was sealed."""
    head, body, commit = blob[:_HEAD], blob[_HEAD:-_COMMIT], blob[-_COMMIT:]
    cipher, expected = _derive(material, blob[_PREFIX:_HEAD])
    if not hmac.compare_digest(commit, expected):
        raise InvalidCiphertext
    try:
        return Secret(cipher.decrypt(_NONCE, body, head + context))
    except InvalidTag as problem:
        raise InvalidCiphertext from problem
