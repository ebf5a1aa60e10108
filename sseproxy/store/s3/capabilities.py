"""What a backend can do: one table, filled by asking it (`probing.py`), read wherever servers differ."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final

from .names import KeyShape

MIN_PART: Final = 5 * 1024**2
"""Bytes that a part must have at any server, unless it is the last."""
MAX_PUT: Final = 5_365_957_656
"""Stored bytes of the largest object that goes up in one PUT: 5 GiB on the plaintext's side, rounded by the format."""


class Order(StrEnum):
    """How a backend sorts a listing."""

    BYTES = "bytes"
    """By the UTF-8 bytes of the key, as S3 does."""
    SEGMENTS = "segments"
    """As a walk through folders does: segment by segment."""

    @property
    def key(self) -> Callable[[str], tuple[bytes, ...]]:
        """The key of this order for `sorted`."""
        return _bytes if self is Order.BYTES else _segments


def _bytes(key: str) -> tuple[bytes, ...]:
    return (key.encode(),)


def _segments(key: str) -> tuple[bytes, ...]:
    return tuple(key.encode().split(b"/"))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The table. Where a field is False, what needs it is refused (501), never emulated."""

    server: str
    """The Server header."""
    put_if_absent: bool
    """PUT with `If-None-Match: *`."""
    put_if_match: bool
    """PUT with `If-Match`."""
    complete_if_absent: bool
    """CompleteMultipartUpload with `If-None-Match: *`."""
    complete_if_match: bool
    """CompleteMultipartUpload with `If-Match`."""
    read_if_match: bool
    """GET with `If-Match`; without it, the ETag of the answer is what is checked."""
    checks_crc32c: bool
    """A body with another CRC32C than its header says is refused."""
    keeps_redirect: bool
    """x-amz-website-redirect-location comes back."""
    copy_keeps_etag: bool
    """A copy of an object to itself with other metadata has the same ETag."""
    copy_keeps_date: bool
    """... and the same Last-Modified."""
    complete_again: bool
    """A second CompleteMultipartUpload succeeds at the server itself (the store answers it in any case)."""
    versions: bool
    """The scratch bucket has versions: parked parts would stay for ever."""
    minimum_part: int
    """Bytes under which a part that is not the last is refused; 0 if there is no limit."""
    order: Order
    """The order of listings."""
    refused_keys: frozenset[KeyShape]
    """Shapes of keys that the server folds, loses or refuses."""

    def rows(self) -> Iterator[tuple[str, str]]:
        """Name and value of each line, to print."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, frozenset):
                value = ", ".join(sorted(value)) or "none"
            elif isinstance(value, bool):
                value = "yes" if value else "no"
            yield field.name.replace("_", " "), str(value)
