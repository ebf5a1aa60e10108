"""Where the bytes of a part are: at the backend under the part's number, or parked in the scratch bucket.

A place is text that we gave out and that comes back from the control database; it is read as strictly as if it came
from outside.
"""

import re
from dataclasses import dataclass
from typing import Final

from sseproxy.store.contract import NoSuchUpload

from .capabilities import MIN_PART

LAST_NUMBER: Final = 10_000
_AT_BACKEND = re.compile(r"part:([1-9][0-9]{0,4}):([0-9]{1,15}):([^:\s]{1,128})")
_PARKED = re.compile(r"parked:([0-9]{1,15}):(([a-z0-9.-]{3,63})/[^/\s]{1,512}/([1-9][0-9]{0,4})/[0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class AtBackend:
    """A part that the backend has: its number, stored size and the backend's ETag."""

    number: int
    size: int
    etag: str

    def __str__(self) -> str:
        return f"part:{self.number}:{self.size}:{self.etag}"


@dataclass(frozen=True, slots=True)
class Parked:
    """A part in the scratch bucket: the part's number, its stored size and its key there."""

    number: int
    size: int
    key: str

    def __str__(self) -> str:
        return f"parked:{self.size}:{self.key}"


def parks(number: int, size: int) -> bool:
    """Whether a part of `size` stored bytes is parked: it can only be the last one, and the footer goes behind it in
    the same part of the backend; or its number leaves none for the footer."""
    return size < MIN_PART or number == LAST_NUMBER


def parked_key(bucket: str, upload: str, number: int, attempt: str) -> str:
    """The key in the scratch bucket. `attempt` is 32 hex digits."""
    return f"{bucket}/{upload}/{number}/{attempt}"


def read_place(bucket: str, place: str) -> AtBackend | Parked:
    """NoSuchUpload for what was never given out for this bucket."""
    found = _AT_BACKEND.fullmatch(place)
    if found:
        return AtBackend(int(found[1]), int(found[2]), found[3])
    found = _PARKED.fullmatch(place)
    if found and found[3] == bucket:
        return Parked(int(found[4]), int(found[1]), found[2])
    raise NoSuchUpload
