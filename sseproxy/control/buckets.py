"""Buckets and their settings: read from snapshots, written in transactions."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, insert, select, update

from kms_core.keystore.contract import Topic, Transaction
from sseproxy.control import schema

AES256 = "AES256"
AWS_KMS = "aws:kms"


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """A bucket's default encryption. `key` is echoed as it was given, and not checked before it is used, as on AWS."""

    algorithm: str
    key: str | None = None
    bucket_key: bool = False


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket: its owner's account, its region, when it was made (seconds since the epoch), its settings."""

    name: str
    account: str
    region: str
    created: float
    encryption: BucketEncryption | None = None
    policy: str | None = None


def _as_bucket(row: Row[tuple[object, ...]]) -> Bucket:
    encryption = None if row.encryption is None else BucketEncryption(**json.loads(row.encryption))
    return Bucket(row.name, row.account, row.region, row.created, encryption, row.policy)


def _all(connection: Connection) -> dict[str, Bucket]:
    return {row.name: _as_bucket(row) for row in connection.execute(select(schema.bucket))}


def _one(connection: Connection, name: str) -> Bucket | None:
    row = connection.execute(select(schema.bucket).where(schema.bucket.c.name == name)).one_or_none()
    return None if row is None else _as_bucket(row)


BUCKETS: Topic[Bucket] = Topic("bucket", _all, _one)


def create(transaction: Transaction, bucket: Bucket) -> None:
    """Write a bucket that does not exist yet."""
    values = {"name": bucket.name, "account": bucket.account, "region": bucket.region, "created": bucket.created}
    transaction.connection.execute(insert(schema.bucket).values(values))
    transaction.changed(BUCKETS, bucket.name)


def remove(transaction: Transaction, name: str) -> None:
    """Forget a bucket, with the uploads in it."""
    transaction.connection.execute(delete(schema.upload).where(schema.upload.c.bucket == name))
    transaction.connection.execute(delete(schema.bucket).where(schema.bucket.c.name == name))
    transaction.changed(BUCKETS, name)


def _set(transaction: Transaction, name: str, column: str, value: str | None) -> None:
    transaction.connection.execute(update(schema.bucket).where(schema.bucket.c.name == name).values({column: value}))
    transaction.changed(BUCKETS, name)


def set_encryption(transaction: Transaction, name: str, encryption: BucketEncryption | None) -> None:
    """Put or remove the default encryption."""
    text = None
    if encryption is not None:
        fields = {"algorithm": encryption.algorithm, "key": encryption.key, "bucket_key": encryption.bucket_key}
        text = json.dumps(fields)
    _set(transaction, name, "encryption", text)


def set_policy(transaction: Transaction, name: str, policy: str | None) -> None:
    """Put or remove the bucket policy."""
    _set(transaction, name, "policy", policy)
