"""The Bool operator (IAM User Guide, "Condition operators")."""

from collections.abc import Sequence

from kms_core.policy.conditions.strings import equals_ignoring_case
from kms_core.policy.variables import Match


def equals(values: Sequence[str], variables: bool) -> Match:
    """Bool: `true` or `false`, in any case; ValueError for another constant."""
    for value in values:
        if value.lower() not in ("true", "false") and not (variables and "${" in value):
            raise ValueError(f"not a boolean: {value[:200]}")
    return equals_ignoring_case(values, variables)
