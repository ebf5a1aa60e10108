"""The shapes of single values: text, bytes, numbers, moments, each able to take a decoded JSON value in.

`accept(value, path, violations)` answers the value as the operations want it (blobs are bytes, timestamps are seconds
since the epoch), appends a sentence for every constraint broken, and raises SerializationException for a wrong JSON
type. `path` is AWS's name of the place, `tags.1.member.tagKey`. A shape is made once and shared by all requests.

Left out on purpose: some AWS services read a JSON string as a boolean; here it is refused, so that no flag is misread.
"""

import math
from abc import ABC, abstractmethod
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from typing import Final

from kms_core.wire.constraints import Bounds, Pattern, enum_rule, mismatch, violation

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""The years 1 to 9999: a timestamp beyond them has no ISO 8601 form."""


class Shape(ABC):
    """A shape of a model."""

    __slots__ = ()

    @abstractmethod
    def accept(self, value: object, path: str, violations: list[str]) -> object:
        """Check and convert `value`, which is not None."""

    def rules(self) -> tuple[str, ...]:
        """Every constraint, as AWS lists them for the items of a list or a map."""
        return ()

    def secret(self) -> bool:
        """Whether errors must not repeat values of this shape."""
        return False


@dataclass(frozen=True, slots=True)
class String(Shape):
    """Text; `values` is the enumeration, empty if there is none."""

    length: Bounds
    pattern: Pattern | None
    values: tuple[str, ...]
    sensitive: bool

    def accept(self, value: object, path: str, violations: list[str]) -> str:
        """The text itself. A lone surrogate is no text (RFC 8259, section 8.2)."""
        if not isinstance(value, str) or not (value.isascii() or _is_unicode(value)):
            raise mismatch(value, "a String")
        if self.values and value not in self.values:
            violations.append(violation(path, enum_rule(self.values), self._echo(value)))
        # Why backtracking is bounded: a text longer than its model allows never meets the pattern.
        if self.pattern is not None and not self.length.exceeded_by(len(value)) and not self.pattern.matches(value):
            violations.append(violation(path, self.pattern.rule, self._echo(value)))
        if broken := self.length.broken_by(len(value)):
            violations.append(violation(path, broken, self._echo(value)))
        return value

    def rules(self) -> tuple[str, ...]:
        """Length, pattern, enumeration."""
        pattern = (self.pattern.rule,) if self.pattern else ()
        values = (enum_rule(self.values),) if self.values else ()
        return self.length.rules() + pattern + values

    def secret(self) -> bool:
        """What the model calls sensitive."""
        return self.sensitive

    def _echo(self, value: str) -> str:
        return "" if self.sensitive else f"'{value}'"


@dataclass(frozen=True, slots=True)
class Blob(Shape):
    """Bytes, in JSON as standard Base64 with padding (RFC 4648, section 4)."""

    length: Bounds

    def accept(self, value: object, path: str, violations: list[str]) -> bytes:
        """The bytes. Only their one canonical encoding is accepted (RFC 4648, section 3.5)."""
        if not isinstance(value, str):
            raise mismatch(value, "a Blob")
        try:
            data = a2b_base64(value, strict_mode=True)
        except ValueError as error:
            raise mismatch(value, "a Blob") from error
        rest = len(data) % 3
        if rest and b2a_base64(data[-rest:], newline=False) != value[-4:].encode():
            raise mismatch(value, "a Blob")
        if broken := self.length.broken_by(len(data)):
            violations.append(violation(path, broken))
        return data

    def secret(self) -> bool:
        """Always: a blob may be a plaintext."""
        return True


@dataclass(frozen=True, slots=True)
class Boolean(Shape):
    """True or false."""

    def accept(self, value: object, path: str, violations: list[str]) -> bool:
        """The value itself."""
        if not isinstance(value, bool):
            raise mismatch(value, "a Boolean")
        return value


@dataclass(frozen=True, slots=True)
class Integer(Shape):
    """A whole number; `target` is AWS's name of the type, `an Integer` or `a Long`."""

    limits: Bounds
    target: str

    def accept(self, value: object, path: str, violations: list[str]) -> int:
        """The number; AWS cuts a fraction off."""
        number = int(value) if isinstance(value, float) and math.isfinite(value) else value
        if not isinstance(number, int) or isinstance(number, bool):
            raise mismatch(value, self.target)
        if broken := self.limits.broken_by(number):
            violations.append(violation(path, broken, f"'{number}'"))
        return number

    def rules(self) -> tuple[str, ...]:
        """The limits."""
        return self.limits.rules()


@dataclass(frozen=True, slots=True)
class Double(Shape):
    """A floating-point number."""

    def accept(self, value: object, path: str, violations: list[str]) -> float:
        """The number, which is finite."""
        return _finite(value, "a Double")


@dataclass(frozen=True, slots=True)
class Timestamp(Shape):
    """A moment, in JSON as seconds since the epoch, possibly with a fraction."""

    def accept(self, value: object, path: str, violations: list[str]) -> float:
        """Seconds since the epoch, within the years 1 to 9999."""
        seconds = _finite(value, "a Timestamp")
        if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
            raise mismatch(value, "a Timestamp")
        return seconds


def _finite(value: object, target: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise mismatch(value, target)
    try:
        number = float(value)
    except OverflowError as error:
        raise mismatch(value, target) from error
    if not math.isfinite(number):
        raise mismatch(value, target)
    return number


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
