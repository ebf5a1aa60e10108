"""Buckets with their settings; uploads in progress and their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "bucket",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("encryption", sa.Text),
        sa.Column("policy", sa.Text),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("bucket", sa.Text, nullable=False, index=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("initiator", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("checksum", sa.Text),
        sa.Column("ended", sa.Float),
        sa.Column("result", sa.Text),
    )
    op.create_table(
        "part",
        sa.Column("upload", sa.Text, sa.ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("etag", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("sums", sa.LargeBinary, nullable=False),
        sa.Column("modified", sa.Float, nullable=False),
    )
