"""The bare server: an ASGI application that only takes bodies in and gives bodies out, under the proxy's own uvicorn
settings. What it costs is what the HTTP server, the socket and the kernel cost; nothing behind it can cost less.

A key says how many bytes a GET answers with: `.../anything-1024`. Run as `python bare.py HOST:PORT`.
"""

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

_BLOCK = memoryview(bytes(1 << 20))
_ROW = (
    b"<Contents><Key>listed/0000</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    b"<ETag>&quot;00112233445566778899aabbccddeeff&quot;</ETag><Size>1024</Size>"
    b"<StorageClass>STANDARD</StorageClass></Contents>"
)
_LIST = b"<ListBucketResult>" + _ROW * 1000 + b"</ListBucketResult>"


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Drain the body; answer with as many bytes as the key says, or with a listing."""
    while (await receive()).get("more_body"):
        pass
    method = scope["method"]
    if method == "PUT":
        await _answer(send, 0)
    elif scope["query_string"]:
        await _start(send, len(_LIST))
        await send({"type": "http.response.body", "body": _LIST})
    else:
        await _answer(send, int(scope["path"].rpartition("-")[2]), is_head=method == "HEAD")


async def _start(send: Callable[[dict[str, Any]], Awaitable[None]], size: int) -> None:
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _answer(send: Callable[[dict[str, Any]], Awaitable[None]], size: int, *, is_head: bool = False) -> None:
    await _start(send, size)
    left = 0 if is_head else size
    while left > len(_BLOCK):
        await send({"type": "http.response.body", "body": _BLOCK, "more_body": True})
        left -= len(_BLOCK)
    await send({"type": "http.response.body", "body": _BLOCK[:left]})


def main() -> None:
    """Serve until told to stop."""
    host, _, port = sys.argv[1].rpartition(":")
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
    )
    bound = socket.create_server((host, int(port)), backlog=2048)
    print(f"bare: serving at http://{host}:{bound.getsockname()[1]}", file=sys.stderr, flush=True)
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
