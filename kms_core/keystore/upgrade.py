"""Bring a control database to the schema that this code knows, with Alembic; refuse one that it does not know.

Each package keeps a history of its own (`Schema`), in a version table of its own, so that `kms_core` stands alone.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection


class UnknownSchema(Exception):
    """The database is of a schema that this code does not know."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A history of migrations: the package that holds `migrations/`, and the table that says how far a database is."""

    package: str
    version_table: str


KMS_CORE = Schema("kms_core.keystore", "kms_core_version")


def _config(schema: Schema, location: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, version_table=schema.version_table)
    return config


def run_migrations() -> None:
    """What every history's `env.py` does."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"], version_table=attributes["version_table"], transactional_ddl=True
    )
    context.run_migrations()


def upgrade(connection: Connection, schema: Schema) -> None:
    """Run what is missing. UnknownSchema if the database comes from newer code."""
    with as_file(files(schema.package) / "migrations") as location:
        try:
            command.upgrade(_config(schema, str(location), connection), "head")
        except CommandError as problem:
            raise UnknownSchema(f"{schema.version_table}: {problem}") from problem


def check(connection: Connection, schema: Schema) -> None:
    """UnknownSchema unless the database is exactly at this code's schema."""
    with as_file(files(schema.package) / "migrations") as location:
        head = ScriptDirectory.from_config(_config(schema, str(location), connection)).get_current_head()
    migrated = MigrationContext.configure(connection, opts={"version_table": schema.version_table})
    found = migrated.get_current_revision()
    if found != head:
        raise UnknownSchema(
            f"the database is at {schema.version_table}={found}, this code needs {head}: run `sseproxy db upgrade`"
        )
