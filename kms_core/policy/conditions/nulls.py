"""The Null operator: is the key there at all? (IAM User Guide, "Condition operators".)

It looks at presence only, so it takes neither IfExists nor a set qualifier. A multivalued key without values is absent.
"""

from collections.abc import Callable, Sequence

from kms_core.policy.variables import ContextValue, Lookup

_ABSENT = {"true": True, "false": False}


def absence(values: Sequence[str]) -> Callable[[ContextValue | None, Lookup], bool]:
    """`true` holds where the key is absent, `false` where it is present; ValueError for another value."""
    wanted: set[bool] = set()
    for value in values:
        if value.lower() not in _ABSENT:
            raise ValueError(f"Null takes true or false, not {value[:200]}")
        wanted.add(_ABSENT[value.lower()])
    return lambda value, _: (value is None or value == ()) in wanted
