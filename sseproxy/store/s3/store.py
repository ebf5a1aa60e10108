"""`ObjectStore` over any S3 server: names one to one, and all that is needed to read an object beside it.

Invariants: a stat, a small read's GET, a PUT and a page of a listing are one request each; an ETag that goes out is a
shown one (`etags.py`), one that goes to the backend is the backend's; what the backend cannot do, it was asked for at
the start (`probing.py`) and is refused. State of ours at the backend: parked parts in the scratch bucket, nothing else.

Left out on purpose: a conditional write that the backend lacks is not emulated, and a listing is not re-sorted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from kms_core.clock import Clock
from sseproxy.store.contract import (
    Committed,
    Expectation,
    NoSuchBucket,
    NoSuchKey,
    ObjectStage,
    ObjectStat,
    Page,
    PartStage,
    Replaced,
    StoredHeaders,
    StoreFailure,
    Unsupported,
)

from . import listing, probing, reading
from .bodies import Body
from .buckets import Buckets
from .capabilities import MAX_PUT, Capabilities
from .client import Client, Endpoint, Request
from .conditions import conditions
from .deleting import delete
from .errors import Answer, refusal
from .etags import shown
from .headers import from_backend, http_time, to_backend
from .multipart import Uploads, etag_of, version_of
from .names import check_key, shapes
from .objects import InternalMultipart, SinglePut

SCRATCH: Final = "ssep-scratch"
_T = TypeVar("_T")
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Handle:
    """A version at the backend: its bucket there, its ETag there, its version id."""

    bucket: str
    etag: str
    version: str


class S3Store:
    """See `ObjectStore`.

    `prefix` goes before every bucket's name at the backend. `scratch` is the bucket for parked parts; it is made if it
    is not there, and must have no versions. `max_put`: stored bytes of the largest body that goes up in one PUT.
    Nothing is asked of the backend before the first call.
    """

    keeps_etags = False

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        clock: Clock,
        prefix: str = "",
        scratch: str = SCRATCH,
        max_put: int = MAX_PUT,
        park_seconds: float = _DAY,
        capabilities: Capabilities | None = None,
    ) -> None:
        """ValueError for an endpoint that is none."""
        self._client = Client(endpoint, clock)
        self._buckets = Buckets(self._client)
        self._clock = clock
        self.prefix: Final = prefix
        self._scratch = prefix + scratch
        self._max_put = max_put
        self._park_seconds = park_seconds
        self._can = capabilities
        self._started: Uploads | None = None
        self._starting = asyncio.Lock()

    async def capabilities(self) -> Capabilities:
        """What the backend can do, once it was asked. StoreFailure."""
        return (await self._uploads()).can

    async def create_bucket(self, bucket: str) -> None:
        """See `ObjectStore.create_bucket`."""
        if self.prefix + bucket == self._scratch:
            raise Unsupported("that name is the scratch bucket's")
        await self._buckets.create(self._at(bucket))

    async def delete_bucket(self, bucket: str) -> None:
        """See `ObjectStore.delete_bucket`; what is parked for the bucket goes too."""
        uploads = await self._uploads()
        await self._buckets.delete(self._at(bucket))
        await uploads.sweep(self._at(bucket), (), at_once=True)

    async def stat(self, bucket: str, key: str, version: str | None = None) -> ObjectStat:
        """See `ObjectStore.stat`: one HEAD."""
        at, can = self._at(bucket), await self.capabilities()
        if shapes(key) & can.refused_keys:
            await self._buckets.require(at)
            raise NoSuchKey(key)
        answer = await self._head(at, key, version)
        found = answer.headers
        try:
            size = int(found["content-length"])
        except (KeyError, ValueError) as problem:
            raise StoreFailure("the backend's answer has no length") from problem
        etag, this = etag_of(answer), version_of(answer)
        if version not in (None, this):
            raise NoSuchKey(key)  # a server without versions takes any id for the current one
        handle = Handle(at, etag, this)
        return ObjectStat(key, this, size, shown(etag), http_time(found, "last-modified"), from_backend(found), handle)

    async def open(self, stat: ObjectStat, first: int, last: int) -> AsyncIterator[bytes]:
        """See `ObjectStore.open`: one GET, with If-Match."""
        handle = stat.handle
        if not isinstance(handle, Handle):
            raise TypeError("a stat of another store")
        query = (("versionId", handle.version),) if handle.version != "null" else ()
        request = Request("GET", handle.bucket, stat.key, query=query)
        async for block in reading.blocks(self._client, request, first, last, handle.etag, Replaced):
            yield block

    async def stage(
        self, bucket: str, key: str, headers: StoredHeaders, size: int, expect: Expectation | None = None
    ) -> ObjectStage:
        """See `ObjectStore.stage`."""
        at, can, uploads = self._at(bucket), await self.capabilities(), await self._uploads()
        life = await self._buckets.require(at)
        check_key(key, can.refused_keys)

        async def current() -> str:
            return etag_of(await self._head(at, key, None))

        single = size <= self._max_put
        sent = await conditions(
            expect,
            current,
            if_absent=can.put_if_absent if single else can.complete_if_absent,
            if_match=can.put_if_match if single else can.complete_if_match,
        )
        if single:
            lying = to_backend(headers, keeps_redirect=can.keeps_redirect)
            request = Request("PUT", at, key, headers={**lying, **sent})
            return SinglePut(life, Body(self._client, request, size, again=not sent, checked=can.checks_crc32c))

        async def made(etag: str) -> Committed:
            answer = await self._head(at, key, None)
            same = etag_of(answer) == etag
            modified = http_time(answer.headers, "last-modified") if same else float(int(self._clock.now()))
            return Committed(shown(etag), version_of(answer) if same else "null", modified)

        upload = await uploads.create(at, key, headers)
        return InternalMultipart(life, uploads, at, key, upload, size, sent, made)

    async def delete(self, bucket: str, keys: Sequence[str]) -> None:
        """See `ObjectStore.delete`."""
        at, can = self._at(bucket), await self.capabilities()
        await self._buckets.require(at)
        await self._of_bucket(at, delete(self._client, at, [key for key in keys if not shapes(key) & can.refused_keys]))

    async def list(
        self, bucket: str, prefix: str, delimiter: str, after: str, limit: int, *, inclusive: bool = False
    ) -> Page:
        """See `ObjectStore.list`: one request, and one more to look at the mark itself when that counts."""
        at, can = self._at(bucket), await self.capabilities()
        page = await self._of_bucket(at, listing.page(self._client, at, can.order, prefix, delimiter, after, limit))
        if not inclusive or not after:
            return page
        mark = await self._of_bucket(at, listing.at(self._client, at, prefix, delimiter, after))
        rows = page.rows if mark is None else (mark, *page.rows)
        return Page(rows[:limit], page.truncated or len(rows) > limit)

    async def create_upload(self, bucket: str, key: str, headers: StoredHeaders) -> str:
        """See `ObjectStore.create_upload`: the backend's own."""
        at, uploads = self._at(bucket), await self._uploads()
        check_key(key, (await self.capabilities()).refused_keys)
        return await self._of_bucket(at, uploads.create(at, key, headers))

    async def stage_part(self, bucket: str, key: str, upload: str, number: int, size: int) -> PartStage:
        """See `ObjectStore.stage_part`."""
        at, uploads = self._at(bucket), await self._uploads()
        await self._buckets.require(at)
        return uploads.stage(at, key, upload, number, size)

    async def open_part(self, bucket: str, place: str, first: int, last: int) -> AsyncIterator[bytes]:
        """See `ObjectStore.open_part`; only parked parts can be read."""
        uploads = await self._uploads()
        async for block in uploads.open_part(self._at(bucket), place, first, last):
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
        """See `ObjectStore.complete_upload`."""
        at, uploads = self._at(bucket), await self._uploads()
        life = await self._buckets.require(at)
        await life.may_commit()
        with life.commit():
            done = uploads.complete(at, key, upload, headers, parts, tail, expect, highest or 0)
            return await self._of_bucket(at, done)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """See `ObjectStore.abort_upload`."""
        uploads = await self._uploads()
        await uploads.abort(self._at(bucket), key, upload)

    async def discard_parts(self, bucket: str, places: Sequence[str]) -> None:
        """See `ObjectStore.discard_parts`."""
        uploads = await self._uploads()
        await uploads.discard(self._at(bucket), places)

    async def sweep(self, bucket: str, keep: Collection[str]) -> int:
        """See `ObjectStore.sweep`: parked parts are all that can be left behind."""
        uploads = await self._uploads()
        await self._buckets.require(self._at(bucket))
        return await uploads.sweep(self._at(bucket), keep)

    async def close(self) -> None:
        """See `ObjectStore.close`."""
        await self._client.close()

    def _at(self, bucket: str) -> str:
        """The bucket's name at the backend. The scratch bucket is nobody's: NoSuchBucket."""
        if self.prefix + bucket == self._scratch:
            raise NoSuchBucket(bucket)
        return self.prefix + bucket

    async def _head(self, bucket: str, key: str, version: str | None) -> Answer:
        query = (("versionId", version),) if version not in (None, "null") else ()
        answer = await self._client.ask(Request("HEAD", bucket, key, query=query), again=True)
        if answer.ok:
            return answer
        if answer.status == 404 or (answer.status in (400, 405) and query):
            await self._buckets.require(bucket)  # a HEAD has no body to tell a missing bucket from a missing key
            raise NoSuchKey(key)
        raise refusal(answer, "HEAD")

    async def _of_bucket(self, bucket: str, call: Awaitable[_T]) -> _T:
        """The same, and the bucket is forgotten if the backend has it no more."""
        try:
            return await call
        except NoSuchBucket:
            self._buckets.forget(bucket)
            raise

    async def _uploads(self) -> Uploads:
        if self._started is None:
            async with self._starting:
                if self._started is None:
                    self._started = await self._start()
        return self._started

    async def _start(self) -> Uploads:
        """Make the scratch bucket and ask the backend what it can do, once."""
        try:
            await self._buckets.require(self._scratch)
        except NoSuchBucket:
            await self._buckets.create(self._scratch)
        can = self._can or await probing.probe(self._client, self._scratch)
        if can.versions:
            raise StoreFailure("the scratch bucket has versions: what is parked there would stay for ever")
        return Uploads(self._client, can, self._scratch, self._clock, self._park_seconds)
