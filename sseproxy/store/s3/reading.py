"""Bytes out of the backend: one ranged GET, held to the very version that was asked for, passed on as it arrives."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import aiohttp

from sseproxy.store.contract import NoSuchBucket, NoSuchKey, PreconditionFailed, StoreError, StoreFailure

from .client import BLOCK, Client, Request, lower, whole
from .errors import refusal
from .etags import bare, quoted


async def blocks(
    client: Client, request: Request, first: int, last: int, etag: str | None, gone: type[StoreError]
) -> AsyncIterator[bytes]:
    """Bytes `first` to `last`, inclusive, of the object with the backend's `etag`, in blocks of at most 1 MiB.

    `gone` if it is not there, or not this one any more; the ETag that comes back is compared too, for servers that do
    not know If-Match on a GET. StoreFailure if bytes are missing. Repeated only before the first byte.
    """
    conditions = {} if etag is None else {"if-match": quoted(etag)}
    asked = Request("GET", request.bucket, request.key, request.query, {**conditions, "range": f"bytes={first}-{last}"})
    async with AsyncExitStack() as held:

        async def start() -> aiohttp.ClientResponse:
            async with AsyncExitStack() as attempt:
                response = await attempt.enter_async_context(client.exchange(asked))
                if response.status not in (200, 206):
                    problem = refusal(await whole(response), asked.name)
                    if isinstance(problem, NoSuchKey | NoSuchBucket | PreconditionFailed) or response.status == 404:
                        raise gone(asked.name) from problem
                    raise problem
                _check(response.status, lower(response), first, last, etag, gone)
                held.push_async_exit(attempt.pop_all())
                return response

        response = await client.endpoint.retries.run(start)
        due = last - first + 1
        async for block in response.content.iter_chunked(BLOCK):
            due -= len(block)
            if due < 0:
                raise StoreFailure("the backend sent more bytes than were asked for")
            yield block
        if due:
            raise StoreFailure("the backend sent fewer bytes than were asked for")


def _check(
    status: int, headers: Mapping[str, str], first: int, last: int, etag: str | None, gone: type[StoreError]
) -> None:
    if etag is not None and bare(headers.get("etag", "")) != etag:
        raise gone("the backend answered with another version")
    if status == 206:
        exact = headers.get("content-range", "").partition("/")[0] == f"bytes {first}-{last}"
    else:
        exact = first == 0 and headers.get("content-length") == str(last + 1)
    if not exact:
        raise StoreFailure("the backend answered with another range")
