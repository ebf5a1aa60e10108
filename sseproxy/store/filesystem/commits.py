"""The grouped committer of one bucket: whatever changes wait are made in one transaction, under one sync of the log.

Changes that come while a transaction is on its way gather, and form the next one. A change that fails with a StoreError
fails alone, and so must raise before its first write. If the transaction itself fails, all of its changes do.

All state is touched on the event loop; the connection, by one worker thread at a time. A change once handed in runs,
even if whoever waits for it is cancelled: so an `abort` can't take away a body whose row is being written.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

from kms_core.clock import Clock
from sseproxy.store.contract import NoSuchBucket, StoreError

from . import index
from .blobs import BlobFolder, Failpoint
from .failures import converted

T = TypeVar("T")


@dataclass(slots=True)
class Transaction:
    """What a change works with. `now` is milliseconds since the epoch; `deleted` says that the bucket is; `obsolete`
    collects the places of blobs to discard after the commit; `aside`, what has been set aside, to be removed then."""

    db: sqlite3.Connection
    blobs: BlobFolder
    now: int
    deleted: bool = False
    obsolete: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)


Change = Callable[[Transaction], T]


@dataclass(slots=True)
class _Job:
    change: Change[object]
    staged: Sequence[str]
    answer: asyncio.Future[object] | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """An answer or an error for each job of a batch, and what to clear away."""

    answers: list[object]
    obsolete: list[str]


def discard(transaction: Transaction, places: Sequence[str]) -> int:
    """Remove those blobs that no version names; the answer is how many.

    Safe against a `complete_upload` that is about to name one: both look under the index's write lock.
    """
    before = len(transaction.aside)
    for place in places:
        if transaction.db.execute(index.REFERENCED, (place,)).fetchone() is None:
            _set_aside(transaction, place)
    return len(transaction.aside) - before


def _set_aside(transaction: Transaction, place: str) -> None:
    if transaction.blobs.set_aside(place):
        transaction.aside.append(place)


class Committer:
    """Runs changes on one bucket's index. To be made and used on the event loop."""

    def __init__(
        self, db: sqlite3.Connection, blobs: BlobFolder, pool: Executor, clock: Clock, failpoint: Failpoint
    ) -> None:
        self._db = db
        self._blobs = blobs
        self._pool = pool
        self._clock = clock
        self._failpoint = failpoint
        self._waiting: list[_Job] = []
        self._busy = False
        self._closed = False
        self._idle: list[asyncio.Future[None]] = []

    def submit(self, change: Change[T], staged: Sequence[str] = ()) -> "asyncio.Future[T]":
        """Queue a change; the future brings its answer, once durable, or its StoreError.

        `staged` are blobs made for it, removed if it fails. NoSuchBucket if the bucket has been deleted meanwhile.
        """
        if self._closed:
            for place in staged:
                self._pool.submit(self._blobs.remove, place)
            raise NoSuchBucket
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(change, staged, answer))
        if not self._busy:
            self._start()
        return cast("asyncio.Future[T]", answer)

    async def close(self) -> None:
        """Take nothing more, and wait until nothing is queued or under way."""
        self._closed = True
        while self._busy:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    def _start(self) -> None:
        batch, self._waiting = self._waiting, []
        self._busy = True
        loop = asyncio.get_running_loop()
        work = self._pool.submit(self._transact, batch)
        work.add_done_callback(lambda done: loop.call_soon_threadsafe(self._finish, batch, done))

    def _finish(self, batch: Sequence[_Job], done: Future[_Outcome]) -> None:
        error = done.exception()
        if error is None:
            outcome = done.result()
            for job, answer in zip(batch, outcome.answers, strict=True):
                _tell(job, answer)
            if outcome.obsolete:
                self._waiting.append(_Job(partial(discard, places=outcome.obsolete), (), None))
        else:
            for job in batch:
                _tell(job, error)
        self._busy = False
        if self._waiting:
            self._start()
        else:
            for idle in self._idle:
                if not idle.done():
                    idle.set_result(None)
            self._idle.clear()

    def _transact(self, batch: Sequence[_Job]) -> _Outcome:
        db = self._db
        transaction = Transaction(db, self._blobs, int(self._clock.now() * 1000))
        answers: list[object] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            _, transaction.deleted = index.incarnation(db)
            for job in batch:
                try:
                    if transaction.deleted:
                        raise NoSuchBucket
                    answers.append(job.change(transaction))
                except StoreError as error:
                    answers.append(error)
                    for place in job.staged:
                        _set_aside(transaction, place)
            self._failpoint("rows written")
            db.execute("COMMIT")
            self._failpoint("rows committed")
        except (OSError, sqlite3.Error) as error:
            # The staged blobs stay for the sweep: if the log was written but not synced, a crash may yet bring the rows
            # to light.
            raise converted(error) from error
        finally:
            if db.in_transaction:
                db.rollback()
            if transaction.aside:
                self._pool.submit(self._blobs.remove_aside, transaction.aside)
        return _Outcome(answers, transaction.obsolete)


def _tell(job: _Job, answer: object) -> None:
    if job.answer is None or job.answer.done():  # nobody asked, or whoever asked was cancelled
        return
    if isinstance(answer, BaseException):
        job.answer.set_exception(answer)
    else:
        job.answer.set_result(answer)
