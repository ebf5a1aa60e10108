"""A backend that does as it is told: an HTTP server on 127.0.0.1 whose answers are scripted, faults included.

It speaks just enough HTTP/1.1 for a client of ours, and keeps what it was sent. Unscripted requests get an empty 200.
"""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Seen:
    """A request as it came. `body` is what arrived of it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Exchange:
    """One request under way: its head has been read, its body not yet."""

    seen: Seen
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_body(self, most: int | None = None) -> bytes:
        """What the client sends, up to `most` bytes; less if it goes away."""
        length = int(self.seen.headers.get("content-length", "0"))
        try:
            return await self.reader.readexactly(length if most is None else min(most, length))
        except asyncio.IncompleteReadError as short:
            return short.partial


Action = Callable[[Exchange], Awaitable[bytes]]
"""Deals with a request, and returns the body it read. It may close the connection."""


def answer(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> Action:
    """Read the body and answer. `length` is what Content-Length claims; header names have `_` for `-`."""

    async def act(exchange: Exchange) -> bytes:
        read = await exchange.read_body()
        lines = [f"HTTP/1.1 {status} Scripted", "date: Wed, 21 Oct 2015 07:28:00 GMT"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if "content_length" not in headers:
            lines.append(f"content-length: {len(body) if length is None else length}")
        exchange.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        if exchange.seen.method != "HEAD":
            exchange.writer.write(body)
        await exchange.writer.drain()
        if length is not None and length != len(body):
            exchange.writer.close()
        return read

    return act


def error(status: int, code: str) -> Action:
    """An error as S3 words it."""
    return answer(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())


def cut(after: int = 0) -> Action:
    """Close the connection once `after` bytes of the body have come, without an answer."""

    async def act(exchange: Exchange) -> bytes:
        read = await exchange.read_body(after)
        exchange.writer.transport.abort()
        return read

    return act


def stall(*, after: int | None = None) -> Action:
    """Read `after` bytes of the body (all, left out), and then nothing, and never answer."""

    async def act(exchange: Exchange) -> bytes:
        read = await exchange.read_body(after)
        exchange.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()
        return read

    return act


@dataclass
class ScriptedBackend:
    """The server. `script[method]` are the actions for that method's next requests, in order."""

    endpoint: str = ""
    seen: list[Seen] = field(default_factory=list)
    script: dict[str, deque[Action]] = field(default_factory=lambda: defaultdict(deque))
    usual: dict[str, Action] = field(default_factory=dict)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def on(self, method: str, *actions: Action) -> None:
        """Script the next requests of a method."""
        self.script[method].extend(actions)

    def forget(self) -> None:
        """Forget what was asked so far."""
        self.seen.clear()
        self.begun.clear()
        self.ended.clear()

    async def until_begun(self) -> None:
        """Wait for the head of a request. (A test that waits in vain is ended by the client's own limits.)"""
        await self.begun.wait()
        self.begun.clear()

    async def until_ended(self) -> None:
        """Wait until a request has been dealt with: answered, or cut off by the client."""
        await self.ended.wait()
        self.ended.clear()

    def methods(self) -> list[str]:
        """What was asked, in order."""
        return [one.method for one in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._exchange(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        seen = Seen(method, unquote(parts.path), query, headers, b"")
        place = len(self.seen)
        self.seen.append(seen)
        self.begun.set()
        waiting = self.script[method]
        act = waiting.popleft() if waiting else self.usual.get(method, answer(200))
        body = await act(Exchange(seen, reader, writer))
        self.seen[place] = Seen(method, seen.path, query, headers, body)
        self.ended.set()


@contextlib.asynccontextmanager
async def scripted() -> AsyncIterator[ScriptedBackend]:
    """A server for the time of the block; connections that stall end with it."""
    backend = ScriptedBackend()
    under_way: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        under_way.add(task)
        try:
            await backend.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            under_way.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    backend.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield backend
    finally:
        server.close()
        for task in list(under_way):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
