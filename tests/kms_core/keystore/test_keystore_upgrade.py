"""The schema's history: from nothing to the present one, again and again; a schema from elsewhere is refused."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError
from testkit.proxy import Proxy, running

from kms_core.keystore import schema
from kms_core.keystore.sql import sqlite_engine
from kms_core.keystore.upgrade import KMS_CORE, UnknownSchema, check, upgrade


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = sqlite_engine(tmp_path / "control.sqlite", writing=True)
    yield made
    made.dispose()


def test_an_empty_file_is_brought_to_the_schema_that_the_code_declares(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
    with engine.begin() as connection:
        check(connection, KMS_CORE)
        migrated = MigrationContext.configure(connection, opts={"version_table": KMS_CORE.version_table})
        assert compare_metadata(migrated, schema.metadata) == []
        assert set(schema.metadata.tables) < set(inspect(connection).get_table_names())


def test_a_second_upgrade_changes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
        connection.execute(text("INSERT INTO account VALUES ('000000000001', 'kept', 1)"))
    with engine.begin() as connection:
        before = connection.execute(text("SELECT sql FROM sqlite_master ORDER BY name")).fetchall()
        upgrade(connection, KMS_CORE)
        assert connection.execute(text("SELECT sql FROM sqlite_master ORDER BY name")).fetchall() == before
        assert connection.execute(text("SELECT name FROM account")).scalar_one() == "kept"


def test_an_upgrade_that_is_rolled_back_leaves_an_empty_file(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="no"), engine.begin() as connection:  # noqa: PT012 - the block fails
        upgrade(connection, KMS_CORE)
        raise RuntimeError("no")
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []


def test_an_empty_file_is_no_schema_that_the_code_knows(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(UnknownSchema, match="sseproxy db upgrade"):
        check(connection, KMS_CORE)


def test_a_schema_from_newer_code_is_neither_served_nor_upgraded(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
        connection.execute(text("UPDATE kms_core_version SET version_num = '9999'"))
    with engine.begin() as connection, pytest.raises(UnknownSchema, match="9999"):
        check(connection, KMS_CORE)
    with engine.begin() as connection, pytest.raises(UnknownSchema):
        upgrade(connection, KMS_CORE)


def test_foreign_keys_are_enforced_on_every_connection(engine: Engine) -> None:
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("INSERT INTO kms_material VALUES ('no such key', 1, 'id', x'00')"))


def test_every_connection_syncs_its_commits(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2


def test_a_server_refuses_to_start_on_a_schema_that_it_does_not_know(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data):
        pass
    raw = sqlite3.connect(data / "control.sqlite")
    with raw:
        raw.execute("UPDATE kms_core_version SET version_num = '9999'")
    raw.close()
    refused = Proxy(data)
    with pytest.raises(AssertionError, match="did not start"):
        refused.start()
    assert refused.process is not None
    assert refused.process.wait(60) != 0
    refused.process.stderr.close()  # type: ignore[union-attr]
