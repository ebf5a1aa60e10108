"""Buckets and their settings: read from snapshots, written in transactions."""

import json
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, select, update

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


class BucketGone(Exception):
    """The bucket that was decided about is not there any more; one of the same name may be."""


def _same(bucket: Bucket) -> ColumnElement[bool]:
    """This very bucket: not one that somebody else made under its name after it was deleted."""
    table = schema.bucket.c
    return and_(table.name == bucket.name, table.account == bucket.account, table.created == bucket.created)


def remove(transaction: Transaction, bucket: Bucket) -> None:
    """Forget a bucket, with the uploads in it. BucketGone."""
    if transaction.connection.execute(delete(schema.bucket).where(_same(bucket))).rowcount != 1:
        raise BucketGone(bucket.name)
    transaction.connection.execute(delete(schema.upload).where(schema.upload.c.bucket == bucket.name))
    transaction.changed(BUCKETS, bucket.name)


def _set(transaction: Transaction, bucket: Bucket, column: str, value: str | None) -> None:
    done = transaction.connection.execute(update(schema.bucket).where(_same(bucket)).values({column: value}))
    if done.rowcount != 1:
        raise BucketGone(bucket.name)
    transaction.changed(BUCKETS, bucket.name)


def set_encryption(transaction: Transaction, bucket: Bucket, encryption: BucketEncryption | None) -> None:
    """Put or remove the default encryption. BucketGone."""
    text = None
    if encryption is not None:
        fields = {"algorithm": encryption.algorithm, "key": encryption.key, "bucket_key": encryption.bucket_key}
        text = json.dumps(fields)
    _set(transaction, bucket, "encryption", text)


def set_policy(transaction: Transaction, bucket: Bucket, policy: str | None) -> None:
    """Put or remove the bucket policy. BucketGone."""
    _set(transaction, bucket, "policy", policy)
