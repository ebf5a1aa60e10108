"""Bodies on their way in: small ones gather in memory and go into the index row, larger ones into a blob.

A blob is written on worker threads, at most two blocks of 1 MiB behind the producer, so memory stays bounded and
encrypting overlaps with writing. Work once handed in is never cancelled: a descriptor is closed by a worker that has
waited for the writes before it, so that no write meets a closed (or re-used) descriptor.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from concurrent.futures import Executor, Future, wait
from functools import partial
from typing import Final

from kms_core.clock import Clock
from sseproxy.store.contract import Committed, Expectation, StoredPart, StoreFailure

from . import changes
from .blobs import BlobFolder, write_fully
from .commits import Committer
from .failures import converted
from .unbroken import Unbroken, on_worker

BLOCK: Final = 1 << 20
_IN_FLIGHT: Final = 2


class BlobWriter:
    """A blob of up to `size` bytes being written. `seal` or `drop` ends it; `drop` afterwards does nothing. OutOfSpace,
    NoSuchBucket."""

    def __init__(self, blobs: BlobFolder, pool: Executor, size: int) -> None:
        self.place: Final = blobs.new_place()
        self.length = 0
        self._blobs = blobs
        self._pool = pool
        self._fd: int | None = None
        self._making = threading.Lock()
        self._block = memoryview(bytearray(min(BLOCK, size)))
        self._filled = 0
        self._flights: deque[tuple[Future[None], memoryview]] = deque()
        self._whole = True
        self._ended = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Copy `data` into blocks, and hand full ones to the workers. After a write that failed, or was cancelled, only
        `drop` is left."""
        self._require_whole()
        self._whole = False
        with memoryview(data) as whole, whole.cast("B") as view:
            taken = 0
            while taken < len(view):
                size = min(len(view) - taken, BLOCK - self._filled)
                self._block[self._filled : self._filled + size] = view[taken : taken + size]
                taken += size
                self._filled += size
                self.length += size
                if self._filled == BLOCK:
                    await self._hand_in()
        self._whole = True

    async def seal(self) -> None:
        """Write what is left and make the blob durable; if that fails, nothing of it stays."""
        self._require_whole()
        self._ended = True
        await on_worker(self._pool, self._seal)

    async def drop(self) -> None:
        """Remove the blob."""
        if not self._ended:
            self._ended = True
            await on_worker(self._pool, self._drop)

    async def _hand_in(self) -> None:
        if len(self._flights) < _IN_FLIGHT:
            free = memoryview(bytearray(BLOCK))
        else:
            flight, free = self._flights[0]
            try:
                await asyncio.shield(asyncio.wrap_future(flight))
            except OSError as error:
                raise converted(error) from error
            self._flights.popleft()  # only now: `_drop` has to wait for it, if this coroutine is cancelled
        self._flights.append((self._pool.submit(self._write, self._block, self.length - BLOCK), self._block))
        self._block, self._filled = free, 0

    def _require_whole(self) -> None:
        if self._ended or not self._whole:
            raise StoreFailure("the body was given up, or a write of it failed")

    def _write(self, block: memoryview, offset: int) -> None:
        write_fully(self._descriptor(), block, offset)

    def _descriptor(self) -> int:
        with self._making:
            if self._fd is None:
                self._fd = self._blobs.create(self.place)
            return self._fd

    def _seal(self) -> None:
        try:
            # No deadlock: the pool starts work in order, so these writes have a thread already, and wait for nothing.
            for flight, _ in self._flights:
                flight.result()
            fd = self._descriptor()
            write_fully(fd, self._block[: self._filled], self.length - self._filled)
            self._blobs.sync(fd, self.place)
        except BaseException:
            self._drop()
            raise
        self._close()

    def _drop(self) -> None:
        wait([flight for flight, _ in self._flights])
        self._close()
        with contextlib.suppress(OSError):
            self._blobs.remove(self.place)

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)


class InlineObject:
    """The stage of an object whose body goes into its index row."""

    def __init__(self, committer: Committer, key: str, headers: str, size: int, expect: Expectation | None) -> None:
        self._committer = committer
        self._key = key.encode()
        self._headers = headers
        self._size = size
        self._expect = expect
        self._body = bytearray()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stage.write`."""
        if len(self._body) + memoryview(data).nbytes > self._size:
            raise _miscounted(self._size)
        self._body += data

    async def commit(self, etag: str | None) -> Committed:
        """See `ObjectStage.commit`."""
        if len(self._body) != self._size:
            raise _miscounted(self._size)
        new = changes.NewObject(self._key, etag, self._headers, self._size, body=self._body)
        return await self._committer.submit(partial(changes.put, new=new, expect=self._expect))

    async def abort(self) -> None:
        """See `Stage.abort`: what is in memory needs no undoing."""


class BlobBody:
    """What the stages of large objects and of parts share: a blob, and the count of its bytes."""

    def __init__(self, writer: BlobWriter, unbroken: Unbroken, size: int) -> None:
        self._writer = writer
        self._unbroken = unbroken
        self._size = size

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stage.write`."""
        if self._writer.length + memoryview(data).nbytes > self._size:
            raise _miscounted(self._size)
        await self._writer.write(data)

    async def abort(self) -> None:
        """See `Stage.abort`."""
        await self._writer.drop()

    async def _seal(self) -> None:
        if self._writer.length != self._size:
            await self._writer.drop()
            raise _miscounted(self._size)
        await self._writer.seal()


class BlobObject(BlobBody):
    """The stage of an object whose body is a blob."""

    def __init__(
        self,
        writer: BlobWriter,
        unbroken: Unbroken,
        committer: Committer,
        key: str,
        headers: str,
        size: int,
        expect: Expectation | None,
    ) -> None:
        super().__init__(writer, unbroken, size)
        self._committer = committer
        self._key = key.encode()
        self._headers = headers
        self._expect = expect

    async def commit(self, etag: str | None) -> Committed:
        """See `ObjectStage.commit`."""
        return await self._unbroken.run(self._commit(etag))

    async def _commit(self, etag: str | None) -> Committed:
        await self._seal()
        extents = ((self._writer.place, self._size),)
        new = changes.NewObject(self._key, etag, self._headers, self._size, extents=extents)
        return await self._committer.submit(partial(changes.put, new=new, expect=self._expect), (self._writer.place,))


class BlobPart(BlobBody):
    """The stage of a part: always a blob, whatever its size."""

    def __init__(self, writer: BlobWriter, unbroken: Unbroken, clock: Clock, size: int) -> None:
        super().__init__(writer, unbroken, size)
        self._clock = clock

    async def commit(self, etag: str | None) -> StoredPart:
        """See `PartStage.commit`."""
        await self._unbroken.run(self._seal())
        return StoredPart(changes.new_etag() if etag is None else etag, self._writer.place, self._clock.now())


def _miscounted(size: int) -> StoreFailure:
    return StoreFailure(f"the body is not the {size} bytes that were announced")
