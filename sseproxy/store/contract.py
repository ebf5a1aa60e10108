"""What a store promises: verbs of storage over opaque bytes, the same for a folder of files and for an S3 server.

A store knows nothing of keys, callers or plaintext. Names are the client's own bucket and key names; sizes are stored
(ciphertext) bytes. Promises every implementation keeps, and `tests/contracts/store.py` holds them to:

- what `commit`, `complete_upload` or `delete` answered survives a crash of the process and of the machine;
- a body that was not committed is never visible, and leaves nothing behind after `abort` or `sweep`;
- an object is replaced whole or not at all; a reader sees one version, never a mix (`Replaced` instead);
- memory stays bounded whatever the size of a body.

Every method is called on the event loop; an implementation keeps what blocks off it.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


class StoreError(Exception):
    """Anything a store can answer besides success."""


class NoSuchBucket(StoreError):
    """The bucket does not exist at the store."""


class BucketExists(StoreError):
    """A bucket of that name exists already."""


class BucketNotEmpty(StoreError):
    """Only an empty bucket can be deleted."""


class NoSuchKey(StoreError):
    """No object under that key (or no such version of it)."""


class NoSuchUpload(StoreError):
    """The upload is unknown, or its parts are gone."""


class PreconditionFailed(StoreError):
    """An `Expectation` did not hold at the moment of the commit; nothing was changed."""


class Replaced(StoreError):
    """The version that a stat described is gone; stat again."""


class Unsupported(StoreError):
    """The store cannot do this, and does not emulate it."""


class OutOfSpace(StoreError):
    """No room for the body; nothing was committed."""


class Busy(StoreError):
    """The store asks to be left alone for a moment; the same call may succeed later."""


class StoreFailure(StoreError):
    """The store is broken or unreachable."""


@dataclass(frozen=True, slots=True)
class StoredHeaders:
    """What lies with an object: the envelope (base64url text), S3's system headers (`content-type`, `cache-control`
    ...) and user metadata (names without `x-amz-meta-`). Names are lower-case; values are canonical ASCII, trimmed.
    There is always a `content-type`: an S3 server makes one up where none was sent."""

    envelope: str
    system: tuple[tuple[str, str], ...]
    user: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """One version of one object. `size` is stored bytes, `modified` seconds since the epoch, `handle` the store's own
    pointer to exactly this version (opaque to everyone else)."""

    key: str
    version: str
    size: int
    etag: str
    modified: float
    headers: StoredHeaders
    handle: object


@dataclass(frozen=True, slots=True)
class Expectation:
    """Conditions on the current object, checked atomically with the commit: `absent` (If-None-Match: *) or `etag`
    (If-Match; the bare ETag without quotes). A missing object fails `etag` with NoSuchKey."""

    absent: bool = False
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made: the ETag that clients see (without quotes), the version id (`null` when unversioned)."""

    etag: str
    version: str
    modified: float


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part at rest: the ETag that clients see, and `place`, the store's own name for these bytes."""

    etag: str
    place: str
    modified: float


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of a listing: an object version, or a common prefix (`prefix` true; then only `key` counts)."""

    key: str
    prefix: bool = False
    version: str = "null"
    latest: bool = True
    size: int = 0
    etag: str = ""
    modified: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing in S3's order (UTF-8 bytes). `truncated` says that more follows the last row."""

    rows: tuple[Listed, ...]
    truncated: bool


class Stage(Protocol):
    """A body on its way in. Exactly one of `commit` and `abort` ends it; `abort` may be repeated, and after a failed
    `commit` it is harmless."""

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next stored bytes. The buffer may be reused after the call returns. OutOfSpace, StoreFailure."""
        ...

    async def abort(self) -> None:
        """Drop everything written."""
        ...


class ObjectStage(Stage, Protocol):
    """The body of an object."""

    async def commit(self, etag: str | None) -> Committed:
        """Make the body the current object, durably. `etag` is the one to keep, where the store keeps ours.

        Checks that as many bytes came as were announced. PreconditionFailed, NoSuchKey (for an expected ETag),
        NoSuchBucket, OutOfSpace, StoreFailure: then nothing has changed.
        """
        ...


class PartStage(Stage, Protocol):
    """The body of one part."""

    async def commit(self, etag: str | None) -> StoredPart:
        """Keep the part, durably, until it is completed or discarded."""
        ...


class ObjectStore(Protocol):
    """A place for buckets and objects."""

    keeps_etags: bool
    """True where `commit` keeps the ETag it is given, False where the backend makes its own."""

    async def create_bucket(self, bucket: str) -> None:
        """BucketExists if it is there."""
        ...

    async def delete_bucket(self, bucket: str) -> None:
        """NoSuchBucket, BucketNotEmpty. No commit that races with it is lost: the later one fails."""
        ...

    async def stat(self, bucket: str, key: str, version: str | None = None) -> ObjectStat:
        """The current (or named) version, with no body byte read. NoSuchBucket, NoSuchKey."""
        ...

    def open(self, stat: ObjectStat, first: int, last: int) -> AsyncIterator[bytes]:
        """Stored bytes `first` to `last`, inclusive, of exactly the version in `stat`, in blocks of at most 1 MiB.

        Replaced if it is gone before the first block; StoreFailure if bytes are missing.
        """
        ...

    async def stage(
        self, bucket: str, key: str, headers: StoredHeaders, size: int, expect: Expectation | None = None
    ) -> ObjectStage:
        """Begin a body of `size` stored bytes. `expect` holds at the commit; it is given here because an S3 server is
        told of it before the body. NoSuchBucket; Unsupported for a name or an expectation the store cannot keep."""
        ...

    async def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete the current objects under `keys`, durably; absent ones count as deleted. NoSuchBucket."""
        ...

    async def list(
        self, bucket: str, prefix: str, delimiter: str, after: str, limit: int, *, inclusive: bool = False
    ) -> Page:
        """Up to `limit` rows whose keys begin with `prefix` and come after `after` (or at it, when `inclusive`).

        With a delimiter, keys that share `prefix + x + delimiter` roll up to one common-prefix row (key = that prefix);
        an `after` that lies within a common prefix, or equals it, skips the whole of it. NoSuchBucket.
        """
        ...

    async def create_upload(self, bucket: str, key: str, headers: StoredHeaders) -> str:
        """Begin a multipart upload; the answer is the client's UploadId. NoSuchBucket."""
        ...

    async def stage_part(self, bucket: str, key: str, upload: str, number: int, size: int) -> PartStage:
        """Begin a part of `size` stored bytes; several attempts at one number may run at once. NoSuchBucket."""
        ...

    def open_part(self, bucket: str, place: str, first: int, last: int) -> AsyncIterator[bytes]:
        """Stored bytes of a part that is not yet part of an object. NoSuchUpload."""
        ...

    async def complete_upload(
        self,
        bucket: str,
        key: str,
        upload: str,
        headers: StoredHeaders,
        parts: Sequence[tuple[str, int]],
        tail: bytes,
        etag: str | None,
        expect: Expectation | None,
        *,
        highest: int | None = None,
    ) -> Committed:
        """Make `parts` (place, stored size) followed by `tail` the current object. Repeating it gives the same answer
        as long as the object it made stands. NoSuchUpload if part bytes are gone; else as `ObjectStage.commit`.
        `highest` is the highest part number that the upload has (left out: those of `parts` are all): above it a store
        that must give the tail a number of its own overwrites nobody's part."""
        ...

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Forget an upload that will not be completed; its parts are discarded apart. An unknown one is forgotten."""
        ...

    async def discard_parts(self, bucket: str, places: Sequence[str]) -> None:
        """Drop part bytes that belong to no object; others are left alone."""
        ...

    async def sweep(self, bucket: str, keep: Collection[str]) -> int:
        """At start-up, with no request in flight: drop bodies that belong to no object and to no part in `keep`.
        Answers how many were dropped."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of every resource."""
        ...
