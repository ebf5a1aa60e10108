"""The changes that commits make to an index: an object replaced, objects deleted, an upload completed.

Each runs inside a committer's transaction, and raises what the contract allows before its first write.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sseproxy.store.contract import (
    BucketNotEmpty,
    Committed,
    Expectation,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
)

from . import index
from .commits import Transaction

_CURRENT: Final = "SELECT id, etag, version, modified, upload, length(body) FROM version WHERE key = ? AND latest = 1"
_INSERT: Final = (
    "INSERT INTO version (key, version, latest, marker, size, etag, modified, headers, upload, body) "
    "VALUES (?, 'null', 1, 0, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EXTENT: Final = "INSERT INTO extent (version, number, place, length) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class NewObject:
    """An object to be: `headers` as the index keeps them; the bytes are `body`, or, if that is None, the `extents`
    (place, length) in order. An `etag` of None lets the store make an opaque one."""

    key: bytes
    etag: str | None
    headers: str
    size: int
    body: bytes | bytearray | None = None
    extents: Sequence[tuple[str, int]] = ()
    upload: str | None = None


@dataclass(frozen=True, slots=True)
class _Current:
    """The latest version of a key."""

    id: int
    etag: str
    version: str
    modified: int
    upload: str | None
    inline: bool


def new_etag() -> str:
    """An opaque ETag; the dash keeps it from looking like an MD5."""
    return f"{secrets.token_hex(16)}-1"


def put(transaction: Transaction, new: NewObject, expect: Expectation | None) -> Committed:
    """Make `new` the current object. PreconditionFailed, NoSuchKey."""
    current = _current(transaction, new.key)
    _check(current, expect)
    return _replace(transaction, current, new)


def complete(transaction: Transaction, new: NewObject, staged: Sequence[str], expect: Expectation | None) -> Committed:
    """Make an upload's parts the current object; if they are it already, say again what was said then, and let go of
    what was `staged` for it. NoSuchUpload if a part is not there in full; else as `put`."""
    current = _current(transaction, new.key)
    if current is not None and current.upload == new.upload:
        transaction.obsolete.extend(staged)
        return Committed(current.etag, current.version, current.modified / 1000)
    _check(current, expect)
    for place, length in new.extents:
        if transaction.blobs.size(place) != length:
            raise NoSuchUpload(new.upload)
    return _replace(transaction, current, new)


def delete(transaction: Transaction, keys: Sequence[bytes]) -> None:
    """Delete the current objects under `keys`."""
    for key in keys:
        current = _current(transaction, key)
        if current is not None:
            _remove(transaction, current)


def delete_bucket(transaction: Transaction) -> None:
    """Mark the bucket as deleted: no later transaction changes it. BucketNotEmpty."""
    if transaction.db.execute("SELECT 1 FROM version LIMIT 1").fetchone() is not None:
        raise BucketNotEmpty
    transaction.db.execute("UPDATE bucket SET deleted = 1")
    transaction.deleted = True


def _current(transaction: Transaction, key: bytes) -> _Current | None:
    row = transaction.db.execute(_CURRENT, (key,)).fetchone()
    if row is None:
        return None
    version_id, etag, version, modified, upload, inline_length = row
    return _Current(version_id, etag, version, modified, upload, inline_length is not None)


def _check(current: _Current | None, expect: Expectation | None) -> None:
    if expect is None:
        return
    if expect.absent and current is not None:
        raise PreconditionFailed
    if expect.etag is not None:
        if current is None:
            raise NoSuchKey
        if current.etag != expect.etag:
            raise PreconditionFailed


def _replace(transaction: Transaction, current: _Current | None, new: NewObject) -> Committed:
    db = transaction.db
    if current is not None:
        _remove(transaction, current)
    etag = new_etag() if new.etag is None else new.etag
    values = (new.key, new.size, etag, transaction.now, new.headers, new.upload, new.body)
    version_id = db.execute(_INSERT, values).lastrowid
    if new.extents:
        rows = [(version_id, number, place, length) for number, (place, length) in enumerate(new.extents)]
        db.executemany(_INSERT_EXTENT, rows)
    return Committed(etag, "null", transaction.now / 1000)


def _remove(transaction: Transaction, current: _Current) -> None:
    db = transaction.db
    if not current.inline:
        transaction.obsolete.extend(place for place, _ in db.execute(index.EXTENTS, (current.id,)))
        db.execute("DELETE FROM extent WHERE version = ?", (current.id,))
    db.execute("DELETE FROM version WHERE id = ?", (current.id,))
