"""Multipart uploads in progress, and finished ones for as long as their Complete may be repeated.

A finished object needs none of this. The part checksums, which are facts about the plaintext, are sealed under the root
of trust, bound to upload and part.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from kms_core.crypto.root import RootOfTrust
from kms_core.crypto.secret import Secret
from kms_core.keystore.contract import Transaction
from sseproxy.control import schema
from sseproxy.store.contract import StoredHeaders

KEPT_SECONDS = 86_400.0
"""How long a finished upload is remembered."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload. `initiator` is an ARN; `checksum` is `ALGORITHM/TYPE` as Create asked for, or None; `result` is the
    ETag and checksum answer of one that is complete."""

    id: str
    bucket: str
    key: str
    initiator: str
    created: float
    headers: StoredHeaders
    checksum: str | None = None
    ended: float | None = None
    result: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The latest attempt of a part. `size` is plaintext bytes; `sums`: checksum names, and `MD5`, to hex digests."""

    number: int
    place: str
    etag: str
    salt: bytes
    size: int
    sums: Mapping[str, str]
    modified: float


def _as_upload(row: Row[tuple[object, ...]]) -> Upload:
    headers = json.loads(row.headers)
    return Upload(
        id=row.id,
        bucket=row.bucket,
        key=row.key,
        initiator=row.initiator,
        created=row.created,
        headers=StoredHeaders(
            headers["envelope"],
            tuple((name, value) for name, value in headers["system"]),
            tuple((name, value) for name, value in headers["user"]),
        ),
        checksum=row.checksum,
        ended=row.ended,
        result=None if row.result is None else json.loads(row.result),
    )


def create(transaction: Transaction, upload: Upload) -> None:
    """Begin an upload, and forget what ended long ago."""
    table, connection = schema.upload, transaction.connection
    headers = {"envelope": upload.headers.envelope, "system": upload.headers.system, "user": upload.headers.user}
    connection.execute(delete(table).where(table.c.ended < upload.created - KEPT_SECONDS))
    connection.execute(
        insert(table).values(
            id=upload.id,
            bucket=upload.bucket,
            key=upload.key,
            initiator=upload.initiator,
            created=upload.created,
            headers=json.dumps(headers),
            checksum=upload.checksum,
        )
    )


def get(connection: Connection, upload_id: str) -> Upload | None:
    """One upload, in progress or remembered."""
    row = connection.execute(select(schema.upload).where(schema.upload.c.id == upload_id)).one_or_none()
    return None if row is None else _as_upload(row)


def in_progress(connection: Connection, bucket: str, prefix: str) -> list[Upload]:
    """The unfinished uploads of a bucket whose keys begin with `prefix`, by key and then by age."""
    table = schema.upload
    query = select(table).where(table.c.bucket == bucket, table.c.ended.is_(None))
    found = [_as_upload(row) for row in connection.execute(query) if row.key.startswith(prefix)]
    return sorted(found, key=lambda upload: (upload.key.encode(), upload.created, upload.id))


def finish(transaction: Transaction, upload_id: str, at: float, result: Mapping[str, str] | None) -> list[str]:
    """End an upload: completed with `result`, or aborted (None: it is forgotten at once). Answers where the bytes of
    its parts are, those included that came in meanwhile."""
    table, connection = schema.upload, transaction.connection
    mine = schema.part.c.upload == upload_id
    held = [row.place for row in connection.execute(select(schema.part.c.place).where(mine))]
    connection.execute(delete(schema.part).where(mine))
    if result is None:
        connection.execute(delete(table).where(table.c.id == upload_id))
    else:
        values = {"ended": at, "result": json.dumps(dict(result))}
        connection.execute(update(table).where(table.c.id == upload_id).values(values))
    return held


class Parts:
    """The parts of uploads."""

    def __init__(self, root: RootOfTrust) -> None:
        self._root = root

    @staticmethod
    def _place(upload_id: str, number: int, place: str) -> bytes:
        return "\0".join(("part", upload_id, str(number), place)).encode()

    def put(self, transaction: Transaction, upload_id: str, part: Part) -> str | None:
        """Make this the part of its number. Answers which place is to be discarded now: that of the attempt that it
        supersedes, if there was one; its own, if the upload has ended meanwhile."""
        table, connection = schema.part, transaction.connection
        upload = get(connection, upload_id)
        if upload is None or upload.ended is not None:
            return part.place
        mine = (table.c.upload == upload_id, table.c.number == part.number)
        old: str | None = connection.execute(select(table.c.place).where(*mine)).scalar_one_or_none()
        connection.execute(delete(table).where(*mine))
        sums = Secret(json.dumps(dict(part.sums)).encode())
        connection.execute(
            insert(table).values(
                upload=upload_id,
                number=part.number,
                place=part.place,
                etag=part.etag,
                salt=part.salt,
                size=part.size,
                sums=self._root.seal(sums, self._place(upload_id, part.number, part.place)),
                modified=part.modified,
            )
        )
        return old

    def of(self, connection: Connection, upload_id: str, after: int = 0, limit: int = 10_000) -> list[Part]:
        """Up to `limit` parts with numbers over `after`, in order."""
        table = schema.part
        query = select(table).where(table.c.upload == upload_id, table.c.number > after)
        rows = connection.execute(query.order_by(table.c.number).limit(limit)).all()
        return [
            Part(
                number=row.number,
                place=row.place,
                etag=row.etag,
                salt=row.salt,
                size=row.size,
                sums=json.loads(self._root.unseal(row.sums, self._place(upload_id, row.number, row.place)).reveal()),
                modified=row.modified,
            )
            for row in rows
        ]


def places(connection: Connection, bucket: str) -> Sequence[str]:
    """Every place at the store that a part of the bucket holds."""
    query = select(schema.part.c.place).join(schema.upload).where(schema.upload.c.bucket == bucket)
    return [row.place for row in connection.execute(query)]
