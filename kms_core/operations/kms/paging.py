"""Limit, Marker, NextMarker, Truncated: the way every KMS list is paged. A marker is the last row's name, in base64."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from kms_core.errors import InvalidMarker
from kms_core.operations.params import Params

T = TypeVar("T")


def page(
    params: Params, rows: Sequence[T], name: Callable[[T], str], default: int
) -> tuple[Sequence[T], dict[str, object]]:
    """The rows of this page (of `rows` sorted by `name`), and the members that lead on. InvalidMarker."""
    marker = params.maybe_text("Marker")
    limit = params.maybe_number("Limit") or default
    rows = sorted(rows, key=name)
    if marker is not None:
        try:
            last = base64.b64decode(marker, validate=True).decode()
        except (binascii.Error, ValueError) as problem:
            raise InvalidMarker from problem
        rows = [row for row in rows if name(row) > last]
    if len(rows) <= limit:
        return rows, {"Truncated": False}
    shown = rows[:limit]
    return shown, {"Truncated": True, "NextMarker": base64.b64encode(name(shown[-1]).encode()).decode()}
