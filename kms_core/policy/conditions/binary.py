"""BinaryEquals (IAM User Guide, "Condition operators"): bytes in base64 (RFC 4648), no variables."""

import binascii
from base64 import b64decode
from collections.abc import Sequence

from kms_core.policy.variables import Lookup, Match


def equals(values: Sequence[str], _: bool) -> Match:
    """BinaryEquals: byte for byte the same; ValueError for a value that is not base64."""
    wanted = frozenset(b64decode(value, validate=True) for value in values)

    def match(value: str, _: Lookup) -> bool:
        try:
            return b64decode(value, validate=True) in wanted
        except (binascii.Error, ValueError):
            return False

    return match
