"""Secrets are a type: hidden in every repr, compared in constant time."""

import hmac
from typing import Final


class Secret:
    """Bytes that must not be shown. `reveal()` is the only way out, so that a review can find every use."""

    __slots__ = ("_value",)
    _value: Final[bytes]

    def __init__(self, value: bytes) -> None:
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves, for a cryptographic primitive or for the wire."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        raise TypeError("a Secret is not hashable")

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(<hidden>)"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")
