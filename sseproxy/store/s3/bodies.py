"""A body on its way to the backend: one PUT, whose end is the commit.

A small body gathers in memory and goes out at the commit, with its CRC32C, and may go out again if it was not answered.
A large one streams: the request begins with the first block that another one follows, and the last block is kept back
until the commit. So the backend never has a whole body that was not committed, and an abort closes the connection in
the middle of one; no server keeps such a body. (The head alone is never sent: there are servers that take a connection
closed before the first byte for an empty body.)
"""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from awscrt import checksums

from sseproxy.store.contract import StoreError, StoreFailure

from .client import BLOCK, Client, Request, whole
from .errors import Answer, refusal

SMALL: Final = BLOCK
"""Stored bytes of a body that is kept in memory."""
CRC32C: Final = "x-amz-checksum-crc32c"


class Body:
    """`request` with `size` bytes behind it. Exactly one of `finish` and `abort` ends it; `abort` may be repeated.

    `again`: the request may be repeated. `checked`: the backend checks a CRC32C.
    """

    def __init__(self, client: Client, request: Request, size: int, *, again: bool, checked: bool) -> None:
        self._client = client
        self._request = replace(request, length=size)
        self._size = size
        self._again = again
        self._checked = checked
        self._taken = 0
        self._small = bytearray()
        self._held = b""
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._sending: asyncio.Task[Answer] | None = None
        self._ended = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. StoreFailure for too many; whatever the backend says in the middle of it."""
        length = memoryview(data).nbytes
        if self._ended or self._taken + length > self._size:
            raise StoreFailure(f"the body is not the {self._size} bytes that were announced, or it has ended")
        self._taken += length
        if self._size <= SMALL:
            self._small += data
        elif length:
            held, self._held = self._held, bytes(data)
            if held:
                await self._hand_over(held)

    async def finish(self) -> Answer:
        """Send what is left, and have the backend's answer, which is a success. Any StoreError."""
        if self._ended or self._taken != self._size:
            await self.abort()
            raise StoreFailure(f"the body is not the {self._size} bytes that were announced, or it has ended")
        self._ended = True
        if self._size <= SMALL:
            return await self._client.expect(self._whole(), again=self._again)
        try:
            sending = await self._hand_over(self._held)
            async with asyncio.timeout(self._client.endpoint.timeouts.whole):
                answer = await sending
        except TimeoutError as problem:
            raise StoreFailure(f"{self._request.name}: the backend took too long") from problem
        finally:
            await self._stop()
        if not answer.ok:
            raise refusal(answer, self._request.name)
        return answer

    async def abort(self) -> None:
        """Give it up."""
        self._ended = True
        self._small.clear()
        self._held = b""
        await self._stop()

    def _whole(self) -> Request:
        headers = dict(self._request.headers)
        if self._checked:
            headers[CRC32C] = base64.b64encode(checksums.crc32c(self._small).to_bytes(4, "big")).decode()
        body = bytes(self._small)
        # An iterator can't be sent twice: so the HTTP client doesn't, on a connection that was closed meanwhile.
        return replace(self._request, headers=headers, body=body if self._again or not body else _once(body))

    async def _hand_over(self, piece: bytes) -> asyncio.Task[Answer]:
        """Give the request its next piece, once it has taken the one before. StoreError if it has ended already."""
        sending = self._sending = self._sending or asyncio.create_task(self._send())
        putting = asyncio.ensure_future(self._pieces.put(piece))
        try:
            idle = self._client.endpoint.timeouts.idle
            await asyncio.wait({putting, sending}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                raise refusal(await sending, self._request.name)
            if not putting.done():
                raise StoreFailure(f"{self._request.name}: the backend takes no more bytes")
        finally:
            putting.cancel()
        return sending

    async def _send(self) -> Answer:
        async with self._client.exchange(replace(self._request, body=self._stream())) as response:
            return await whole(response)

    async def _stream(self) -> AsyncIterator[bytes]:
        left = self._size
        while left:
            piece = await self._pieces.get()
            left -= len(piece)
            yield piece

    async def _stop(self) -> None:
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StoreError):
                await asyncio.shield(asyncio.gather(sending, return_exceptions=True))


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
