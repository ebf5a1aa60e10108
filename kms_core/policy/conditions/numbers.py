"""Numeric operators (IAM User Guide, "Condition operators"): decimal numbers, no variables.

Exact decimals, not floats, and never more than 60 digits of them. A request value that is no number matches nothing.
"""

import operator
import re
from collections.abc import Callable, Sequence
from decimal import Decimal

from kms_core.policy.variables import Lookup, Match

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(?:\.[0-9]{1,30})?")


def compare(holds: Callable[[Decimal, Decimal], bool]) -> Callable[[Sequence[str], bool], Match]:
    """The builder of the operator for which `holds(request value, policy value)`; ValueError for no number."""

    def build(values: Sequence[str], _: bool) -> Match:
        bounds = tuple(_parse(value) for value in values)

        def match(value: str, _: Lookup) -> bool:
            if not _NUMBER.fullmatch(value):
                return False
            number = Decimal(value)
            return any(holds(number, bound) for bound in bounds)

        return match

    return build


def _parse(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"not a number: {text[:200]}")
    return Decimal(text)


equals = compare(operator.eq)
less_than = compare(operator.lt)
less_than_equals = compare(operator.le)
greater_than = compare(operator.gt)
greater_than_equals = compare(operator.ge)
