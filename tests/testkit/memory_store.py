"""`ObjectStore` in memory: the twin that keeps the contract honest, and lets other rooms be tested without a disk.

It keeps every promise but durability. Listing is done the naive way: roll all keys up, sort, cut.
"""

import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field

from kms_core.clock import Clock
from sseproxy.store.contract import (
    BucketExists,
    BucketNotEmpty,
    Committed,
    Expectation,
    Listed,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectStat,
    Page,
    PreconditionFailed,
    Replaced,
    StoredHeaders,
    StoredPart,
    StoreFailure,
)

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Object:
    """One version; its identity is the handle."""

    key: str
    body: bytes
    headers: StoredHeaders
    committed: Committed
    upload: str | None


@dataclass(slots=True)
class _Bucket:
    """Objects by key, and bytes of parts by place."""

    objects: dict[str, _Object] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)
    deleted: bool = False


class _Stage:
    """Takes the bytes of a body, and counts them."""

    def __init__(self, bucket: _Bucket, clock: Clock, size: int) -> None:
        self._bucket = bucket
        self._clock = clock
        self._size = size
        self._body = bytearray()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        if len(self._body) + memoryview(data).nbytes > self._size:
            raise StoreFailure("more bytes than announced")
        self._body += data

    async def abort(self) -> None:
        self._body.clear()

    def _whole(self) -> bytes:
        if len(self._body) != self._size:
            raise StoreFailure("fewer bytes than announced")
        return bytes(self._body)


class _ObjectStage(_Stage):
    def __init__(
        self, bucket: _Bucket, clock: Clock, size: int, key: str, headers: StoredHeaders, expect: Expectation | None
    ) -> None:
        super().__init__(bucket, clock, size)
        self._key = key
        self._headers = headers
        self._expect = expect

    async def commit(self, etag: str | None) -> Committed:
        return _put(self._bucket, self._clock, self._key, self._whole(), self._headers, etag, self._expect, None)


class _PartStage(_Stage):
    async def commit(self, etag: str | None) -> StoredPart:
        place = secrets.token_hex(16)
        self._bucket.parts[place] = self._whole()
        return StoredPart(etag or _new_etag(), place, self._clock.now())


class MemoryStore:
    """See `ObjectStore`."""

    keeps_etags = True

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    async def create_bucket(self, bucket: str) -> None:
        if bucket in self._buckets:
            raise BucketExists(bucket)
        self._buckets[bucket] = _Bucket()

    async def delete_bucket(self, bucket: str) -> None:
        if self._at(bucket).objects:
            raise BucketNotEmpty(bucket)
        self._buckets.pop(bucket).deleted = True

    async def stat(self, bucket: str, key: str, version: str | None = None) -> ObjectStat:
        found = self._at(bucket).objects.get(key)
        if found is None or version not in (None, found.committed.version):
            raise NoSuchKey(key)
        made = found.committed
        return ObjectStat(key, made.version, len(found.body), made.etag, made.modified, found.headers, found)

    async def open(self, stat: ObjectStat, first: int, last: int) -> AsyncIterator[bytes]:
        version = stat.handle
        assert isinstance(version, _Object)
        if not any(home.objects.get(stat.key) is version for home in self._buckets.values()):
            raise Replaced
        for block in _blocks(version.body, first, last):
            yield block

    async def stage(
        self, bucket: str, key: str, headers: StoredHeaders, size: int, expect: Expectation | None = None
    ) -> _ObjectStage:
        return _ObjectStage(self._at(bucket), self._clock, size, key, headers, expect)

    async def delete(self, bucket: str, keys: Sequence[str]) -> None:
        home = self._at(bucket)
        for key in keys:
            home.objects.pop(key, None)

    async def list(
        self, bucket: str, prefix: str, delimiter: str, after: str, limit: int, *, inclusive: bool = False
    ) -> Page:
        rows: dict[bytes, Listed] = {}
        for key, found in self._at(bucket).objects.items():
            if not key.startswith(prefix):
                continue
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            if at >= 0:
                common = key[: at + len(delimiter)]
                rows[common.encode()] = Listed(common, prefix=True)
            else:
                made = found.committed
                rows[key.encode()] = Listed(key, False, made.version, True, len(found.body), made.etag, made.modified)
        mark = after.encode()
        chosen = [rows[name] for name in sorted(rows) if name > mark or (inclusive and name == mark)]
        return Page(tuple(chosen[:limit]), truncated=0 < limit < len(chosen))

    async def create_upload(self, bucket: str, key: str, headers: StoredHeaders) -> str:
        self._at(bucket)
        return secrets.token_urlsafe(48)

    async def stage_part(self, bucket: str, key: str, upload: str, number: int, size: int) -> _PartStage:
        return _PartStage(self._at(bucket), self._clock, size)

    async def open_part(self, bucket: str, place: str, first: int, last: int) -> AsyncIterator[bytes]:
        body = self._at(bucket).parts.get(place)
        if body is None:
            raise NoSuchUpload(place)
        for block in _blocks(body, first, last):
            yield block

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
        home = self._at(bucket)
        current = home.objects.get(key)
        if current is not None and current.upload == upload:
            return current.committed
        _check(current, expect)
        if any(len(home.parts.get(place, b"")) != length for place, length in parts):
            raise NoSuchUpload(upload)
        body = b"".join(home.parts[place] for place, _ in parts) + tail
        committed = _put(home, self._clock, key, body, headers, etag, None, upload)
        for place, _ in parts:
            home.parts.pop(place, None)
        return committed

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        self._at(bucket)

    async def discard_parts(self, bucket: str, places: Sequence[str]) -> None:
        home = self._at(bucket)
        for place in places:
            home.parts.pop(place, None)

    async def sweep(self, bucket: str, keep: Collection[str]) -> int:
        home = self._at(bucket)
        lost = home.parts.keys() - set(keep)
        for place in lost:
            del home.parts[place]
        return len(lost)

    async def close(self) -> None:
        self._buckets.clear()

    def _at(self, bucket: str) -> _Bucket:
        try:
            return self._buckets[bucket]
        except KeyError:
            raise NoSuchBucket(bucket) from None


def _put(
    home: _Bucket,
    clock: Clock,
    key: str,
    body: bytes,
    headers: StoredHeaders,
    etag: str | None,
    expect: Expectation | None,
    upload: str | None,
) -> Committed:
    if home.deleted:
        raise NoSuchBucket
    _check(home.objects.get(key), expect)
    committed = Committed(etag or _new_etag(), "null", int(clock.now() * 1000) / 1000)
    home.objects[key] = _Object(key, body, headers, committed, upload)
    return committed


def _check(current: _Object | None, expect: Expectation | None) -> None:
    if expect is None:
        return
    if expect.absent and current is not None:
        raise PreconditionFailed
    if expect.etag is not None:
        if current is None:
            raise NoSuchKey
        if current.committed.etag != expect.etag:
            raise PreconditionFailed


def _blocks(body: bytes, first: int, last: int) -> list[bytes]:
    if last >= len(body):
        raise StoreFailure("bytes are missing")
    return [body[at : min(at + _BLOCK, last + 1)] for at in range(first, last + 1, _BLOCK)]


def _new_etag() -> str:
    return f"{secrets.token_hex(16)}-1"
