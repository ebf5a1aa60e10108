"""A store's answers as S3's errors: the one table."""

from sseproxy.s3 import errors as s3
from sseproxy.store import contract as store

_TABLE: tuple[tuple[type[store.StoreError], type[s3.S3Error]], ...] = (
    (store.NoSuchBucket, s3.NoSuchBucket),
    (store.NoSuchKey, s3.NoSuchKey),
    (store.NoSuchUpload, s3.NoSuchUpload),
    (store.BucketNotEmpty, s3.BucketNotEmpty),
    (store.BucketExists, s3.BucketAlreadyExists),
    (store.PreconditionFailed, s3.PreconditionFailed),
    (store.Replaced, s3.ConditionalRequestConflict),
    (store.Unsupported, s3.NotImplementedYet),
    (store.OutOfSpace, s3.SlowDown),
    (store.Busy, s3.SlowDown),
)


def as_s3_error(problem: store.StoreError) -> s3.S3Error:
    """What the client is told. What a store cannot do it says itself, in words that are fit for everybody."""
    if isinstance(problem, store.Unsupported) and problem.args:
        return s3.NotImplementedYet(f"The store behind this endpoint does not support that: {problem.args[0]}")
    for ours, theirs in _TABLE:
        if isinstance(problem, ours):
            return theirs()
    return s3.InternalError()
