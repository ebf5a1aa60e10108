"""The files that hold large bodies: `blobs/xx/<32 hex>`, `xx` being the name's first two digits.

A blob is named at random, written once, synced (file, then directory), and only then named by an index row; the name is
also the `place` of a part. Object keys never become file names. Everything here blocks, and runs on worker threads.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from sseproxy.store.contract import NoSuchBucket

Failpoint = Callable[[str], None]
"""Called with a step's name at that step: a crash test kills the process there, a fault test raises OSError."""

_NAME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_fully(fd: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`: pwrite may take less than it is given."""
    while data:
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written


class BlobFolder:
    """The blobs of one bucket. Every method may raise OSError."""

    def __init__(self, path: Path, trash: Path, failpoint: Failpoint) -> None:
        self._path = path
        self._trash = trash
        self._failpoint = failpoint
        self._synced: set[str] = set()

    @staticmethod
    def new_place() -> str:
        """A name that no blob has had."""
        return secrets.token_hex(16)

    def create(self, place: str) -> int:
        """Make the file of `place` and open it for writing. NoSuchBucket if the folder is gone."""
        path = self._file(place)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            fd = os.open(path, flags, 0o600)
        except FileNotFoundError:
            try:
                path.parent.mkdir(exist_ok=True)
            except FileNotFoundError as error:
                raise NoSuchBucket from error
            fd = os.open(path, flags, 0o600)
        return fd

    def sync(self, fd: int, place: str) -> None:
        """Make the file and its name durable. NoSuchBucket if the folder is gone."""
        self._failpoint("blob written")
        os.fsync(fd)
        self._failpoint("blob synced")
        shelf = self._file(place).parent
        try:
            sync_folder(shelf)
            if shelf.name not in self._synced:
                # Whoever made the shelf may not have synced it yet: nobody relies on it before having done so once.
                sync_folder(self._path)
                self._synced.add(shelf.name)
        except FileNotFoundError as error:
            raise NoSuchBucket from error
        self._failpoint("blob folder synced")

    def open(self, place: str) -> int:
        """Open for reading. FileNotFoundError if there is no such blob."""
        return os.open(self._file(place), os.O_RDONLY | os.O_CLOEXEC)

    def size(self, place: str) -> int | None:
        """Bytes in the blob, None if there is no such blob."""
        try:
            return self._file(place).stat().st_size
        except FileNotFoundError:
            return None

    def remove(self, place: str) -> None:
        """Unlink, if it is there. Not synced: what a crash brings back, a sweep takes away."""
        self._file(place).unlink(missing_ok=True)

    def set_aside(self, place: str) -> bool:
        """Move into the trash; the answer is whether it was there. To unlink takes 0.2 s for each GiB, too long under
        the index's lock: this takes microseconds, and `remove_aside` does the rest."""
        try:
            self._file(place).rename(self._trash / place)
        except FileNotFoundError:
            return False
        self._failpoint("blob set aside")
        return True

    def remove_aside(self, places: Iterable[str]) -> None:
        """Unlink what was set aside."""
        for place in places:
            (self._trash / place).unlink(missing_ok=True)

    def places(self) -> Iterator[str]:
        """Every blob there is."""
        for shelf in self._path.iterdir():
            for file in shelf.iterdir():
                if _NAME.fullmatch(file.name):
                    yield file.name

    def _file(self, place: str) -> Path:
        if not _NAME.fullmatch(place):
            raise FileNotFoundError(f"not the name of a blob: {place!r}")
        return self._path / place[:2] / place
