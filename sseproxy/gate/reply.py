"""Replies and errors as HTTP, in ASGI's messages."""

import asyncio
import base64
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sseproxy.s3 import xml
from sseproxy.s3.errors import NotModified, S3Error
from sseproxy.s3.operation import Reply

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_LETTERS = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ" * 8  # every byte's letter
_NO_CONTROLS = bytes(byte if 32 <= byte != 127 else 32 for byte in range(256))
_NO_BODY = frozenset({204, 304})


def new_request_id() -> str:
    """16 letters and digits, as S3's are."""
    return os.urandom(16).translate(_LETTERS).decode()


def host_id(request_id: str) -> str:
    """The second id, which S3 calls the host id."""
    return base64.b64encode(request_id.encode() * 3).decode()


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Header values may hold whatever a client once sent; control characters never leave."""
    return [
        (name.encode("latin-1"), value.encode("latin-1", "replace").translate(_NO_CONTROLS))
        for name, value in headers.items()
    ]


def as_reply(problem: S3Error, resource: str, request_id: str, *, head: bool) -> Reply:
    """An error as a reply; HEAD and 304 have no body."""
    if head or isinstance(problem, NotModified):
        return Reply(problem.status, {"content-type": "application/xml"})
    body = xml.error(problem, resource, request_id, host_id(request_id))
    return Reply(problem.status, {"content-type": "application/xml"}, body)


class ClientLeft(Exception):
    """The client hung up before it had everything."""


async def send_reply(
    reply: Reply, request_id: str, receive: Receive, send: Send, *, head: bool, idle_timeout: float
) -> None:
    """Send a whole reply. What the body's stream raises goes through, after the head has left; TimeoutError if the
    client takes nothing for `idle_timeout` seconds, ClientLeft if it has gone."""
    headers = _encoded(reply.headers)
    headers += [(b"x-amz-request-id", request_id.encode()), (b"x-amz-id-2", host_id(request_id).encode())]
    body = reply.body
    length = reply.length if reply.length is not None else len(body) if isinstance(body, bytes) else None
    if length is not None and reply.status not in _NO_BODY and not (head and reply.status >= 300):
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if head or isinstance(body, bytes):
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        async for block in body:
            if gone.done():
                raise ClientLeft
            async with asyncio.timeout(idle_timeout):
                await send({"type": "http.response.body", "body": block, "more_body": True})
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _hung_up(receive: Receive) -> None:
    """Returns when the client has; what is left of its request's body is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
