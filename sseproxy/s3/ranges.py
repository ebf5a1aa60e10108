"""`Range` (RFC 9110 section 14). S3 serves one range; several, or another unit, and the header is ignored."""

import re
from dataclasses import dataclass

from sseproxy.s3.errors import InvalidRange

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes `first` to `last`, inclusive, of a whole of `size` bytes."""

    first: int
    last: int
    size: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1

    @property
    def content_range(self) -> str:
        """The Content-Range header."""
        return f"bytes {self.first}-{self.last}/{self.size}"


def read_range(header: str | None, size: int) -> ByteRange | None:
    """The range asked for, None for the whole. InvalidRange if nothing of it is there."""
    if header is None:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        wanted = min(int(last), size)
        if wanted == 0:
            raise InvalidRange(RangeRequested=header, ActualObjectSize=str(size))
        return ByteRange(size - wanted, size - 1, size)
    begin = int(first)
    end = int(last) if last else size - 1
    if last and end < begin:
        return None
    if begin >= size:
        raise InvalidRange(RangeRequested=header, ActualObjectSize=str(size))
    return ByteRange(begin, min(end, size - 1), size)
