"""Access keys: ids and secrets made, sealed, and opened again to verify a signature."""

from collections.abc import Callable
from functools import lru_cache

from kms_core.crypto.root import RootOfTrust
from kms_core.crypto.secret import Secret
from kms_core.model import AccessKey

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_SECRET_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"  # noqa: S105 - an alphabet


def new_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """An IAM identifier: a prefix (`AKIA`, `AIDA`) and 16 letters (IAM user guide, "Unique identifiers")."""
    return prefix + "".join(_LETTERS[byte & 31] for byte in random(16))


def new_secret(random: Callable[[int], bytes]) -> Secret:
    """A secret access key: 40 characters, 240 bits."""
    return Secret("".join(_SECRET_LETTERS[byte & 63] for byte in random(40)).encode())


def _place(key_id: str) -> bytes:
    return b"access-key\0" + key_id.encode()


def seal_secret(root: RootOfTrust, key_id: str, secret: Secret) -> bytes:
    """The secret as the database keeps it, bound to its id."""
    return root.seal(secret, _place(key_id))


class AccessKeySecrets:
    """Opened secrets of access keys, kept in memory."""

    def __init__(self, root: RootOfTrust) -> None:
        def unseal(key_id: str, sealed: bytes) -> Secret:
            return root.unseal(sealed, _place(key_id))

        self._unseal = lru_cache(maxsize=4096)(unseal)

    def open(self, key: AccessKey) -> Secret:
        """The secret of an access key. RootKeyError if the seal does not hold."""
        return self._unseal(key.id, key.sealed)
