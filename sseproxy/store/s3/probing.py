"""Asks a backend what it can do, with small objects of our own in the scratch bucket, which it removes again.

Each question is one function: it does the thing and looks at what came of it, never at a name or a version of a server.
An answer that is an outright failure of the backend (5xx, silence) is no answer, and is raised.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

from sseproxy.store.contract import StoredHeaders, StoreError, StoreFailure

from .bodies import CRC32C
from .capabilities import MIN_PART, Capabilities, Order
from .client import Client, Request
from .deleting import delete
from .documents import completion, read_document
from .errors import Answer
from .etags import bare, quoted
from .headers import ENVELOPE, REDIRECT, from_backend, to_backend
from .listing import page
from .names import KeyShape

_BODY = b"asked by sseproxy"
_WRONG_CRC32C = "AAAAAA=="
_OTHER = "0" * 32
_ENVELOPE = "A" * 1500
_HEADERS = StoredHeaders(
    _ENVELOPE,
    (
        ("content-type", "text/x-probe"),
        ("content-encoding", "identity"),
        ("content-language", "de"),
        ("content-disposition", 'attachment; filename="a b"'),
        ("cache-control", "max-age=1, public"),
        ("expires", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ),
    (("empty", ""), ("encoded", "=?UTF-8?B?w6k=?="), ("spaces", "a  b"), ("under_score", "Upper")),
)
_SHAPES = {
    KeyShape.EMPTY_SEGMENT: "a//b",
    KeyShape.DOT_SEGMENT: "a/./b",
    KeyShape.TRAILING_SLASH: "folder/",
    KeyShape.BACKSLASH: "back\\slash",
    KeyShape.CONTROL: "control\x01\n",
    KeyShape.LONG_SEGMENT: "l" * 300,
}


class _Probe:
    """One round of questions, under a prefix of its own."""

    def __init__(self, client: Client, bucket: str) -> None:
        self.client = client
        self.bucket = bucket
        self.prefix = f".probe/{secrets.token_hex(8)}/"

    async def put(self, name: str, headers: dict[str, str] | None = None) -> Answer:
        """Store the probe's body under a name, whatever comes of it."""
        request = Request("PUT", self.bucket, self.prefix + name, headers=headers or {}, body=_BODY)
        return await self.client.ask(request, again=True)

    async def head(self, name: str) -> Answer:
        """What is under a name."""
        return await self.client.ask(Request("HEAD", self.bucket, self.prefix + name), again=True)

    async def names(self, prefix: str = "") -> list[str]:
        """What a listing shows, in its order."""
        found = await page(self.client, self.bucket, Order.BYTES, self.prefix + prefix, "", "", 1000)
        return [row.key.removeprefix(self.prefix) for row in found.rows]


async def probe(client: Client, bucket: str) -> Capabilities:
    """The table for the server at `client`. StoreFailure if it does not answer, or loses what lies with an object."""
    ask = _Probe(client, bucket)
    try:
        return await _table(ask)
    finally:
        await delete(client, bucket, [ask.prefix + name for name in await ask.names()])


async def _table(ask: _Probe) -> Capabilities:
    first = await ask.put("first", to_backend(_HEADERS, keeps_redirect=False))
    if not first.ok:
        raise StoreFailure(f"the backend does not store: {first.status}")
    lying = await ask.head("first")
    if from_backend(lying.headers) != _HEADERS:
        raise StoreFailure("the backend does not give back the headers that lie with an object as they were sent")
    etag = bare(lying.headers.get("etag", ""))
    await ask.put("redirected", {REDIRECT: "/elsewhere"})
    redirected = await ask.head("redirected")
    wrong = await ask.put("checked", {CRC32C: _WRONG_CRC32C})
    get = Request("GET", ask.bucket, ask.prefix + "first", headers={"if-match": quoted(_OTHER)})
    read = await ask.client.ask(get, again=True)
    copied, same_date = await _self_copy(ask, lying)
    minimum, if_absent, if_match, again = await _multipart(ask)
    return Capabilities(
        server=first.headers.get("server", "unknown"),
        put_if_absent=await _refuses(ask, {"if-none-match": "*"}),
        put_if_match=await _refuses(ask, {"if-match": quoted(_OTHER)}) and await _matches(ask),
        complete_if_absent=if_absent,
        complete_if_match=if_match,
        read_if_match=read.status == 412,
        checks_crc32c=not wrong.ok,
        keeps_redirect=redirected.headers.get(REDIRECT) == "/elsewhere",
        copy_keeps_etag=copied is not None and copied == etag,
        copy_keeps_date=same_date,
        complete_again=again,
        versions="x-amz-version-id" in first.headers and first.headers["x-amz-version-id"] != "null",
        minimum_part=minimum,
        order=await _order(ask),
        refused_keys=await _refused_keys(ask),
    )


async def _refuses(ask: _Probe, condition: dict[str, str]) -> bool:
    """Whether a condition that does not hold for `first` stops a PUT."""
    return (await ask.put("first", condition)).status in (409, 412)


async def _matches(ask: _Probe) -> bool:
    """Whether a condition that does hold for `first` lets a PUT through."""
    etag = bare((await ask.head("first")).headers.get("etag", ""))
    return (await ask.put("first", {"if-match": quoted(etag)})).ok


async def _self_copy(ask: _Probe, before: Answer) -> tuple[str | None, bool]:
    """The ETag after a copy to itself with other metadata, and whether the date stayed."""
    source = f"/{ask.bucket}/{ask.prefix}first"
    headers = {"x-amz-copy-source": source, "x-amz-metadata-directive": "REPLACE", ENVELOPE: "B"}
    await _until_another_second(ask, before)
    request = Request("PUT", ask.bucket, ask.prefix + "first", headers=headers)
    if not (await ask.client.ask(request, again=True)).ok:
        return None, False
    after = await ask.head("first")
    if after.headers.get(ENVELOPE) != "B":
        return None, False
    return bare(after.headers.get("etag", "")), after.headers.get("last-modified") == before.headers.get(
        "last-modified"
    )


async def _until_another_second(ask: _Probe, before: Answer) -> None:
    """Last-Modified has whole seconds: ask until the server's clock shows another one than the object's."""
    for _ in range(40):
        if (await ask.head("first")).headers.get("date") != before.headers.get("last-modified"):
            return
        await asyncio.sleep(0.05)


async def _multipart(ask: _Probe) -> tuple[int, bool, bool, bool]:
    """The smallest part that need not be the last (0, or S3's), conditions on Complete, and whether it repeats."""
    small = await _Upload.begin(ask, "small")
    parts = [await small.part(1), await small.part(2)]
    has_minimum = not (await small.complete(parts)).ok
    await small.abort()
    await ask.put("standing")
    upload = await _Upload.begin(ask, "standing")
    parts = [await upload.part(1)]
    if_match = (await upload.complete(parts, {"if-match": quoted(_OTHER)})).status in (409, 412)
    if_absent = (await upload.complete(parts, {"if-none-match": "*"})).status in (409, 412)
    again = (await upload.complete(parts)).ok and (await upload.complete(parts)).ok
    return MIN_PART if has_minimum else 0, if_absent, if_match, again


class _Upload:
    """A multipart upload of the probe."""

    def __init__(self, ask: _Probe, name: str, upload: str) -> None:
        self._ask = ask
        self._key = ask.prefix + name
        self._id = upload

    @classmethod
    async def begin(cls, ask: _Probe, name: str) -> "_Upload":
        request = Request("POST", ask.bucket, ask.prefix + name, query=(("uploads", ""),))
        answer = await ask.client.expect(request, again=True)
        return cls(ask, name, read_document(answer.body).text("UploadId"))

    async def part(self, number: int) -> tuple[int, str]:
        query = (("partNumber", str(number)), ("uploadId", self._id))
        request = Request("PUT", self._ask.bucket, self._key, query=query, body=_BODY)
        answer = await self._ask.client.expect(request, again=True)
        return number, quoted(bare(answer.headers.get("etag", "")))

    async def complete(self, parts: list[tuple[int, str]], headers: dict[str, str] | None = None) -> Answer:
        request = Request(
            "POST",
            self._ask.bucket,
            self._key,
            query=(("uploadId", self._id),),
            headers=headers or {},
            body=completion(parts),
        )
        answer = await self._ask.client.ask(request, again=False)
        if answer.ok and read_document(answer.body).name == "Error":
            return Answer(500, answer.headers, answer.body)
        return answer

    async def abort(self) -> None:
        request = Request("DELETE", self._ask.bucket, self._key, query=(("uploadId", self._id),))
        await self._ask.client.ask(request, again=True)


async def _order(ask: _Probe) -> Order:
    """`-` sorts before `/`, but a folder's content may come before its longer neighbour."""
    for name in ("order/a-b", "order/a/b"):
        await ask.put(name)
    return Order.BYTES if await ask.names("order/") == ["order/a-b", "order/a/b"] else Order.SEGMENTS


async def _refused_keys(ask: _Probe) -> frozenset[KeyShape]:
    """The shapes under which nothing comes back, or something else, or which a listing spells otherwise."""
    refused = set()
    for shape, name in _SHAPES.items():
        name = f"{shape.name.lower()}/{name}"
        stored = await _survives(lambda name=name: ask.put(name, {ENVELOPE: "C"}))  # type: ignore[misc]
        if not stored:
            refused.add(shape)
            continue
        found = await ask.head(name)
        whole = found.headers.get("content-length") == str(len(_BODY)) and found.headers.get(ENVELOPE) == "C"
        if not whole or await ask.names(name.partition("/")[0] + "/") != [name]:
            refused.add(shape)
    return frozenset(refused)


async def _survives(call: Callable[[], Awaitable[Answer]]) -> bool:
    """Whether it is done; some servers fail (5xx) over a key that they cannot keep."""
    try:
        return (await call()).ok
    except StoreError:
        return False
