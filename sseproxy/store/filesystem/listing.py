"""A page of a bucket's keys, in the order of their UTF-8 bytes.

The rows of a listing are the keys under a prefix, those that share a delimiter after it rolled up into one; a page is
the rows after a mark. A common prefix costs one seek, however many keys it hides. Blocks: runs on a worker thread.
"""

import sqlite3

from sseproxy.store.contract import Listed, Page

from . import index


def page(db: sqlite3.Connection, prefix: str, delimiter: str, after: str, limit: int, *, inclusive: bool) -> Page:
    """The rows of `ObjectStore.list`. sqlite3.Error."""
    stem, mark, separator = prefix.encode(), after.encode(), delimiter.encode()
    start = max(stem, _first_key(stem, mark, separator, inclusive=inclusive))
    end = successor(stem)
    rows: list[Listed] = []
    while limit > 0:
        common = None
        for key, version, size, etag, modified in db.execute(index.LIST, (start, end)):
            if len(rows) == limit:
                return Page(tuple(rows), truncated=True)
            common = common_prefix(key, stem, separator)
            if common is not None:
                rows.append(Listed(common.decode(), prefix=True))
                start = successor(common)
                break
            rows.append(Listed(key.decode(), False, version, True, size, etag, modified / 1000))
        if common is None:
            break
    return Page(tuple(rows), truncated=False)


def successor(prefix: bytes) -> bytes:
    """The least string above all UTF-8 that begins with `prefix`: no byte of UTF-8 is above 0xF4 (RFC 3629)."""
    return prefix[:-1] + bytes((prefix[-1] + 1,)) if prefix else b"\xff"


def common_prefix(key: bytes, stem: bytes, separator: bytes) -> bytes | None:
    """What `key` rolls up to: `stem`, and on to the end of the first separator after it. None if it stays itself."""
    if not separator or not key.startswith(stem):
        return None
    at = key.find(separator, len(stem))
    return None if at < 0 else key[: at + len(separator)]


def _first_key(stem: bytes, mark: bytes, separator: bytes, *, inclusive: bool) -> bytes:
    """Where to begin so that only rows after the mark come, or one at it: a row that is a common prefix sorts where the
    prefix does, so a mark inside one lies after it."""
    common = common_prefix(mark, stem, separator)
    if inclusive and common in (None, mark):
        return mark
    return mark + b"\0" if common is None else successor(common)
