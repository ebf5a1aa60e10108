"""Multipart uploads over the backend's own ones.

Parts go up under their own numbers, so that the latest attempt replaces the one before. A part that can only be the
last is parked in the scratch bucket, since the object's footer has to follow it in the same backend part. Complete may
be repeated: whether the object that stands is the one of this upload is told by its envelope, which no other has.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from kms_core.clock import Clock
from sseproxy.store.contract import (
    Committed,
    Expectation,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    StoredHeaders,
    StoredPart,
    StoreFailure,
    Unsupported,
)

from . import listing, reading
from .bodies import Body
from .capabilities import Capabilities, Order
from .client import Client, Request
from .conditions import conditions
from .documents import completion, read_document
from .errors import Answer, refusal
from .etags import bare, quoted, shown
from .headers import ENVELOPE, http_time, to_backend
from .places import LAST_NUMBER, AtBackend, Parked, parked_key, parks, read_place

_PAGE = 1000


class PartBody:
    """The stage of a part."""

    def __init__(self, body: Body, number: int, size: int, key: str | None) -> None:
        self._body = body
        self._number = number
        self._size = size
        self._key = key

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stage.write`."""
        await self._body.write(data)

    async def abort(self) -> None:
        """See `Stage.abort`."""
        await self._body.abort()

    async def commit(self, etag: str | None) -> StoredPart:
        """See `PartStage.commit`."""
        answer = await self._body.finish()
        found = etag_of(answer)
        place = (
            AtBackend(self._number, self._size, found)
            if self._key is None
            else Parked(self._number, self._size, self._key)
        )
        return StoredPart(shown(found), str(place), http_time(answer.headers, "date"))


class Uploads:
    """Uploads at one backend, their parked parts in `scratch`. `park_seconds`: how long a sweep leaves a parked part
    alone that nobody claims, since another proxy may be about to."""

    def __init__(
        self, client: Client, capabilities: Capabilities, scratch: str, clock: Clock, park_seconds: float
    ) -> None:
        self.can = capabilities
        self._client = client
        self._scratch = scratch
        self._clock = clock
        self._park_seconds = park_seconds

    async def create(self, bucket: str, key: str, headers: StoredHeaders) -> str:
        """The backend's UploadId. NoSuchBucket, Unsupported."""
        sent = to_backend(headers, keeps_redirect=self.can.keeps_redirect)
        answer = await self._client.expect(
            Request("POST", bucket, key, query=(("uploads", ""),), headers=sent), again=False
        )
        upload = read_document(answer.body).text("UploadId")
        if not upload:
            raise StoreFailure("the backend began an upload without an id")
        return upload

    def stage(self, bucket: str, key: str, upload: str, number: int, size: int) -> PartBody:
        """Begin a part."""
        if parks(number, size):
            parked = parked_key(bucket, upload, number, secrets.token_hex(16))
            return PartBody(self._body(Request("PUT", self._scratch, parked), size), number, size, parked)
        return PartBody(self._body(_part_request(bucket, key, upload, number), size), number, size, None)

    async def open_part(self, bucket: str, place: str, first: int, last: int) -> AsyncIterator[bytes]:
        """Bytes of a parked part. NoSuchUpload; Unsupported for one that the backend has: no S3 server shows those."""
        where = read_place(bucket, place)
        if isinstance(where, AtBackend):
            raise Unsupported("parts at an S3 backend cannot be read before they are an object")
        async for block in self._open_parked(where, first, last):
            yield block

    async def complete(
        self,
        bucket: str,
        key: str,
        upload: str,
        headers: StoredHeaders,
        parts: Sequence[tuple[str, int]],
        tail: bytes,
        expect: Expectation | None,
        highest: int,
    ) -> Committed:
        """See `ObjectStore.complete_upload`."""
        places = [read_place(bucket, place) for place, _ in parts]
        if not places or any(where.size != size for where, (_, size) in zip(places, parts, strict=True)):
            raise NoSuchUpload(upload)
        size = sum(where.size for where in places) + len(tail)
        try:
            etag = await self._complete(bucket, key, upload, places, tail, expect, highest)
        except (NoSuchUpload, PreconditionFailed):
            made = await self._made(bucket, key, headers, size)
            if made is None or "-" not in made[0]:
                raise
            done = made[1]
        else:
            made = await self._made(bucket, key, headers, size)
            done = made[1] if made is not None else Committed(shown(etag), "null", float(int(self._clock.now())))
        await self.discard(bucket, [place for place, _ in parts])
        return done

    async def abort(self, bucket: str, key: str, upload: str) -> None:
        """Forget it; one that the backend does not know is forgotten."""
        answer = await self._client.ask(Request("DELETE", bucket, key, query=(("uploadId", upload),)), again=True)
        if not answer.ok and answer.status != 404:
            raise refusal(answer, "AbortMultipartUpload")

    async def discard(self, bucket: str, places: Sequence[str]) -> None:
        """Drop parked parts. What the backend has under a part's number is replaced, or goes with the upload."""
        for where in _parked(bucket, places):
            await self._drop(where.key)

    async def sweep(self, bucket: str, keep: Collection[str], *, at_once: bool = False) -> int:
        """Drop what is parked for `bucket`, not in `keep`, and old enough; how many that were."""
        kept = {where.key for where in _parked(bucket, keep)}
        before = self._clock.now() - (0 if at_once else self._park_seconds)
        dropped, after, more = 0, "", True
        while more:
            page = await listing.page(self._client, self._scratch, Order.BYTES, f"{bucket}/", "", after, _PAGE)
            for row in page.rows:
                if row.key not in kept and int(row.modified) <= before:
                    await self._drop(row.key)
                    dropped += 1
            more = page.truncated
            after = page.rows[-1].key if page.rows else ""
        return dropped

    async def _complete(
        self,
        bucket: str,
        key: str,
        upload: str,
        places: Sequence[AtBackend | Parked],
        tail: bytes,
        expect: Expectation | None,
        highest: int,
    ) -> str:
        async def current() -> str:
            answer = await self._client.ask(Request("HEAD", bucket, key), again=True)
            if not answer.ok:
                raise NoSuchKey(key) if answer.status == 404 else refusal(answer, "HEAD")
            return etag_of(answer)

        sent = await conditions(
            expect, current, if_absent=self.can.complete_if_absent, if_match=self.can.complete_if_match
        )
        listed = [(where.number, quoted(where.etag)) for where in places if isinstance(where, AtBackend)]
        last = places[-1]
        if len(listed) + isinstance(last, Parked) != len(places):
            raise StoreFailure("sseproxy.store.s3.multipart: a parked part is not the last one")
        if isinstance(last, Parked):
            stage = self.stage_raw(bucket, key, upload, last.number, last.size + len(tail))
            etag = await _pour(stage, self._open_parked(last, 0, last.size - 1), tail)
            listed.append((last.number, quoted(etag)))
        elif tail:
            # Part 10,000 is always parked, so that number is never another part's.
            number = min(max(highest, last.number) + 1, LAST_NUMBER)
            etag = await _pour(self.stage_raw(bucket, key, upload, number, len(tail)), None, tail)
            listed.append((number, quoted(etag)))
        return await self.complete_raw(bucket, key, upload, listed, sent)

    def stage_raw(self, bucket: str, key: str, upload: str, number: int, size: int) -> Body:
        """A backend part, whatever its size."""
        return self._body(_part_request(bucket, key, upload, number), size)

    async def complete_raw(
        self, bucket: str, key: str, upload: str, listed: Sequence[tuple[int, str]], sent: dict[str, str]
    ) -> str:
        """The backend's Complete; the ETag of the object. Repeating it is safe: a second one finds the object, or no
        upload. A 200 may hold an error (API Reference, CompleteMultipartUpload)."""
        body = completion(listed)
        request = Request("POST", bucket, key, query=(("uploadId", upload),), headers=sent, body=body)

        async def once() -> str:
            answer = await self._client.expect(request, again=False)
            root = read_document(answer.body)
            if root.name != "CompleteMultipartUploadResult":
                raise refusal(answer, request.name)
            return bare(root.text("ETag"))

        return await self._client.endpoint.retries.run(once)

    async def _made(self, bucket: str, key: str, headers: StoredHeaders, size: int) -> tuple[str, Committed] | None:
        """The backend's ETag and our answer, if the object under `key` is the one with this envelope and size."""
        answer = await self._client.ask(Request("HEAD", bucket, key), again=True)
        found = answer.headers
        if not answer.ok or found.get(ENVELOPE) != headers.envelope or found.get("content-length") != str(size):
            return None
        etag = etag_of(answer)
        return etag, Committed(shown(etag), version_of(answer), http_time(found, "last-modified"))

    async def _open_parked(self, where: Parked, first: int, last: int) -> AsyncIterator[bytes]:
        request = Request("GET", self._scratch, where.key)
        async for block in reading.blocks(self._client, request, first, last, None, NoSuchUpload):
            yield block

    def _body(self, request: Request, size: int) -> Body:
        return Body(self._client, request, size, again=True, checked=self.can.checks_crc32c)

    async def _drop(self, key: str) -> None:
        answer = await self._client.ask(Request("DELETE", self._scratch, key), again=True)
        if not answer.ok and answer.status != 404:
            raise refusal(answer, "DELETE of a parked part")


def etag_of(answer: Answer) -> str:
    """The backend's ETag. StoreFailure if it gave none."""
    etag = bare(answer.headers.get("etag", ""))
    if not etag:
        raise StoreFailure("the backend's answer has no ETag")
    return etag


def version_of(answer: Answer) -> str:
    """The backend's version id."""
    return answer.headers.get("x-amz-version-id") or "null"


def _parked(bucket: str, places: Iterable[str]) -> list[Parked]:
    """Those of the places that are parked parts of this bucket; what is no place of ours is nothing of ours."""
    found = []
    for place in places:
        with contextlib.suppress(NoSuchUpload):
            where = read_place(bucket, place)
            if isinstance(where, Parked):
                found.append(where)
    return found


def _part_request(bucket: str, key: str, upload: str, number: int) -> Request:
    return Request("PUT", bucket, key, query=(("partNumber", str(number)), ("uploadId", upload)))


async def _pour(stage: Body, blocks: AsyncIterator[bytes] | None, tail: bytes) -> str:
    """Bytes of the backend and the tail, into one part; its ETag."""
    try:
        if blocks is not None:
            async for block in blocks:
                await stage.write(block)
        await stage.write(tail)
        return etag_of(await stage.finish())
    except BaseException:
        await stage.abort()
        raise
