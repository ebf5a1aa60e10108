"""The folders under a store's root: `buckets/<name>/` (index and blobs), `trash/`, and `lock`.

Invariants: a bucket's folder appears and disappears by one rename, so it is always whole; what lies in `trash/` belongs
to nobody; the renames hold `lock` exclusively, whereas opening and closing an index hold it shared. The last is needed
because SQLite removes the log of a database by *path* when its last connection closes ("How To Corrupt An SQLite
Database File", on renamed files): without the lock that could hit the log of a bucket just made anew.

Everything here blocks, and runs on worker threads; errors are OSError and sqlite3.Error besides those of the contract.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sseproxy.store.contract import BucketExists, NoSuchBucket

from . import index
from .blobs import Failpoint, sync_folder

BLOBS_NAME: Final = "blobs"

_BUCKET: Final = re.compile(r"[a-z0-9.-]{3,63}", re.ASCII)


class Folders:
    """The root of a store, made if it is missing."""

    def __init__(self, root: Path, failpoint: Failpoint) -> None:
        self._buckets = root / "buckets"
        self.trash: Final = root / "trash"
        self._lock = root / "lock"
        self._failpoint = failpoint
        self._buckets.mkdir(parents=True, exist_ok=True)
        self.trash.mkdir(exist_ok=True)
        self._lock.touch(0o600)
        sync_folder(root)

    def bucket(self, name: str) -> Path:
        """Where the bucket lies. NoSuchBucket for whatever is no bucket name: it becomes a file name here."""
        if not _BUCKET.fullmatch(name):
            raise NoSuchBucket(name)
        return self._buckets / name

    @contextlib.contextmanager
    def held(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the lock. Each use opens the file anew: flock belongs to an open file, threads must not share it."""
        fd = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            yield
        finally:
            os.close(fd)

    def create(self, name: str) -> None:
        """Make an empty bucket, durably. BucketExists."""
        home = self.bucket(name)
        with self.held(exclusive=True):
            self._bury(home)
            if home.exists():
                raise BucketExists(name)
            draft = self.trash / secrets.token_hex(16)
            (draft / BLOBS_NAME).mkdir(parents=True)
            index.create(draft / index.INDEX_NAME)
            fd = os.open(draft / index.INDEX_NAME, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            sync_folder(draft)
            self._failpoint("bucket drafted")
            draft.rename(home)
            self._failpoint("bucket placed")
            sync_folder(self._buckets)

    def bury(self, name: str) -> None:
        """Take away the bucket's folder if its index is marked as deleted; else leave it."""
        with self.held(exclusive=True):
            buried = self._bury(self.bucket(name))
        if buried is not None:
            shutil.rmtree(buried, ignore_errors=True)

    def empty_trash(self) -> None:
        """Remove everything in the trash."""
        with self.held(exclusive=True):
            for leftover in self.trash.iterdir():
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink(missing_ok=True)

    def _bury(self, home: Path) -> Path | None:
        if not home.exists():
            return None
        db = index.connect(home / index.INDEX_NAME, writes=False)
        try:
            _, deleted = index.incarnation(db)
            if not deleted:
                return None
            grave = self.trash / secrets.token_hex(16)
            home.rename(grave)
            self._failpoint("bucket buried")
        finally:
            db.close()
        sync_folder(self._buckets)
        sync_folder(self.trash)
        return grave
