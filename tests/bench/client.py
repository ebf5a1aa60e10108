"""The client: as cheap as Python can be, so that the server is what is measured.

Requests are bytes that were signed beforehand; a connection writes one, lets httptools find the end of the answer, and
writes the next. Nothing is parsed but the status and the length, nothing is kept but the time.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httptools
import uvloop

_TIMEOUT = 120.0


class BadAnswer(Exception):
    """A server answered with something else than 2xx, or hung up."""


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request: its head, and a body that many requests may share."""

    head: bytes
    body: bytes = b""
    is_head: bool = False


@dataclass(slots=True)
class Measured:
    """Latencies in seconds of all requests, and how long they took together."""

    latencies: list[float] = field(default_factory=list)
    wall: float = 0.0


class _Connection(asyncio.Protocol):
    """One request after the other, until the time is up (and then to the end of the one under way)."""

    def __init__(self, requests: Any, until: float, most: int, into: list[float]) -> None:
        self._requests = requests
        self._until = until
        self._left = most
        self._into = into
        self._began = 0.0
        self._error = bytearray()
        self._is_head = False
        self._transport: Any = None
        self._parser: Any = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        self._began = time.perf_counter()
        if self._began >= self._until or self._left == 0:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._left -= 1
        request: Request = next(self._requests)
        self._is_head = request.is_head
        self._parser = httptools.HttpResponseParser(self)
        if len(request.body) <= 65_536:
            self._transport.write(request.head + request.body)
        else:
            self._transport.write(request.head)
            self._transport.write(request.body)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        if self._is_head:
            self.on_message_complete()

    def on_body(self, body: bytes) -> None:
        if self._parser.get_status_code() >= 300:
            self._error += body

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if not 200 <= status < 300:
            self._fail(f"{status}: {bytes(self._error[:500]).decode('latin-1')}")
            return
        self._into.append(time.perf_counter() - self._began)
        asyncio.get_running_loop().call_soon(self._next)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the server hung up: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(BadAnswer(why))
            self._transport.close()


async def _drive(host: str, port: int, requests: Any, concurrency: int, seconds: float, most: int) -> Measured:
    loop = asyncio.get_running_loop()
    measured = Measured()
    began = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: _Connection(requests, began + seconds, most, measured.latencies), host, port
        )
        for _ in range(concurrency)
    ]
    await asyncio.wait_for(asyncio.gather(*(protocol.done for _, protocol in made)), seconds + _TIMEOUT)
    measured.wall = time.perf_counter() - began
    return measured


def drive(
    host: str, port: int, requests: Sequence[Request], concurrency: int, seconds: float, each: int = -1
) -> Measured:
    """Send the requests round and round for some seconds; `each` bounds what one connection sends. BadAnswer."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(host, port, cycle(requests), concurrency, seconds, each))
