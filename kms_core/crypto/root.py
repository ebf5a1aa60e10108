"""The root of trust: the one secret under which everything else is sealed.

`seal` uses a key of its own for every call (HKDF over a fresh salt), so no nonce is ever used twice and no count of
messages is a bound. Sealed bytes: `u8 1 | salt32 | ciphertext | tag16`.
"""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms_core.crypto.secret import Secret

_VERSION = b"\x01"
_SALT = 32
_KEY = 32


class RootKeyError(Exception):
    """The root key is missing, malformed or unsafe to use, or does not open what it should. Never quotes it."""


class RootOfTrust(Protocol):
    """Seals small secrets. Implementations: a key held in memory here; hardware later."""

    def seal(self, plaintext: Secret, aad: bytes) -> bytes:
        """Encrypt, bound to `aad`."""
        ...

    def unseal(self, sealed: bytes, aad: bytes) -> Secret:
        """The reverse. RootKeyError if anything differs."""
        ...

    def derive(self, purpose: bytes) -> Secret:
        """A 32-byte key for one named purpose."""
        ...


class HeldRoot:
    """A root key held in this process's memory."""

    def __init__(self, key: Secret, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(key) != _KEY:
            raise RootKeyError(f"a root key has {_KEY} bytes, this one has {len(key)}")
        self._key = key
        self._random = random

    def _cipher(self, salt: bytes) -> AESGCM:
        return AESGCM(HKDF(SHA256(), 32, salt, b"ssep/root/v1").derive(self._key.reveal()))

    def seal(self, plaintext: Secret, aad: bytes) -> bytes:
        """Encrypt, bound to `aad`."""
        salt = self._random(_SALT)
        return _VERSION + salt + self._cipher(salt).encrypt(bytes(12), plaintext.reveal(), _VERSION + aad)

    def unseal(self, sealed: bytes, aad: bytes) -> Secret:
        """The reverse. RootKeyError if anything differs."""
        if sealed[:1] != _VERSION or len(sealed) < 1 + _SALT + 16:
            raise RootKeyError("sealed bytes of an unknown form")
        salt = sealed[1 : 1 + _SALT]
        try:
            return Secret(self._cipher(salt).decrypt(bytes(12), sealed[1 + _SALT :], _VERSION + aad))
        except InvalidTag as problem:
            raise RootKeyError("the root key does not open this; is it the one this data was made with?") from problem

    def derive(self, purpose: bytes) -> Secret:
        """A 32-byte key for one named purpose."""
        return Secret(HKDF(SHA256(), 32, None, b"ssep/root/v1/derive/" + purpose).derive(self._key.reveal()))


def root_from_file(path: Path, *, create: bool) -> HeldRoot:
    """A root key in a file of 64 hex digits, mode 0600; made at the first start when `create`.

    RootKeyError if the file is missing, readable by others, or malformed.
    """
    if create and not path.exists():
        _create(path)
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii").strip()
        if mode & 0o077:
            raise RootKeyError(f"{path} must be readable by its owner only: chmod 600 {path}")
        return HeldRoot(Secret(bytes.fromhex(text)))
    except FileNotFoundError as problem:
        raise RootKeyError(f"no root key at {path}") from problem
    except ValueError as problem:
        raise RootKeyError(f"{path} does not hold 64 hex digits") from problem


def _create(path: Path) -> None:
    """Write a new key: whole and synced under another name first, and never over an existing one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_KEY).hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return  # another process was first; its key is the one
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def root_from_text(text: str) -> HeldRoot:
    """A root key given as 64 hex digits or as base64, say in an environment variable. RootKeyError if it is neither."""
    try:
        return HeldRoot(Secret(bytes.fromhex(text) if len(text) == 2 * _KEY else base64.b64decode(text, validate=True)))
    except (ValueError, binascii.Error) as problem:
        raise RootKeyError("a root key is 32 bytes, as 64 hex digits or as base64") from problem
