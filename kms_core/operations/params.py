"""Validated request parameters with their types: what the wire has checked, an operation can rely on."""

from collections.abc import Mapping, Sequence


class Params:
    """The members of a request. An absent optional member is None; a wrong type is an impossible state."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, object]) -> None:
        self._members = members

    def _wrong(self, name: str) -> TypeError:
        return TypeError(f"kms_core.operations.params: {name} is {type(self._members.get(name)).__name__}")

    def text(self, name: str) -> str:
        """A required string."""
        value = self._members.get(name)
        if not isinstance(value, str):
            raise self._wrong(name)
        return value

    def maybe_text(self, name: str) -> str | None:
        """An optional string."""
        return None if self._members.get(name) is None else self.text(name)

    def blob(self, name: str) -> bytes:
        """A required blob."""
        value = self._members.get(name)
        if not isinstance(value, bytes):
            raise self._wrong(name)
        return value

    def maybe_number(self, name: str) -> int | None:
        """An optional integer."""
        value = self._members.get(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong(name)

    def flag(self, name: str) -> bool:
        """A boolean; absent is false."""
        return self._members.get(name) is True

    def pairs(self, name: str) -> dict[str, str]:
        """A map of strings; absent is empty."""
        value = self._members.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            raise self._wrong(name)
        return dict(value)

    def texts(self, name: str) -> list[str]:
        """A list of strings; absent is empty."""
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, Sequence):
            raise self._wrong(name)
        return [str(one) for one in value]

    def structures(self, name: str) -> list["Params"]:
        """A list of structures; absent is empty."""
        value = self._members.get(name)
        if value is None:
            return []
        if not isinstance(value, Sequence):
            raise self._wrong(name)
        return [Params(one) for one in value]

    def has(self, name: str) -> bool:
        """Whether the member was given."""
        return self._members.get(name) is not None

    def for_audit(self) -> dict[str, object]:
        """The members as CloudTrail shows them: names in lowerCamelCase; blobs and secrets left out."""
        return {
            name[0].lower() + name[1:]: value for name, value in self._members.items() if not isinstance(value, bytes)
        }
