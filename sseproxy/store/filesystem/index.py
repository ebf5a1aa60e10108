"""One bucket's index: an SQLite database of object versions, and the SQL that reads it.

Invariants: keys are UTF-8 blobs, so SQLite's order is S3's; a version's bytes are its inline `body`, or, where that is
NULL, its extents in order; at most one version of a key is the latest; an `id` is never used twice (AUTOINCREMENT), so
a handle can't come to mean another version; `body` is the last column, so that no query which leaves it out reads its
overflow pages (SQLite, "Database File Format", record format).

Every version is called `null` as yet: the rows have room for more, the statements ask only for the latest.
"""

import secrets
import sqlite3
from pathlib import Path
from typing import Final

import orjson

from sseproxy.store.contract import StoredHeaders, StoreFailure

INDEX_NAME: Final = "index.sqlite"
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = f"""
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE bucket (incarnation TEXT NOT NULL, deleted INTEGER NOT NULL) STRICT;
CREATE TABLE version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL,
    version TEXT NOT NULL,
    latest INTEGER NOT NULL,
    marker INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    headers TEXT NOT NULL,
    upload TEXT,
    body BLOB
) STRICT;
CREATE UNIQUE INDEX latest_by_key ON version (key) WHERE latest = 1;
CREATE TABLE extent (
    version INTEGER NOT NULL,
    number INTEGER NOT NULL,
    place TEXT NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (version, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX extent_by_place ON extent (place);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""

STAT: Final = (
    "SELECT id, version, size, etag, modified, headers FROM version WHERE key = ? AND latest = 1 AND marker = 0"
)
BODY: Final = "SELECT body FROM version WHERE id = ?"
EXTENTS: Final = "SELECT place, length FROM extent WHERE version = ? ORDER BY number"
REFERENCED: Final = "SELECT 1 FROM extent WHERE place = ?"
LIST: Final = (
    "SELECT key, version, size, etag, modified FROM version "
    "WHERE latest = 1 AND marker = 0 AND key >= ? AND key < ? ORDER BY key"
)

_WRITER_PATIENCE: Final = 30.0  # seconds for other processes' commits
_READER_PATIENCE: Final = 1.0  # a WAL reader waits only while another process opens or closes the index
_CHECKPOINT_PAGES: Final = 4000  # 16 MiB of log: a checkpoint for every 200 inline bodies of 64 KiB, not for every 50


def create(path: Path) -> None:
    """Make an empty index at `path`, with a fresh random incarnation. The caller syncs the file."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.executescript(_SCHEMA)
        db.execute("INSERT INTO bucket VALUES (?, 0)", (secrets.token_hex(16),))
    finally:
        db.close()


def connect(path: Path, *, writes: bool) -> sqlite3.Connection:
    """Open an existing index in autocommit. StoreFailure on a schema that this code does not know; sqlite3.Error."""
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # safe: a connection is used by one thread at a time, though not always the same
        timeout=_WRITER_PATIENCE if writes else _READER_PATIENCE,
    )
    try:
        (schema,) = db.execute("PRAGMA user_version").fetchone()
        if schema != SCHEMA_VERSION:
            raise StoreFailure(f"{path} has schema {schema}, not {SCHEMA_VERSION}")
        # FULL syncs the log at every commit; SQLite syncs the directory of a new log itself.
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        if not writes:
            db.execute("PRAGMA query_only = ON")
    except BaseException:
        db.close()
        raise
    return db


def incarnation(db: sqlite3.Connection) -> tuple[str, bool]:
    """The random name of this life of the bucket, and whether it has been deleted."""
    name, deleted = db.execute("SELECT incarnation, deleted FROM bucket").fetchone()
    return str(name), bool(deleted)


def headers_to_text(headers: StoredHeaders) -> str:
    """The `headers` column: JSON `[envelope, system pairs, user pairs]`."""
    return orjson.dumps((headers.envelope, headers.system, headers.user)).decode()


def headers_from_text(text: str) -> StoredHeaders:
    """The inverse of `headers_to_text`."""
    envelope, system, user = orjson.loads(text)
    return StoredHeaders(envelope, tuple(map(_pair, system)), tuple(map(_pair, user)))


def _pair(pair: list[str]) -> tuple[str, str]:
    name, value = pair
    return name, value
