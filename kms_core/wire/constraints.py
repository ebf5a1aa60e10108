"""The constraints that service models put on values, and AWS's sentences for what breaks them.

Two kinds of refusal, as on AWS: a value of the wrong JSON type is a SerializationException, raised at once; a value of
the right type that breaks a constraint is a sentence in a list, and the whole list becomes one ValidationException. The
sentences are those that clients and recorded tests compare. A secret or a blob is never repeated in one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kms_core.errors import SerializationException, ValidationException

NOT_NULL: Final = "Member must not be null"

MAX_REPORTED: Final = 10
"""AWS reports no more violations than this; it also bounds the size of an error."""

# Java writes a supplementary code point as a pair of surrogates, and botocore passes the pairs on.
_SUPPLEMENTARY: Final = (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")

# Unicode's categories L and N are exactly Python's \w without the underscore, and every class that names them has the
# underscore too; Z is this short list.
_LETTERS_AND_NUMBERS: Final = ((r"\p{L}", r"\w"), (r"\p{N}", r"\w"))
_SEPARATORS: Final = (r"\p{Z}", r" \u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000")


class Pattern:
    r"""A model's pattern (Java's dialect), which the whole of a text has to match.

    `\w`, `\d` and `\s` are ASCII as in Java, except in the patterns that ask for Unicode categories.
    """

    __slots__ = ("matches", "rule")

    def __init__(self, text: str) -> None:
        python = text
        for theirs, ours in (_SUPPLEMENTARY, *_LETTERS_AND_NUMBERS, _SEPARATORS):
            python = python.replace(theirs, ours)
        self.matches: Final = re.compile(python, re.UNICODE if r"\p{" in text else re.ASCII).fullmatch
        self.rule: Final = f"Member must satisfy regular expression pattern: {text}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive limits on a size: `measure` is `length` (characters, bytes, items) or `value`."""

    measure: str
    least: int | None
    most: int | None

    def exceeded_by(self, size: int) -> bool:
        """Whether `size` is above the upper limit."""
        return self.most is not None and size > self.most

    def broken_by(self, size: int) -> str | None:
        """The constraint that `size` breaks, or None."""
        if self.exceeded_by(size):
            return f"Member must have {self.measure} less than or equal to {self.most}"
        if self.least is not None and size < self.least:
            return f"Member must have {self.measure} greater than or equal to {self.least}"
        return None

    def rules(self) -> tuple[str, ...]:
        """Both constraints, in the order in which AWS lists them."""
        upper = () if self.most is None else (f"Member must have {self.measure} less than or equal to {self.most}",)
        lower = (
            () if self.least is None else (f"Member must have {self.measure} greater than or equal to {self.least}",)
        )
        return upper + lower


def enum_rule(values: Sequence[str]) -> str:
    """The constraint of an enumeration, in the model's order."""
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def violation(path: str, constraint: str, echo: str = "") -> str:
    """One sentence of a ValidationException; `echo` is the value as AWS prints it (`'x'`, `null`), or nothing."""
    return f"Value{' ' if echo else ''}{echo} at '{path}' failed to satisfy constraint: {constraint}"


def refusal(violations: Sequence[str]) -> ValidationException:
    """The error that carries the violations found, at least one."""
    reported = violations[:MAX_REPORTED]
    noun = "error" if len(reported) == 1 else "errors"
    return ValidationException(f"{len(reported)} validation {noun} detected: {'; '.join(reported)}")


def mismatch(value: object, target: str) -> SerializationException:
    """The error for a JSON value where a `target` (`a String`) should be. Names the JSON type, never the value."""
    match value:
        case dict():
            return SerializationException("Start of structure or map found where not expected.")
        case list():
            return SerializationException("Start of list found where not expected")
        case bool():
            found = "TRUE_VALUE" if value else "FALSE_VALUE"
        case int() | float():
            found = "NUMBER_VALUE"
        case _:
            found = "STRING_VALUE"
    return SerializationException(f"{found} can not be converted to {target}")


def misplaced(value: object, expected: str) -> SerializationException:
    """The error for a JSON value where a container should be; a scalar gets the text `expected`."""
    return mismatch(value, "") if isinstance(value, dict | list) else SerializationException(expected)
