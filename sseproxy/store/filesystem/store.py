"""`ObjectStore` on a folder: one SQLite index and one folder of blobs for each bucket.

Invariants: a body is durable before the row that names it (file, directory, index); a row changes only in the committer
of its bucket; several processes may share the folder, and see each other's commits at once. What reads one small row
does so on the event loop, where a write-ahead log lets no writer block it; everything else that may block goes to one
bounded pool.

Left out: uploads in progress are not known here (their state is the caller's), only their parts' bytes.
"""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from kms_core.clock import Clock
from sseproxy.store.contract import (
    Committed,
    Expectation,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectStage,
    ObjectStat,
    Page,
    PartStage,
    Replaced,
    StoredHeaders,
    StoreFailure,
)

from . import changes, commits, index, listing
from .blobs import Failpoint
from .bucket import Bucket
from .failures import converted
from .folders import Folders
from .reading import BLOCK, ExtentReader, blocks
from .staging import BlobObject, BlobPart, BlobWriter, InlineObject
from .unbroken import Unbroken, on_worker

INLINE_LIMIT: Final = 65_960  # stored bytes of 64 KiB of plaintext


@dataclass(frozen=True, slots=True)
class Handle:
    """A version: the bucket, the life of the bucket, and the row, which is never re-used within it."""

    bucket: str
    incarnation: str
    row: int


def _pass(step: str) -> None:
    """The failpoint of every day."""


class FilesystemStore:
    """See `ObjectStore`. `inline_limit` is stored bytes: bodies up to it lie in the index."""

    keeps_etags = True

    def __init__(
        self,
        root: Path,
        *,
        clock: Clock,
        inline_limit: int = INLINE_LIMIT,
        threads: int = 8,
        failpoint: Failpoint = _pass,
    ) -> None:
        """Makes the root's folders. StoreFailure, OutOfSpace."""
        self._clock = clock
        self._inline_limit = inline_limit
        self._failpoint = failpoint
        try:
            self._folders = Folders(root, failpoint)
        except OSError as error:
            raise converted(error) from error
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store")
        self._unbroken = Unbroken()
        self._buckets: dict[str, Bucket] = {}
        self._opening = asyncio.Lock()

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore.create_bucket`."""
        await on_worker(self._pool, partial(self._folders.create, bucket))

    async def delete_bucket(self, bucket: str) -> None:
        """See `ObjectStore.delete_bucket`: marked in the index first, so that no commit of any process comes after."""
        await self._unbroken.run(self._delete_bucket(bucket))

    async def stat(self, bucket: str, key: str, version: str | None = None) -> ObjectStat:
        """See `ObjectStore.stat`. One indexed row, read on the event loop: tens of microseconds, and never a wait for a
        writer (SQLite, "Write-Ahead Logging")."""
        home = self._current(bucket) or await self._open(bucket)
        try:
            row = home.reader.execute(index.STAT, (key.encode(),)).fetchone()
        except sqlite3.Error as error:
            raise converted(error) from error
        if row is None or (version is not None and version != row[1]):
            raise NoSuchKey(key)
        row_id, name, size, etag, modified, headers = row
        handle = Handle(bucket, home.incarnation, row_id)
        return ObjectStat(key, name, size, etag, modified / 1000, index.headers_from_text(headers), handle)

    async def open(self, stat: ObjectStat, first: int, last: int) -> AsyncIterator[bytes]:
        """See `ObjectStore.open`. An inline body is one row, read on the event loop."""
        handle = stat.handle
        if not isinstance(handle, Handle):
            raise TypeError("a stat of another store")
        try:
            home = self._current(handle.bucket) or await self._open(handle.bucket)
        except NoSuchBucket as error:
            raise Replaced from error
        if home.incarnation != handle.incarnation:
            raise Replaced
        try:
            row: tuple[bytes | None] | None = home.reader.execute(index.BODY, (handle.row,)).fetchone()
        except sqlite3.Error as error:
            raise converted(error) from error
        if row is None:
            raise Replaced
        body = row[0]
        if body is None:
            async for block in blocks(self._pool, partial(_reader, home, handle.row, first, last)):
                yield block
        elif last >= len(body):
            raise StoreFailure("an inline body has fewer bytes than its range")
        else:
            for at in range(first, last + 1, BLOCK):
                yield body[at : min(at + BLOCK, last + 1)]

    async def stage(
        self, bucket: str, key: str, headers: StoredHeaders, size: int, expect: Expectation | None = None
    ) -> ObjectStage:
        """See `ObjectStore.stage`."""
        home = self._current(bucket) or await self._open(bucket)
        text = index.headers_to_text(headers)
        if size <= self._inline_limit:
            return InlineObject(home.committer, key, text, size, expect)
        writer = BlobWriter(home.blobs, self._pool, size)
        return BlobObject(writer, self._unbroken, home.committer, key, text, size, expect)

    async def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectStore.delete`."""
        home = self._current(bucket) or await self._open(bucket)
        await home.committer.submit(partial(changes.delete, keys=[key.encode() for key in keys]))

    async def list(
        self, bucket: str, prefix: str, delimiter: str, after: str, limit: int, *, inclusive: bool = False
    ) -> Page:
        """See `ObjectStore.list`."""
        home = self._current(bucket) or await self._open(bucket)

        def read() -> Page:
            with home.borrowed_reader() as db:
                return listing.page(db, prefix, delimiter, after, limit, inclusive=inclusive)

        return await on_worker(self._pool, read)

    async def create_upload(self, bucket: str, key: str, headers: StoredHeaders) -> str:
        """See `ObjectStore.create_upload`. The id is 64 URL-safe characters, and random; nothing is stored."""
        if self._current(bucket) is None:
            await self._open(bucket)
        return secrets.token_urlsafe(48)

    async def stage_part(self, bucket: str, key: str, upload: str, number: int, size: int) -> PartStage:
        """See `ObjectStore.stage_part`."""
        home = self._current(bucket) or await self._open(bucket)
        return BlobPart(BlobWriter(home.blobs, self._pool, size), self._unbroken, self._clock, size)

    async def open_part(self, bucket: str, place: str, first: int, last: int) -> AsyncIterator[bytes]:
        """See `ObjectStore.open_part`."""
        home = self._current(bucket) or await self._open(bucket)

        def start() -> ExtentReader:
            try:
                return ExtentReader(home.blobs, [(place, last + 1)], first, last)
            except FileNotFoundError as error:
                raise NoSuchUpload from error

        async for block in blocks(self._pool, start):
            yield block

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        headers: StoredHeaders,
        parts: Sequence[tuple[str, int]],
        tail: bytes,
        etag: str | None,
        expect: Expectation | None,
        *,
        highest: int | None = None,
    ) -> Committed:
        """See `ObjectStore.complete_upload`: the part files become the object's extents, the tail one more."""
        home = self._current(bucket) or await self._open(bucket)
        text = index.headers_to_text(headers)
        size = sum(length for _, length in parts) + len(tail)

        async def complete() -> Committed:
            extents = tuple(parts)
            staged: tuple[str, ...] = ()
            if tail:
                writer = BlobWriter(home.blobs, self._pool, len(tail))
                await writer.write(tail)
                await writer.seal()
                staged = (writer.place,)
                extents += ((writer.place, len(tail)),)
            new = changes.NewObject(key.encode(), etag, text, size, extents=extents, upload=upload)
            return await home.committer.submit(partial(changes.complete, new=new, staged=staged, expect=expect), staged)

        return await self._unbroken.run(complete())

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """See `ObjectStore.abort_upload`: an upload is nothing but its parts here."""

    async def discard_parts(self, bucket: str, places: Sequence[str]) -> None:
        """See `ObjectStore.discard_parts`."""
        home = self._current(bucket) or await self._open(bucket)
        await home.committer.submit(partial(commits.discard, places=places))

    async def sweep(self, bucket: str, keep: Collection[str]) -> int:
        """See `ObjectStore.sweep`; the trash is emptied too."""
        await on_worker(self._pool, self._folders.empty_trash)
        home = self._current(bucket) or await self._open(bucket)
        kept = frozenset(keep)

        def sweep(transaction: commits.Transaction) -> int:
            return commits.discard(transaction, [place for place in home.blobs.places() if place not in kept])

        return await home.committer.submit(sweep)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        await self._unbroken.finished()
        while self._buckets:
            _, home = self._buckets.popitem()
            await self._retire(home)
        await asyncio.to_thread(self._pool.shutdown)

    def _current(self, name: str) -> Bucket | None:
        home = self._buckets.get(name)
        return home if home is not None and home.is_current() else None

    async def _open(self, name: str) -> Bucket:
        async with self._opening:
            home = self._current(name)
            if home is not None:
                return home
            stale = self._buckets.pop(name, None)
            if stale is not None:
                self._unbroken.begin(self._retire(stale))
            home = await on_worker(
                self._pool, partial(Bucket, self._folders, name, self._pool, self._clock, self._failpoint)
            )
            self._buckets[name] = home
            return home

    async def _retire(self, home: Bucket) -> None:
        await home.committer.close()
        await on_worker(self._pool, home.close)

    async def _delete_bucket(self, name: str) -> None:
        home = self._current(name) or await self._open(name)
        try:
            await home.committer.submit(changes.delete_bucket)
        except NoSuchBucket:
            # Marked, but left in its place by a process that died between the two.
            await on_worker(self._pool, partial(self._folders.bury, name))
            raise
        await on_worker(self._pool, partial(self._folders.bury, name))


def _reader(home: Bucket, row: int, first: int, last: int) -> ExtentReader:
    """Open the blobs of a version that was there a moment ago. Replaced if they are gone because it is."""
    try:
        with home.borrowed_reader() as db:
            extents: list[tuple[str, int]] = db.execute(index.EXTENTS, (row,)).fetchall()
            try:
                if extents:
                    return ExtentReader(home.blobs, extents, first, last)
            except FileNotFoundError as error:
                if db.execute(index.BODY, (row,)).fetchone() is not None:
                    raise StoreFailure("a blob is missing") from error
    except NoSuchBucket as error:
        raise Replaced from error
    raise Replaced
