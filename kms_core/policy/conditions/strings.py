"""String operators (IAM User Guide, "Condition operators")."""

from collections.abc import Sequence

from kms_core.policy.variables import Match, any_of
from kms_core.policy.wildcard import Matcher, Pieces, compile_exact, compile_glob, spell


def equals(values: Sequence[str], variables: bool) -> Match:
    """StringEquals: the same text, case and all; wildcards are ordinary characters."""
    return any_of(values, variables, compile_exact)


def equals_ignoring_case(values: Sequence[str], variables: bool) -> Match:
    """StringEqualsIgnoreCase: the same text but for case."""
    return any_of(values, variables, _exact_ignoring_case)


def like(values: Sequence[str], variables: bool) -> Match:
    """StringLike: a case-sensitive glob over the whole value."""
    return any_of(values, variables, compile_glob)


def _exact_ignoring_case(pieces: Pieces) -> Matcher:
    wanted = spell(pieces).lower()
    return lambda value: value.lower() == wanted
