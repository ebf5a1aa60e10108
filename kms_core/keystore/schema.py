"""The key service's tables (SQLAlchemy Core). Times are seconds since the epoch; secrets are sealed."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects import sqlite

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

change = Table(
    "change",
    metadata,
    Column("seq", BigInteger().with_variant(sqlite.INTEGER(), "sqlite"), primary_key=True, autoincrement=True),
    Column("topic", Text, nullable=False),
    Column("id", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Which rows of which topic changed: what lets a snapshot follow the database row by row."""

account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created", Float, nullable=False),
)

user = Table(
    "iam_user",
    metadata,
    Column("account", Text, ForeignKey("account.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("user_id", Text, nullable=False, unique=True),
    Column("created", Float, nullable=False),
)

user_policy = Table(
    "iam_user_policy",
    metadata,
    Column("account", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

access_key = Table(
    "access_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, ForeignKey("account.id"), nullable=False),
    Column("user", Text),
    Column("sealed", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created", Float, nullable=False),
)

key = Table(
    "kms_key",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("key_id", Text, nullable=False, index=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("usage", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("manager", Text, nullable=False),
    Column("multi_region", Boolean, nullable=False),
    Column("deletion_at", Float),
    Column("pending_window", Integer),
    Column("policy", Text, nullable=False),
)

material = Table(
    "kms_material",
    metadata,
    Column("key_arn", Text, ForeignKey("kms_key.arn", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

alias = Table(
    "kms_alias",
    metadata,
    Column("arn", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("target", Text, nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
)

tag = Table(
    "kms_tag",
    metadata,
    Column("key_arn", Text, ForeignKey("kms_key.arn", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("position", Integer, nullable=False),
)
