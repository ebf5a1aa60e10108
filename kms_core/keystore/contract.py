"""What the rest of the house knows of the control database: snapshots to read, transactions to write.

A `Topic` is a family of rows that snapshots hold (keys, users, buckets ...). A write names the rows it changed with
`Transaction.changed`; every snapshot taken after its commit, in any process, has them. Reading a snapshot does no I/O
beyond asking whether anything was committed since.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Topic(Generic[T]):
    """A family of rows: `load_all` reads every one by id, `load` one (None: it is gone)."""

    name: str
    load_all: Callable[[Connection], dict[str, T]]
    load: Callable[[Connection, str], T | None]


class Snapshot:
    """The database at one moment. Immutable: a later state is another snapshot."""

    __slots__ = ("_rows", "seq")

    def __init__(self, seq: int, rows: Mapping[str, Mapping[str, object]]) -> None:
        self.seq = seq
        self._rows = rows

    def all(self, topic: Topic[T]) -> Mapping[str, T]:
        """Every row of a topic, by id."""
        return self._rows[topic.name]  # type: ignore[return-value]  # Topic[T] loaded these rows

    def get(self, topic: Topic[T], row_id: str) -> T | None:
        """One row, or None."""
        return self._rows[topic.name].get(row_id)  # type: ignore[return-value]  # as above


class Transaction(Protocol):
    """A write in progress; it is the only one of its database."""

    @property
    def connection(self) -> Connection:
        """The SQL connection, inside the transaction."""
        ...

    def changed(self, topic: Topic[T], row_id: str) -> None:
        """Tell every snapshot that this row was written or removed."""
        ...


class Database(Protocol):
    """The control database."""

    def snapshot(self) -> Snapshot:
        """The present state: exact, and cheap enough for every request."""
        ...

    def read(self) -> AbstractContextManager[Connection]:
        """A connection to read rows that no snapshot holds. It may block: not for the event loop."""
        ...

    def begin(self) -> AbstractContextManager[Transaction]:
        """Open a write transaction: committed when the block ends, undone when it raises. It may block: not for the
        event loop."""
        ...

    def close(self) -> None:
        """Let go of every connection."""
        ...
