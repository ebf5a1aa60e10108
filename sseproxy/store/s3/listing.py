"""A page of a listing from one ListObjectsV2, in the backend's own order.

The continuation is a key, not the backend's token, so that any proxy can go on where another one stopped. Sizes are
stored sizes, ETags are shown ones.
"""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import unquote_plus

from sseproxy.store.contract import Listed, Page, StoreFailure

from .capabilities import Order
from .client import Client, Request
from .documents import Node, read_document
from .etags import bare, shown

_LAST = "\U0010ffff"
"""Sorts after every other character, in UTF-8 and in UTF-16."""


async def page(client: Client, bucket: str, order: Order, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """See `ObjectStore.list`, without `inclusive`. One request, but for the rare page that has nothing new in it."""
    if after and not after.startswith(prefix):
        # Servers do not agree on a mark outside of the prefix; what it means is plain.
        if after.encode() > prefix.encode():
            return Page((), truncated=False)
        after = ""
    passed = _common_prefix(after, prefix, delimiter)
    start = after if passed is None else passed + _LAST
    while True:
        found = await _ask(client, bucket, order, prefix, delimiter, start, limit)
        rows = tuple(row for row in found.rows if not (row.prefix and row.key == passed))
        if rows or not found.truncated:
            return Page(rows, found.truncated)
        # Only the prefix that was passed already: some key in it sorts after our mark.
        start += _LAST


async def at(client: Client, bucket: str, prefix: str, delimiter: str, key: str) -> Listed | None:
    """The row of exactly `key`, be it an object or a common prefix, if there is one."""
    if not key.startswith(prefix):
        return None
    found = await _ask(client, bucket, Order.BYTES, key, "", "", 1)
    if not found.rows:
        return None
    passed = _common_prefix(key, prefix, delimiter)
    if passed is not None:
        return Listed(passed, prefix=True) if passed == key else None
    return found.rows[0] if found.rows[0].key == key else None


def _common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """The common prefix in which a key lies, if it lies in one."""
    where = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: where + len(delimiter)] if where >= 0 else None


async def _ask(client: Client, bucket: str, order: Order, prefix: str, delimiter: str, start: str, limit: int) -> Page:
    query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(limit))]
    query += [
        (name, value) for name, value in (("prefix", prefix), ("delimiter", delimiter), ("start-after", start)) if value
    ]
    answer = await client.expect(Request("GET", bucket, query=tuple(query)), again=True)
    root = read_document(answer.body)
    if root.name != "ListBucketResult":
        raise StoreFailure("the backend's answer is no listing")
    decoded = unquote_plus if root.text("EncodingType") == "url" else str
    try:
        rows = [_row(node, decoded) for node in root.children("Contents")]
    except ValueError as problem:
        raise StoreFailure("a row of the backend's listing has no size or no date") from problem
    prefixes = [Listed(decoded(node.text("Prefix")), prefix=True) for node in root.children("CommonPrefixes")]
    if prefixes:
        rows = sorted(rows + prefixes, key=lambda row: order.key(row.key))
    return Page(tuple(rows), truncated=root.text("IsTruncated") == "true")


def _row(node: Node, decoded: Callable[[str], str]) -> Listed:
    return Listed(
        key=decoded(node.text("Key")),
        size=int(node.text("Size")),
        etag=shown(bare(node.text("ETag"))),
        modified=datetime.fromisoformat(node.text("LastModified")).timestamp(),
    )
