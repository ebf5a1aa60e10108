"""The journal: one JSON record a line, each naming the hash of the line before it, in one file a day.

`{"seq": 7, "prev": "<SHA-256 of line 6>", "event": {...}}`. A line that is edited, removed, added or moved breaks the
chain at a place that `verify` names. `head` (fixed size, memory-mapped) holds the number, hash, file and length of the
last line, so a journal cut off at its end is noticed too.

Several processes write one journal: a line is written under `flock`, after a look at `head`. `append` returns when the
line is with the operating system: it survives the death of this process, and by default reaches the disk within a
second (`sync="always"`: before `append` returns). Whoever can rewrite the whole folder can rewrite the chain; signed
digests are what answers that, and they are not here yet.
"""

import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import orjson

from kms_core.audit.event import AuditEvent, as_cloudtrail

_HEAD = struct.Struct(">8sQQ32s8s")
_MAGIC = b"ssepjrn1"
_FIRST = bytes(32)
Sync = Literal["second", "always"]


class JournalError(Exception):
    """The journal cannot be written, or does not verify; the text names the file and line."""


class Journal(Protocol):
    """Where events go before their effects do."""

    def append(self, *events: AuditEvent) -> None:
        """Write events, in order and all together. JournalError: then the call must fail."""
        ...


def _json(record: dict[str, object]) -> bytes:
    """The record's JSON. Text that is no Unicode (a lone surrogate in a request) must not keep an event out."""
    try:
        return orjson.dumps(record)
    except TypeError:
        text = json.dumps(record, ensure_ascii=False, default=str)
        return text.encode("utf-8", "replace")


@lru_cache(maxsize=4)
def _day(days: int) -> bytes:
    """The name of the file of a day, counted from the epoch."""
    return datetime.fromtimestamp(days * 86_400, UTC).strftime("%Y%m%d").encode()


@dataclass(frozen=True, slots=True)
class _Head:
    """The end of the chain: lines written, bytes in the present file, hash of the last line, day of the file."""

    seq: int
    length: int
    last: bytes
    day: bytes


class FileJournal:
    """The journal in a folder."""

    def __init__(self, folder: Path, sync: Sync = "second") -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._sync = sync
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._dirty = False
        self._unsynced: OSError | None = None
        self._day = b""
        self._file = -1
        self._head_file = os.open(folder / "head", os.O_RDWR | os.O_CREAT, 0o600)
        with self._alone():
            if os.fstat(self._head_file).st_size < _HEAD.size:
                os.ftruncate(self._head_file, _HEAD.size)
            self._map = mmap.mmap(self._head_file, _HEAD.size)
            if self._map[:8] != _MAGIC:
                self._put(_Head(0, 0, _FIRST, b"00000000"))
            self._recover()
        self._flusher = threading.Thread(target=self._flush_each_second, name="journal-sync", daemon=True)
        if sync == "second":
            self._flusher.start()

    def _alone(self) -> "_Flock":
        return _Flock(self._head_file)

    def _get(self) -> _Head:
        _, seq, length, last, day = _HEAD.unpack(self._map[: _HEAD.size])
        return _Head(seq, length, last, day)

    def _put(self, head: _Head) -> None:
        self._map[: _HEAD.size] = _HEAD.pack(_MAGIC, head.seq, head.length, head.last, head.day)

    def _path(self, day: bytes) -> Path:
        return self._folder / f"{day.decode()}.jsonl"

    def _open(self, day: bytes) -> None:
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
        self._file = os.open(self._path(day), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._day = day

    def _catch_up(self, head: _Head) -> _Head:
        """The head that the present file's bytes make of `head`.

        Longer than the head says: a process died between its line and its head; whole lines are taken up, a torn one is
        dropped (its call never returned). Shorter: lines were removed, or a power failure took them. The journal goes
        on, since a server that can't write events can't serve, but the numbers don't close the gap: `verify` names it.
        """
        size = os.fstat(self._file).st_size
        if size < head.length:
            if size and os.pread(self._file, 1, size - 1) != b"\n":
                size += os.write(self._file, b"\n")  # half a line stays, by itself: the next one must not join it
            return self._mark(_Head(head.seq, size, head.last, head.day))
        rest = os.pread(self._file, size - head.length, head.length)
        whole = rest[: rest.rfind(b"\n") + 1]
        for line in whole.splitlines(keepends=True):
            head = _Head(head.seq + 1, head.length + len(line), hashlib.sha256(line).digest(), head.day)
        if len(whole) < len(rest):
            os.ftruncate(self._file, head.length)
        return self._mark(head)

    def _mark(self, head: _Head) -> _Head:
        self._put(head)
        return head

    def _recover(self) -> None:
        """At the start: catch up with the head's file, and with those of later days."""
        head = self._get()
        later = sorted(path.stem.encode() for path in self._folder.glob("*.jsonl") if path.stem.encode() > head.day)
        for day in (head.day, *later):
            if self._path(day).exists():
                self._open(day)
                head = self._catch_up(head if day == head.day else _Head(head.seq, 0, head.last, day))

    def append(self, *events: AuditEvent) -> None:
        """Write events. JournalError if that fails for whatever reason."""
        if self._unsynced is not None:
            raise JournalError("the audit journal cannot be brought to the disk") from self._unsynced
        bodies = [_json(as_cloudtrail(event)) for event in events]
        day = _day(int(events[0].facts.at) // 86_400)
        try:
            with self._lock, self._alone():
                self._write(day, bodies)
                if self._sync == "always":
                    os.fdatasync(self._file)
                self._dirty = True
        except (OSError, ValueError) as problem:
            raise JournalError("the audit journal cannot be written") from problem

    def _write(self, day: bytes, bodies: Sequence[bytes]) -> None:
        head = self._get()
        if day > head.day:
            head = _Head(head.seq, 0, head.last, day)
        if head.day != self._day:
            self._open(head.day)
        if os.fstat(self._file).st_size != head.length:
            head = self._catch_up(head)
        lines, seq, last = [], head.seq, head.last
        for body in bodies:
            seq += 1
            line = b'{"seq":%d,"prev":"%s","event":%s}\n' % (seq, last.hex().encode(), body)
            last = hashlib.sha256(line).digest()
            lines.append(line)
        block = b"".join(lines)
        if os.write(self._file, block) != len(block):
            os.ftruncate(self._file, head.length)
            raise JournalError("the audit journal cannot be written: the disk is full")
        self._put(_Head(seq, head.length + len(block), last, head.day))

    def _flush_each_second(self) -> None:
        while not self._closing.wait(1.0):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            copy = os.dup(self._file)
        try:
            os.fdatasync(copy)
        except OSError as problem:
            self._unsynced = problem  # what was handed over may be lost: from now on every call fails
        finally:
            os.close(copy)

    def close(self) -> None:
        """Bring everything to the disk and let go."""
        self._closing.set()
        if self._flusher.is_alive():
            self._flusher.join()
        if self._file >= 0:
            self._flush()
            os.close(self._file)
        self._map.flush()
        self._map.close()
        os.close(self._head_file)


class _Flock:
    """`flock` as a block. The kernel lets go of it when its process dies."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def read_lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    """Every line with its file and number, oldest first."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield path, number, line


def read_events(folder: Path) -> Iterator[dict[str, object]]:
    """Every event, oldest first, with no check of the chain; what is no record is passed over."""
    for _, _, line in read_lines(folder):
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            yield orjson.loads(line)["event"]


def verify(folder: Path) -> int:
    """Walk the whole chain; answers how many records it has. JournalError names the first line that does not fit.

    Safe beside a server at work: the head is read first, so the walk must reach at least as far as it says.
    """
    head_seq, head_last = _read_head(folder)
    seq, last = 0, _FIRST
    for path, number, line in read_lines(folder):
        where = f"{path.name} line {number}"
        if seq >= head_seq and not line.endswith(b"\n"):
            break  # being written at this moment
        try:
            record = orjson.loads(line)
            found, prev = record["seq"], record["prev"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as problem:
            raise JournalError(f"{where} is no journal record") from problem
        if found != seq + 1:
            raise JournalError(f"{where} is record {found}, but record {seq + 1} is due: records were removed or moved")
        if prev != last.hex():
            raise JournalError(f"{where} does not follow from the record before it: one of the two was edited")
        seq, last = found, hashlib.sha256(line).digest()
        if seq == head_seq and last != head_last:
            raise JournalError(f"record {seq} ({where}) was edited")
    if seq < head_seq:
        raise JournalError(f"the journal ends at record {seq}, but record {head_seq} was written: the end was cut off")
    return seq


def _read_head(folder: Path) -> tuple[int, bytes]:
    try:
        magic, seq, _, last, _ = _HEAD.unpack((folder / "head").read_bytes()[: _HEAD.size])
    except (OSError, struct.error) as problem:
        raise JournalError(f"there is no journal in {folder}, or its head is missing") from problem
    if magic != _MAGIC:
        raise JournalError(f"{folder / 'head'} is no journal's head")
    return seq, last
