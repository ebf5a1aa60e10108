"""The encryption context in canonical bytes: pairs sorted by their UTF-8 bytes, each name and value with a u16 length.

Two contexts are equal exactly when their canonical bytes are: this is what an AEAD binds a ciphertext to.
"""

from collections.abc import Mapping

from kms_core.errors import ValidationException

MAX_BYTES = 0xFFFE


def _with_length(text: bytes) -> bytes:
    if len(text) > MAX_BYTES:
        raise ValidationException("EncryptionContext is too long")
    return len(text).to_bytes(2, "big") + text


def canonical_context(context: Mapping[str, str]) -> bytes:
    """The bytes to bind to. ValidationException for a name or value over 65,534 bytes."""
    if not context:
        return b""
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    return b"".join(_with_length(name) + _with_length(value) for name, value in pairs)
