"""The control database on SQLite: WAL, every commit synced, one writer at a time.

A snapshot is exact. `PRAGMA data_version` tells, in a microsecond, whether any other connection (this process's writers
and other processes alike) has committed since; if so the `change` table names the rows to read again. Committing marks
what is older than `_KEPT_CHANGES` for removal; a snapshot that has fallen further behind reads everything.

PostgreSQL is a second implementation of the same contract, and is not here yet.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, delete, event, func, insert, select

from kms_core.keystore import schema
from kms_core.keystore.contract import Snapshot, T, Topic

_KEPT_CHANGES = 10_000
_BUSY_SECONDS = 30.0


def sqlite_engine(path: Path, *, writing: bool) -> Engine:
    """An engine on the file. A writing one begins IMMEDIATE, so that what a writer reads is what it will change; a
    reading one leaves BEGIN and COMMIT to its user."""
    engine = create_engine(
        f"sqlite:///{path}", poolclass=QueuePool, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver issues no BEGIN of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    if writing:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


@dataclass(frozen=True, slots=True)
class SqlTransaction:
    """A write in progress."""

    connection: Connection

    def changed(self, topic: Topic[T], row_id: str) -> None:
        """Log the row for the snapshots."""
        self.connection.execute(insert(schema.change).values(topic=topic.name, id=row_id))


class SqliteDatabase:
    """The control database in one SQLite file."""

    def __init__(self, path: Path, topics: Sequence[Topic[object]]) -> None:
        self._engine = sqlite_engine(path, writing=True)
        self._topics = {topic.name: topic for topic in topics}
        self._refreshing = threading.Lock()
        self._writing = threading.Lock()
        self._reading = sqlite_engine(path, writing=False)
        self._reader = self._reading.connect()
        raw = self._reader.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise TypeError("kms_core.keystore.sql: the driver is not sqlite3")
        self._raw = raw
        self._version = -1
        self._snapshot = Snapshot(-1, {name: {} for name in self._topics})

    def snapshot(self) -> Snapshot:
        """The present state."""
        with self._refreshing:
            (version,) = self._raw.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._refresh()
                self._version = version
            return self._snapshot

    def _refresh(self) -> None:
        """Bring the snapshot up to the database, inside one read transaction.

        A commit that lands between `PRAGMA data_version` and this read is read now and seen once more by the next
        call: work done twice, never a change missed.
        """
        old = self._snapshot
        self._raw.execute("BEGIN")
        try:
            newest, oldest = self._raw.execute("SELECT max(seq), min(seq) FROM change").fetchone()
            newest = newest or 0
            if old.seq < 0 or (oldest or 0) > old.seq + 1:
                rows = {name: topic.load_all(self._reader) for name, topic in self._topics.items()}
                self._snapshot = Snapshot(newest, rows)
            elif newest > old.seq:
                self._snapshot = self._follow(old, newest)
        finally:
            self._raw.execute("COMMIT")

    def _follow(self, old: Snapshot, newest: int) -> Snapshot:
        """A snapshot with the rows read again that changed after `old`."""
        rows = {name: old.all(topic) for name, topic in self._topics.items()}
        query = "SELECT DISTINCT topic, id FROM change WHERE seq > ? ORDER BY topic"
        fresh: dict[str, dict[str, object]] = {}
        for name, row_id in self._raw.execute(query, (old.seq,)).fetchall():
            if name not in fresh:
                fresh[name] = dict(rows[name])
            row = self._topics[name].load(self._reader, row_id)
            if row is None:
                fresh[name].pop(row_id, None)
            else:
                fresh[name][row_id] = row
        return Snapshot(newest, {**rows, **fresh})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read rows that no snapshot holds."""
        with self._reading.connect() as connection:
            yield connection

    @contextmanager
    def begin(self) -> Iterator[SqlTransaction]:
        """Open a write transaction. In this process writers wait for each other here, others at SQLite's lock."""
        with self._writing, self._engine.begin() as connection:
            yield SqlTransaction(connection)
            newest = connection.execute(select(func.max(schema.change.c.seq))).scalar_one() or 0
            connection.execute(delete(schema.change).where(schema.change.c.seq <= newest - _KEPT_CHANGES))

    def close(self) -> None:
        """Let go of every connection."""
        with self._refreshing:
            self._reader.close()
        self._reading.dispose()
        self._engine.dispose()
