"""What an attacker at the backend has: the index rows and blob files under a running proxy, to look at and to change.

Nothing here knows a key. A body is one run of bytes, wherever it lies; changing it keeps the size that the index tells
in step unless the attack says otherwise, as a backend that lies consistently would.
"""

import contextlib
import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

SEGMENT = 65_536
SEALED = SEGMENT + 32


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it lies: what the index says, and the bytes."""

    size: int
    etag: str
    envelope: str
    system: list[list[str]]
    user: list[list[str]]
    body: bytes
    inline: bool


class Backend:
    """One bucket's folder."""

    def __init__(self, data: Path, bucket: str) -> None:
        self.folder = data / "store" / "buckets" / bucket

    @contextlib.contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.folder / "index.sqlite", isolation_level=None, timeout=30)
        try:
            yield db
        finally:
            db.close()

    def blob(self, place: str) -> Path:
        """The file of a place."""
        return self.folder / "blobs" / place[:2] / place

    def places(self) -> set[str]:
        """Every blob file there is."""
        return {path.name for path in self.folder.glob("blobs/*/*")}

    def extents(self, key: str) -> list[tuple[str, int]]:
        """The blobs of an object, in order, with the lengths that the index tells."""
        with self._index() as db:
            query = (
                "SELECT place, length FROM extent WHERE version = (SELECT id FROM version WHERE key = ?) "
                "ORDER BY extent.number"
            )
            return list(db.execute(query, (key.encode(),)))

    def get(self, key: str) -> Stored:
        """All that lies there of an object."""
        with self._index() as db:
            row = db.execute("SELECT size, etag, headers, body FROM version WHERE key = ?", (key.encode(),)).fetchone()
        size, etag, headers, body = row
        envelope, system, user = json.loads(headers)
        whole = body if body is not None else b"".join(self.blob(place).read_bytes() for place, _ in self.extents(key))
        return Stored(size, etag, envelope, system, user, whole, body is not None)

    def put(self, key: str, stored: Stored) -> None:
        """Make `stored` what lies there under `key`, where an object must lie already."""
        headers = json.dumps((stored.envelope, stored.system, stored.user))
        with self._index() as db:
            (row,) = db.execute("SELECT id FROM version WHERE key = ?", (key.encode(),)).fetchone()
            body = stored.body if stored.inline else None
            values = (stored.size, stored.etag, headers, body, row)
            db.execute("UPDATE version SET size = ?, etag = ?, headers = ?, body = ? WHERE id = ?", values)
            db.execute("DELETE FROM extent WHERE version = ?", (row,))
            if not stored.inline:
                place = secrets.token_hex(16)
                self.blob(place).parent.mkdir(exist_ok=True)
                self.blob(place).write_bytes(stored.body)
                db.execute("INSERT INTO extent VALUES (?, 0, ?, ?)", (row, place, len(stored.body)))

    def edit(self, key: str, **fields: Any) -> Stored:
        """Change some fields of what lies there; a new body brings its size along. The answer is what lay there."""
        before = self.get(key)
        if "body" in fields:
            fields.setdefault("size", len(fields["body"]))
        self.put(key, replace(before, **fields))
        return before


def segments(body: bytes, plaintext: int) -> tuple[list[bytes], bytes]:
    """The sealed segments of a body that was put whole, and what follows the last one."""
    cuts = [*range(0, plaintext // SEGMENT * SEALED, SEALED), plaintext // SEGMENT * SEALED]
    end = plaintext + 32 * max(1, -(-plaintext // SEGMENT))
    found = [body[cut : min(cut + SEALED, end)] for cut in cuts if cut < end]
    return found, body[end:]


@dataclass(frozen=True, slots=True)
class Read:
    """What a client got: the bytes that arrived, and the code of the error, `cut` for a connection that broke."""

    data: bytes
    error: str | None = None
    status: int = 200

    @property
    def refused(self) -> bool:
        """An error told before any byte left."""
        return self.error is not None and self.status >= 400 and not self.data


def read(s3: Any, bucket: str, key: str, **more: Any) -> Read:
    """GetObject, to whatever end."""
    data = b""
    try:
        for chunk in s3.get_object(Bucket=bucket, Key=key, **more)["Body"].iter_chunks(SEGMENT):
            data += chunk
    except ClientError as error:
        return Read(data, error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"])
    except BotoCoreError:
        return Read(data, "cut")
    return Read(data)


def events(data: Path) -> list[dict[str, Any]]:
    """Every audit event under a data folder so far."""
    lines = [line for path in sorted((data / "audit").glob("*.jsonl")) for line in path.read_text().splitlines()]
    return [json.loads(line)["event"] for line in lines]
