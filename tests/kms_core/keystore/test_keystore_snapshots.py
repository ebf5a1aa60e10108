"""Snapshots are exact: every commit is in the next one, in this process and in any other; a rollback is in none."""

import multiprocessing
import sqlite3
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from kms_core.keystore import schema
from kms_core.keystore.contract import Snapshot, Topic, Transaction
from kms_core.keystore.sql import SqliteDatabase, sqlite_engine
from kms_core.keystore.topics import ACCOUNTS, ALIASES, KEYS, TOPICS, USERS, user_id
from kms_core.keystore.upgrade import KMS_CORE, upgrade
from kms_core.model import Account

Open = Callable[[], SqliteDatabase]
KEY_ARN = "arn:aws:kms:us-east-1:000000000001:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A control database at the present schema, with nothing in it."""
    engine = sqlite_engine(tmp_path / "control.sqlite", writing=True)
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
    engine.dispose()
    return tmp_path / "control.sqlite"


@pytest.fixture
def open_database(path: Path) -> Iterator[Open]:
    opened: list[SqliteDatabase] = []

    def open_one() -> SqliteDatabase:
        opened.append(SqliteDatabase(path, TOPICS))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


def add_account(transaction: Transaction, number: int, name: str = "an account") -> str:
    row = f"{number:012}"
    transaction.connection.execute(insert(schema.account).values(id=row, name=name, created=float(number)))
    transaction.changed(ACCOUNTS, row)
    return row


def add_key(transaction: Transaction) -> None:
    key = {"arn": KEY_ARN, "key_id": KEY_ARN.rpartition("/")[2], "account": "000000000001", "region": "us-east-1"}
    more = {"created": 1.0, "state": "Enabled", "description": "", "usage": "ENCRYPT_DECRYPT", "policy": "{}"}
    last = {"spec": "SYMMETRIC_DEFAULT", "origin": "AWS_KMS", "manager": "CUSTOMER", "multi_region": False}
    transaction.connection.execute(insert(schema.key).values(key | more | last))
    transaction.connection.execute(insert(schema.material).values(key_arn=KEY_ARN, version=1, id="m", sealed=b"s"))
    transaction.changed(KEYS, KEY_ARN)


def ids(snapshot: Snapshot) -> set[str]:
    return set(snapshot.all(ACCOUNTS))


def test_a_commit_is_in_the_next_snapshot_of_every_database_on_the_file(open_database: Open) -> None:
    one, two = open_database(), open_database()
    for number in range(30):
        writer, reader = (one, two) if number % 2 else (two, one)
        with writer.begin() as transaction:
            row = add_account(transaction, number)
        assert reader.snapshot().get(ACCOUNTS, row) == Account(row, "an account", float(number))
        assert ids(writer.snapshot()) == ids(reader.snapshot())
        assert len(ids(writer.snapshot())) == number + 1


def test_an_uncommitted_write_is_in_no_snapshot(open_database: Open) -> None:
    one, two = open_database(), open_database()
    with one.begin() as transaction:
        add_account(transaction, 1)
        assert ids(one.snapshot()) == ids(two.snapshot()) == set()
    assert ids(one.snapshot()) == ids(two.snapshot()) == {"000000000001"}


def test_a_rollback_leaves_no_trace(open_database: Open, path: Path) -> None:
    database = open_database()
    with database.begin() as transaction:
        add_account(transaction, 1)
    before = database.snapshot()
    with pytest.raises(RuntimeError, match="no"), database.begin() as transaction:  # noqa: PT012 - the block fails
        add_account(transaction, 2)
        transaction.connection.execute(update(schema.account).values(name="changed"))
        transaction.changed(ACCOUNTS, "000000000001")
        raise RuntimeError("no")
    after = database.snapshot()
    assert (after.seq, dict(after.all(ACCOUNTS))) == (before.seq, dict(before.all(ACCOUNTS)))
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*) FROM account").fetchone() == (1,)
        assert raw.execute("SELECT count(*) FROM change").fetchone() == (1,)
    raw.close()


def test_a_writer_can_go_on_after_a_rollback(open_database: Open) -> None:
    database = open_database()
    with pytest.raises(RuntimeError, match="no"), database.begin() as transaction:  # noqa: PT012 - the block fails
        add_account(transaction, 1)
        raise RuntimeError("no")
    with database.begin() as transaction:
        add_account(transaction, 2)
    assert ids(database.snapshot()) == {"000000000002"}


def test_a_snapshot_stays_as_it_was_when_the_database_goes_on(open_database: Open) -> None:
    database = open_database()
    with database.begin() as transaction:
        add_account(transaction, 1)
    old = database.snapshot()
    with database.begin() as transaction:
        transaction.connection.execute(update(schema.account).values(name="renamed"))
        transaction.changed(ACCOUNTS, "000000000001")
        add_account(transaction, 2)
    assert ids(old) == {"000000000001"}
    assert old.all(ACCOUNTS)["000000000001"].name == "an account"
    assert database.snapshot().all(ACCOUNTS)["000000000001"].name == "renamed"


def test_nothing_new_means_the_very_same_snapshot(open_database: Open) -> None:
    database = open_database()
    assert database.snapshot() is database.snapshot()


def test_a_removed_row_is_gone_and_its_neighbours_are_not(open_database: Open) -> None:
    one, two = open_database(), open_database()
    with one.begin() as transaction:
        for number in range(3):
            add_account(transaction, number)
    assert len(ids(two.snapshot())) == 3
    with one.begin() as transaction:
        transaction.connection.execute(delete(schema.account).where(schema.account.c.id == "000000000001"))
        transaction.changed(ACCOUNTS, "000000000001")
    assert ids(two.snapshot()) == {"000000000000", "000000000002"}


def test_a_key_follows_its_tags_aliases_and_material(open_database: Open) -> None:
    one, two = open_database(), open_database()
    with one.begin() as transaction:
        add_key(transaction)
    assert two.snapshot().get(KEYS, KEY_ARN).tags == ()
    alias = {"arn": "arn:alias", "name": "alias/a", "account": "000000000001", "region": "us-east-1"}
    with one.begin() as transaction:
        connection = transaction.connection
        connection.execute(insert(schema.tag).values(key_arn=KEY_ARN, name="b", value="2", position=1))
        connection.execute(insert(schema.tag).values(key_arn=KEY_ARN, name="a", value="1", position=0))
        connection.execute(insert(schema.alias).values(**alias, target=KEY_ARN, created=1.0, updated=1.0))
        connection.execute(insert(schema.material).values(key_arn=KEY_ARN, version=2, id="n", sealed=b"t"))
        transaction.changed(KEYS, KEY_ARN)
        transaction.changed(ALIASES, "arn:alias")
    for database in (one, two, open_database()):
        key = database.snapshot().get(KEYS, KEY_ARN)
        assert key.tags == (("a", "1"), ("b", "2"))
        assert key.aliases == ("alias/a",)
        assert key.current.id == "n"
        assert database.snapshot().get(ALIASES, "arn:alias").target == KEY_ARN


def test_following_row_by_row_and_loading_everything_give_the_same_snapshot(open_database: Open) -> None:
    following = open_database()
    following.snapshot()
    for number in range(25):
        with following.begin() as transaction:
            row = add_account(transaction, number)
            user = {"account": row, "name": "u", "path": "/", "user_id": f"AIDA{number}", "created": 1.0}
            transaction.connection.execute(insert(schema.user).values(user))
            transaction.changed(USERS, user_id(row, "u"))
        following.snapshot()
    fresh = open_database().snapshot()
    assert len(ids(fresh)) == 25
    for topic in TOPICS:
        assert dict(following.snapshot().all(topic)) == dict(fresh.all(topic))
    assert following.snapshot().seq == fresh.seq


def test_only_what_changed_is_read_again(path: Path) -> None:
    """A row that changes without being named stays as the snapshot knew it: the log is what is followed."""
    loads: list[str] = []
    counted: Topic[Account] = Topic(
        ACCOUNTS.name,
        ACCOUNTS.load_all,
        lambda connection, row: loads.append(row) or ACCOUNTS.load(connection, row),  # type: ignore[func-returns-value]
    )
    database = SqliteDatabase(path, [counted])
    for number in range(3):
        with database.begin() as transaction:
            add_account(transaction, number)
    assert ids(database.snapshot()) == {f"{number:012}" for number in range(3)}
    assert loads == []  # the first snapshot reads everything
    with database.begin() as transaction:
        add_account(transaction, 7)
    assert len(ids(database.snapshot())) == 4
    assert loads == ["000000000007"]
    database.close()


def test_a_snapshot_that_has_fallen_behind_the_log_loads_everything(open_database: Open) -> None:
    behind, busy = open_database(), open_database()
    with busy.begin() as transaction:
        add_account(transaction, 1)
    old = behind.snapshot()
    with busy.begin() as transaction:  # more changes than the log keeps
        add_account(transaction, 2)
        many = [{"topic": ACCOUNTS.name, "id": "000000000001"}] * 10_500
        transaction.connection.execute(insert(schema.change), many)
    with busy.read() as connection:
        oldest = connection.execute(select(schema.change.c.seq).order_by(schema.change.c.seq).limit(1)).scalar_one()
        assert oldest > old.seq + 1
    assert ids(behind.snapshot()) == ids(busy.snapshot()) == {"000000000001", "000000000002"}
    with busy.begin() as transaction:  # and from there on it follows again
        add_account(transaction, 3)
    assert ids(behind.snapshot()) == {"000000000001", "000000000002", "000000000003"}


def test_a_foreign_writer_without_our_code_is_seen_too(open_database: Open, path: Path) -> None:
    """The version that SQLite keeps tells it, not something inside our process."""
    database = open_database()
    assert ids(database.snapshot()) == set()
    raw = sqlite3.connect(path)
    with raw:
        raw.execute("INSERT INTO account VALUES ('000000000009', 'n', 1)")
        raw.execute("INSERT INTO change (topic, id) VALUES ('account', '000000000009')")
    raw.close()
    assert ids(database.snapshot()) == {"000000000009"}


# Other processes


def _serve(path: Path, pipe: Connection) -> None:
    """Another process on the file: writes what it is told, tells what it sees."""
    database = SqliteDatabase(path, TOPICS)
    while (order := pipe.recv()) is not None:
        if isinstance(order, int):
            with database.begin() as transaction:
                add_account(transaction, order)
        pipe.send(ids(database.snapshot()))
    database.close()


def test_two_processes_see_each_others_commits_at_the_next_snapshot(open_database: Open, path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(path, theirs))
    process.start()
    database = open_database()
    expected: set[str] = set()
    for number in range(20):
        expected.add(f"{number:012}")
        if number % 2:
            ours.send(number)
        else:
            with database.begin() as transaction:
                add_account(transaction, number)
            ours.send("look")
        assert ours.recv() == expected
        assert ids(database.snapshot()) == expected
    ours.send(None)
    process.join(30)
    assert process.exitcode == 0


def _write_many(path: Path, start: int, count: int) -> None:
    database = SqliteDatabase(path, TOPICS)
    for number in range(start, start + count):
        with database.begin() as transaction:
            add_account(transaction, number)
    database.close()


def test_writers_in_threads_and_processes_lose_no_row_and_no_change(open_database: Open, path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(path, 1000 * n, 25)) for n in (1, 2)]
    for process in processes:
        process.start()
    database = open_database()

    def write(start: int) -> None:
        for number in range(start, start + 25):
            with database.begin() as transaction:
                row = add_account(transaction, number)
            assert row in ids(database.snapshot())

    threads = [threading.Thread(target=write, args=(1000 * n,)) for n in (3, 4, 5)]
    for thread in threads:
        thread.start()
    for worker in (*threads, *processes):
        worker.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    expected = {f"{1000 * n + i:012}" for n in range(1, 6) for i in range(25)}
    assert ids(database.snapshot()) == expected == ids(open_database().snapshot())
    assert database.snapshot().seq == len(expected)


def test_what_a_writer_reads_is_what_it_changes(open_database: Open) -> None:
    """Read-modify-write from several threads over two databases: no update is lost."""
    one, two = open_database(), open_database()
    with one.begin() as transaction:
        add_account(transaction, 1, name="0")

    def count(database: SqliteDatabase) -> None:
        for _ in range(20):
            with database.begin() as transaction:
                present = transaction.connection.execute(select(schema.account.c.name)).scalar_one()
                transaction.connection.execute(update(schema.account).values(name=str(int(present) + 1)))
                transaction.changed(ACCOUNTS, "000000000001")

    threads = [threading.Thread(target=count, args=(database,)) for database in (one, two, one)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert two.snapshot().all(ACCOUNTS)["000000000001"].name == "60"
