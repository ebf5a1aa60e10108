"""HTTP to the backend: one pool of connections, signed requests, bounded waits, foreign exceptions turned into ours.

Nothing waits for ever: taking a connection, connecting, and each silence of the backend have a limit, and a small
request has one as a whole. Redirects are not followed and nothing is decompressed, since a signature names the place it
was made for and a body is what was stored. What a request may be repeated for is the caller's to say.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from kms_core.clock import Clock
from sseproxy.store.contract import StoreFailure

from .errors import Answer, refusal
from .names import path_of, query_of
from .retries import Retries
from .signing import CredentialSource, Signer

BLOCK: Final = 1 << 20
_MAX_DOCUMENT = 16 << 20
Pairs = tuple[tuple[str, str], ...]
Body = bytes | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to have a connection from the pool, to connect, of silence on the wire, of a small request in all."""

    pool: float = 30.0
    connect: float = 5.0
    idle: float = 60.0
    whole: float = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the backend is and how it is spoken to. `url` is scheme, host and port alone; `pool` is connections."""

    url: str
    credentials: CredentialSource
    region: str = "us-east-1"
    pool: int = 64
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: Retries = field(default_factory=Retries)
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower-case. A `body` that is an iterator needs a `length`."""

    method: str
    bucket: str
    key: str = ""
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""
    length: int | None = None

    @property
    def name(self) -> str:
        """For messages: method and path, no header."""
        return f"{self.method} {path_of(self.bucket, self.key)}"


class Client:
    """A session with the backend. It belongs to the event loop on which it is first used."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        """ValueError for an endpoint that is not scheme, host and port."""
        parts = urlsplit(endpoint.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("a backend's endpoint is http(s)://host[:port]")
        self._origin = f"{parts.scheme}://{parts.netloc}"
        standard = {"http": ":80", "https": ":443"}[parts.scheme]
        self._host = parts.netloc.removesuffix(standard)
        self._endpoint = endpoint
        self._signer = Signer(endpoint.credentials, endpoint.region, clock)
        self._session: aiohttp.ClientSession | None = None

    @property
    def endpoint(self) -> Endpoint:
        """How the backend is spoken to."""
        return self._endpoint

    async def ask(self, request: Request, *, again: bool) -> Answer:
        """A request and its whole, small answer, whatever the status, but for 5xx and 429. With `again` it is repeated
        if the backend was busy, failed or could not be reached. Busy, StoreFailure, OutOfSpace, Unsupported."""

        async def once() -> Answer:
            try:
                async with asyncio.timeout(self._endpoint.timeouts.whole), self.exchange(request) as response:
                    answer = await whole(response)
            except TimeoutError as problem:
                raise StoreFailure(f"{request.name}: the backend took too long") from problem
            if answer.status >= 500 or answer.status == 429:
                raise refusal(answer, request.name)
            return answer

        return await self._endpoint.retries.run(once, again=again)

    async def expect(self, request: Request, *, again: bool) -> Answer:
        """As `ask`, for a request that has to succeed: every refusal is raised."""
        answer = await self.ask(request, again=again)
        if not answer.ok:
            raise refusal(answer, request.name)
        return answer

    def exchange(self, request: Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request, and have its answer's head; the connection is the caller's until the block ends, and is
        closed then unless the answer was read to its end. StoreFailure, also for what fails within the block."""
        return self._exchange(request)

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def _exchange(self, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
        path, query = path_of(request.bucket, request.key), query_of(request.query)
        headers = self._signer.sign(request.method, self._host, path, query, request.headers)
        length = request.length if request.length is not None else len(request.body)  # type: ignore[arg-type]
        if length or request.method in ("PUT", "POST"):
            headers["content-length"] = str(length)
        url = URL(f"{self._origin}{path}{'?' if query else ''}{query}", encoded=True)
        try:
            async with self._open().request(
                request.method, url, headers=headers, data=request.body or None, allow_redirects=False
            ) as response:
                yield response
        except TimeoutError as problem:
            raise StoreFailure(f"{request.name}: the backend is silent") from problem
        except (aiohttp.ClientError, OSError) as problem:
            raise StoreFailure(f"{request.name}: {type(problem).__name__}") from problem

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            wanted = self._endpoint.timeouts
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._endpoint.pool, ssl=self._endpoint.tls if self._endpoint.tls is not None else True
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=BLOCK // 2,
                skip_auto_headers=("user-agent", "accept-encoding", "accept", "content-type"),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=wanted.pool, sock_connect=wanted.connect, sock_read=wanted.idle
                ),
            )
        return self._session


async def whole(response: aiohttp.ClientResponse) -> Answer:
    """A small answer, read to its end. StoreFailure if it is not small."""
    body = bytearray()
    async for block in response.content.iter_any():
        body += block
        if len(body) > _MAX_DOCUMENT:
            raise StoreFailure("the backend's answer is too long")
    return Answer(response.status, lower(response), bytes(body))


def lower(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers, by lower-case name; the first of those that are repeated."""
    found: dict[str, str] = {}
    for name, value in response.headers.items():
        found.setdefault(name.lower(), value)
    return found
