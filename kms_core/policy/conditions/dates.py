"""Date operators (IAM User Guide, "Condition operators"): ISO 8601 or epoch seconds, no variables.

ISO 8601 in the W3C profile: a year, a month, a day, or a moment with its zone. What is left out of a date is its first
moment, UTC. Four digits are a year. A request value that is no date matches nothing.
"""

import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from kms_core.policy.variables import Lookup, Match

_W3C = re.compile(
    r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?)?)?"
)
_EPOCH = re.compile(r"[0-9]{5,15}(?:\.[0-9]{1,9})?|[0-9]{1,3}")
_FIRST_MOMENT = {4: "-01-01", 7: "-01"}
"""What completes a date that stops after its year (4 characters) or its month (7)."""


@lru_cache(maxsize=256)
def parse_date(text: str) -> float:
    """Seconds since the epoch; ValueError if `text` is no date. Cached: requests of one moment ask the same again."""
    if _EPOCH.fullmatch(text):
        return float(text)
    if not _W3C.fullmatch(text):
        raise ValueError(f"not a date: {text[:200]}")
    moment = datetime.fromisoformat(text + _FIRST_MOMENT.get(len(text), ""))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def compare(holds: Callable[[float, float], bool]) -> Callable[[Sequence[str], bool], Match]:
    """The builder of the operator for which `holds(request value, policy value)`; ValueError for no date."""

    def build(values: Sequence[str], _: bool) -> Match:
        bounds = tuple(parse_date(value) for value in values)

        def match(value: str, _: Lookup) -> bool:
            try:
                moment = parse_date(value)
            except ValueError:
                return False
            return any(holds(moment, bound) for bound in bounds)

        return match

    return build


equals = compare(operator.eq)
less_than = compare(operator.lt)
less_than_equals = compare(operator.le)
greater_than = compare(operator.gt)
greater_than_equals = compare(operator.ge)
