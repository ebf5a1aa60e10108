"""The proxy's tables, beside the key service's in one database. Times are seconds since the epoch."""

from sqlalchemy import Column, Float, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

from kms_core.keystore.upgrade import Schema

HISTORY = Schema("sseproxy.control", "sseproxy_version")

metadata = MetaData()

bucket = Table(
    "bucket",
    metadata,
    Column("name", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("encryption", Text),
    Column("policy", Text),
)

upload = Table(
    "upload",
    metadata,
    Column("id", Text, primary_key=True),
    Column("bucket", Text, nullable=False, index=True),
    Column("key", Text, nullable=False),
    Column("initiator", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("headers", Text, nullable=False),
    Column("checksum", Text),
    Column("ended", Float),
    Column("result", Text),
)
"""`headers` are what will lie with the object, `result` the answer of a finished upload, kept for repeats."""

part = Table(
    "part",
    metadata,
    Column("upload", Text, ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("place", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("sums", LargeBinary, nullable=False),
    Column("modified", Float, nullable=False),
)
"""The latest attempt of each part. `size` is plaintext bytes; `sums`, the plaintext's checksums, are sealed."""
