"""A page of the index against the naive model: roll every key up, sort by UTF-8 bytes, cut."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sseproxy.store.filesystem import index, listing

# Few letters, so that prefixes and delimiters meet; U+FFFD and U+1F600 change places between UTF-8 and UTF-16.
TEXT = st.text(alphabet="ab/-\u00e9\ufffd\U0001f600\U0010ffff", max_size=6)
KEYS = st.sets(TEXT.filter(bool), max_size=25)

_INSERT = (
    "INSERT INTO version (key, version, latest, marker, size, etag, modified, headers) "
    "VALUES (?, 'null', 1, 0, 1, 'e', 1000, '')"
)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("listing") / index.INDEX_NAME
    index.create(path)
    opened = index.connect(path, writes=True)
    opened.execute("PRAGMA synchronous = OFF")
    yield opened
    opened.close()


def fill(db: sqlite3.Connection, keys: set[str]) -> None:
    """Make `keys` the whole bucket."""
    db.execute("BEGIN")
    db.execute("DELETE FROM version")
    db.executemany(_INSERT, [(key.encode(),) for key in keys])
    db.execute("COMMIT")


def rows_of(keys: set[str], prefix: str, delimiter: str) -> list[str]:
    """Every row of a listing, in order."""
    rows = set()
    for key in keys:
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            rows.add(prefix + head + delimiter if found else key)
    return sorted(rows, key=str.encode)


@given(
    keys=KEYS,
    prefix=TEXT,
    delimiter=st.sampled_from(["", "/", "-", "a", "/a", "\U0010ffff"]),
    after=TEXT,
    limit=st.integers(0, 10),
    inclusive=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_a_page_is_the_naive_models_page(
    db: sqlite3.Connection, keys: set[str], prefix: str, delimiter: str, after: str, limit: int, inclusive: bool
) -> None:
    fill(db, keys)
    mark = after.encode()
    rows = [row for row in rows_of(keys, prefix, delimiter) if (row.encode(), inclusive) > (mark, False)]
    page = listing.page(db, prefix, delimiter, after, limit, inclusive=inclusive)
    assert [row.key for row in page.rows] == rows[:limit]
    assert page.truncated is (0 < limit < len(rows))
    assert all(row.prefix is (row.key not in keys or _rolled(row.key, prefix, delimiter)) for row in page.rows)


@given(keys=KEYS, prefix=TEXT, delimiter=st.sampled_from(["", "/", "/a"]), limit=st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_pages_put_together_are_the_whole_listing(
    db: sqlite3.Connection, keys: set[str], prefix: str, delimiter: str, limit: int
) -> None:
    fill(db, keys)
    got: list[str] = []
    after, truncated = "", True
    while truncated:
        page = listing.page(db, prefix, delimiter, after, limit, inclusive=False)
        got += [row.key for row in page.rows]
        truncated = page.truncated
        after = got[-1] if got else ""
    assert got == rows_of(keys, prefix, delimiter)


def test_a_common_prefix_costs_a_seek_and_not_a_scan(db: sqlite3.Connection) -> None:
    fill(db, {f"many/{number:05}" for number in range(20_000)} | {"zz"})
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_progress_handler(count, 100)
    page = listing.page(db, "", "/", "", 10, inclusive=False)
    db.set_progress_handler(None, 0)
    assert [row.key for row in page.rows] == ["many/", "zz"]
    assert steps <= 3, "20,000 rows would be thousands of hundreds of SQLite instructions"


def _rolled(row: str, prefix: str, delimiter: str) -> bool:
    return bool(delimiter) and delimiter in row[len(prefix) :]
