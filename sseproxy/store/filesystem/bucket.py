"""One open bucket: its index connections, its committer, its blobs.

An open index stays what it is when another process deletes the bucket, or makes it anew: `is_current` tells by the
inode, which can't be re-used while it is open here.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor

from kms_core.clock import Clock
from sseproxy.store.contract import NoSuchBucket

from . import index
from .blobs import BlobFolder, Failpoint
from .commits import Committer
from .folders import BLOBS_NAME, Folders


class Bucket:
    """Made by a worker thread (it opens files), used on the event loop. NoSuchBucket, OSError, sqlite3.Error."""

    def __init__(self, folders: Folders, name: str, pool: Executor, clock: Clock, failpoint: Failpoint) -> None:
        home = folders.bucket(name)
        self.name = name
        self._folders = folders
        self._path = home / index.INDEX_NAME
        self._path_text = str(self._path)
        self._spare: list[sqlite3.Connection] = []
        self._closed = False
        with folders.held(exclusive=False):
            try:
                facts = self._path.stat()
            except FileNotFoundError:
                raise NoSuchBucket(name) from None
            self._identity = (facts.st_ino, facts.st_dev)
            self._writer = index.connect(self._path, writes=True)
            try:
                self.incarnation, deleted = index.incarnation(self._writer)
                self.reader = index.connect(self._path, writes=False)
            except BaseException:
                self._writer.close()
                raise
        self.blobs = BlobFolder(home / BLOBS_NAME, folders.trash, failpoint)
        self.committer = Committer(self._writer, self.blobs, pool, clock, failpoint)
        if deleted:
            self.close()
            folders.bury(name)
            raise NoSuchBucket(name)

    def is_current(self) -> bool:
        """Whether the bucket of this name is still this one: one system call, about 2 us."""
        try:
            facts = os.stat(self._path_text)  # noqa: PTH116 - a third cheaper than Path.stat, on every read
        except OSError:
            return False
        return (facts.st_ino, facts.st_dev) == self._identity

    @contextlib.contextmanager
    def borrowed_reader(self) -> Iterator[sqlite3.Connection]:
        """A connection for a worker thread's reads. NoSuchBucket if none is spare and the bucket is gone."""
        try:
            db = self._spare.pop()
        except IndexError:
            with self._folders.held(exclusive=False):
                # Under the lock no other bucket can come under this path between the check and the opening.
                if self._closed or not self.is_current():
                    raise NoSuchBucket(self.name) from None
                db = index.connect(self._path, writes=False)
        try:
            yield db
        finally:
            self._spare.append(db)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Let go of the index. Blocks: the last one to close copies the log into the database."""
        self._closed = True
        with self._folders.held(exclusive=False):
            for db in (self.reader, self._writer):
                db.close()
            while self._spare:
                self._spare.pop().close()
