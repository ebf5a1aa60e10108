"""The shapes that hold others: lists, maps and structures. They take values in as `scalars` does, and walk results.

AWS reports what is wrong inside a structure at a path of its own (`tags.1.member.tagKey`), but what is wrong with
scalar items of a list or a map in one sentence about the whole of it, which then lists every constraint on the items.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from kms_core.errors import InternalError
from kms_core.wire.constraints import NOT_NULL, Bounds, misplaced, violation
from kms_core.wire.scalars import Shape, String


@dataclass(frozen=True, slots=True)
class List(Shape):
    """A list of one shape."""

    length: Bounds
    member: Shape

    def accept(self, value: object, path: str, violations: list[str]) -> list[object]:
        """The items. Nested ones report at `path.N.member`, scalar ones all together at `path`."""
        if not isinstance(value, list):
            raise misplaced(value, "Expected list or null")
        if broken := self.length.broken_by(len(value)):
            violations.append(violation(path, broken, self._echo(value)))
        # Why the work is bounded: the items of a list that is too long are not looked at.
        if self.length.exceeded_by(len(value)):
            return []
        if isinstance(self.member, NESTED):
            return [
                _item(self.member, item, f"{path}.{number}.member", violations) for number, item in enumerate(value, 1)
            ]
        inner: list[str] = []
        items = [_item(self.member, item, path, inner) for item in value]
        if inner:
            rules = ", ".join((*self.member.rules(), NOT_NULL))
            violations.append(violation(path, f"Member must satisfy constraint: [{rules}]", self._echo(value)))
        return items

    def _echo(self, value: list[object]) -> str:
        if isinstance(self.member, NESTED) or self.member.secret():
            return ""
        return f"'[{', '.join('null' if item is None else str(item) for item in value)}]'"


@dataclass(frozen=True, slots=True)
class Map(Shape):
    """A map from strings to one shape."""

    length: Bounds
    key: String
    value: Shape

    def accept(self, value: object, path: str, violations: list[str]) -> dict[str, object]:
        """The entries, in the order in which they came. Nested values report at `path.KEY.member`."""
        if not isinstance(value, dict):
            raise misplaced(value, "Expected map or null")
        if broken := self.length.broken_by(len(value)):
            violations.append(violation(path, broken, self._echo(value)))
        if self.length.exceeded_by(len(value)):
            return {}
        keys: list[str] = []
        scalars: list[str] = []
        nested = isinstance(self.value, NESTED)
        entries: dict[str, object] = {}
        for key, item in value.items():
            place, found = (f"{path}.{key}.member", violations) if nested else (path, scalars)
            entries[self.key.accept(key, path, keys)] = _item(self.value, item, place, found)
        for found, noun, shape in ((keys, "keys", self.key), (scalars, "value", self.value)):
            if found:
                rules = ", ".join((*shape.rules(), NOT_NULL))
                violations.append(violation(path, f"Map {noun} must satisfy constraint: [{rules}]", self._echo(value)))
        return entries

    def _echo(self, value: dict[str, object]) -> str:
        if isinstance(self.value, NESTED) or self.value.secret() or self.key.secret():
            return ""
        return "'{" + ", ".join(f"{key}={'null' if item is None else item}" for key, item in value.items()) + "}'"


class Member(NamedTuple):
    """One member of a structure; `label` is its name in AWS's messages, which begins with a small letter."""

    name: str
    label: str
    shape: Shape
    required: bool


@dataclass(frozen=True, slots=True)
class Structure(Shape):
    """Named members, in the model's order."""

    members: tuple[Member, ...]

    def accept(self, value: object, path: str, violations: list[str]) -> dict[str, object]:
        """The members present, in the model's order. Null counts as absent; unknown members are ignored, as on AWS."""
        if not isinstance(value, dict):
            raise misplaced(value, "Expected null")
        prefix = f"{path}." if path else ""
        taken: dict[str, object] = {}
        for name, label, shape, required in self.members:
            item = value.get(name)
            if item is not None:
                taken[name] = shape.accept(item, prefix + label, violations)
            elif required:
                violations.append(violation(prefix + label, NOT_NULL, "null"))
        return taken

    def present(self, result: object) -> Iterator[tuple[str, Shape, object]]:
        """The members of a result that are not None, in the model's order. InternalError for members of no model."""
        if not isinstance(result, Mapping):
            raise InternalError("kms_core.wire.containers: a result is no mapping")
        known = 0
        for name, _, shape, _ in self.members:
            if name in result:
                known += 1
                if (item := result[name]) is not None:
                    yield name, shape, item
        if known != len(result):
            raise InternalError("kms_core.wire.containers: a result has members that its model has not")


NESTED: Final = (Structure, List, Map)
"""The kinds whose insides report violations at a path of their own."""


def _item(shape: Shape, item: object, path: str, violations: list[str]) -> object:
    """An item of a list or a map, where null is a violation."""
    if item is None:
        violations.append(violation(path, NOT_NULL, "null"))
        return None
    return shape.accept(item, path, violations)
