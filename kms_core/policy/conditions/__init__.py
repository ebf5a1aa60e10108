"""Condition operators: the table of all of them, and how one block of a `Condition` becomes a test.

Sources: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
keys". An operator of the family files decides one request value against the policy's values; the rest is here, once:

- several policy values are alternatives; a negated operator holds where none of them matches;
- an absent key fails the test, except for negated operators, `...IfExists` and `ForAllValues:`;
- `ForAnyValue:` wants one request value that passes, `ForAllValues:` wants no request value that fails;
- without a qualifier a multivalued key passes if any value matches (negated: if none does).

Operator names are taken in any case, as AWS takes them. Unknown ones are refused, never skipped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kms_core.policy.conditions import addresses, arns, binary, booleans, dates, nulls, numbers, strings
from kms_core.policy.variables import ContextValue, Lookup, Match

Test = Callable[[ContextValue | None, Lookup], bool]
"""Whether a condition holds for the value of its key (None: absent)."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A row: `build(values, variables allowed)` is the positive test; `negated` holds where that is False."""

    build: Callable[[Sequence[str], bool], Match]
    negated: bool = False


OPERATORS = {
    "StringEquals": Operator(strings.equals),
    "StringNotEquals": Operator(strings.equals, negated=True),
    "StringEqualsIgnoreCase": Operator(strings.equals_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(strings.equals_ignoring_case, negated=True),
    "StringLike": Operator(strings.like),
    "StringNotLike": Operator(strings.like, negated=True),
    "NumericEquals": Operator(numbers.equals),
    "NumericNotEquals": Operator(numbers.equals, negated=True),
    "NumericLessThan": Operator(numbers.less_than),
    "NumericLessThanEquals": Operator(numbers.less_than_equals),
    "NumericGreaterThan": Operator(numbers.greater_than),
    "NumericGreaterThanEquals": Operator(numbers.greater_than_equals),
    "DateEquals": Operator(dates.equals),
    "DateNotEquals": Operator(dates.equals, negated=True),
    "DateLessThan": Operator(dates.less_than),
    "DateLessThanEquals": Operator(dates.less_than_equals),
    "DateGreaterThan": Operator(dates.greater_than),
    "DateGreaterThanEquals": Operator(dates.greater_than_equals),
    "Bool": Operator(booleans.equals),
    "BinaryEquals": Operator(binary.equals),
    "IpAddress": Operator(addresses.within),
    "NotIpAddress": Operator(addresses.within, negated=True),
    "ArnEquals": Operator(arns.like),
    "ArnLike": Operator(arns.like),
    "ArnNotEquals": Operator(arns.like, negated=True),
    "ArnNotLike": Operator(arns.like, negated=True),
}

_BY_NAME = {name.lower(): row for name, row in OPERATORS.items()}
_SUFFIX = "ifexists"


def compile_test(operator: str, values: Sequence[str], variables: bool) -> Test:
    """The test of one key; ValueError for an unknown operator or a value that it can't take."""
    before, colon, name = operator.lower().rpartition(":")
    qualifier = before + colon
    if name == "null" and not qualifier:
        return nulls.absence(values)
    if_exists = name.endswith(_SUFFIX)
    row = _BY_NAME.get(name.removesuffix(_SUFFIX))
    if row is None or qualifier not in _QUALIFIED:
        raise ValueError(f"unknown condition operator {operator[:200]}")
    return _QUALIFIED[qualifier](row.build(values, variables), row.negated, if_exists)


def _unqualified(match: Match, negated: bool, if_exists: bool) -> Test:
    passing = not negated
    absent = negated or if_exists

    def test(value: ContextValue | None, lookup: Lookup) -> bool:
        if isinstance(value, str):
            return match(value, lookup) is passing
        if not value:
            return absent
        outcomes = [match(one, lookup) is passing for one in value]
        return all(outcomes) if negated else any(outcomes)

    return test


def _for_all_values(match: Match, negated: bool, _: bool) -> Test:
    passing = not negated
    return lambda value, lookup: all(match(one, lookup) is passing for one in _values(value))


def _for_any_value(match: Match, negated: bool, if_exists: bool) -> Test:
    passing = not negated

    def test(value: ContextValue | None, lookup: Lookup) -> bool:
        if not value:
            return if_exists and value is None
        return any(match(one, lookup) is passing for one in _values(value))

    return test


def _values(value: ContextValue | None) -> tuple[str, ...]:
    """The values as a set; an empty string is an empty one ("Set operators for multivalued context keys")."""
    if isinstance(value, str):
        return (value,) if value else ()
    return value or ()


_QUALIFIED: dict[str, Callable[[Match, bool, bool], Test]] = {
    "": _unqualified,
    "forallvalues:": _for_all_values,
    "foranyvalue:": _for_any_value,
}
