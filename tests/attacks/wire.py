"""Requests made by hand: bytes on a socket, signed or missigned at will. botocore would mend what these tests break."""

import hashlib
import hmac
import http.client
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes, urlsplit

from testkit.proxy import ALICE, REGION, Credential

UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
Headers = list[tuple[str, str]]
PATIENCE = 30.0  # seconds that a test waits for the server to act; no test waits for them to pass


def sha256(data: bytes) -> str:
    """In hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Signer:
    """Signature Version 4, written from AWS's page and not from the server's code."""

    who: Credential = ALICE
    service: str = "s3"
    at: datetime | None = None

    @property
    def stamp(self) -> str:
        """The time of signing."""
        return (self.at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")

    def key(self, day: str) -> bytes:
        """The signing key of a day."""
        key = b"AWS4" + self.who.secret.encode()
        for part in (day, REGION, self.service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def headers(self, method: str, target: str, host: str, payload: str, extra: Mapping[str, str] = {}) -> Headers:
        """The headers of a signed request. `target` is as it will be sent, its query's names sorted."""
        stamp = self.stamp
        fields = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp, **extra}
        path, _, query = target.partition("?")
        path = quote(unquote_to_bytes(path), safe="/-_.~")
        names = ";".join(sorted(fields))
        lines = [f"{name}:{fields[name].strip()}" for name in sorted(fields)]
        request = "\n".join([method, path, query, *lines, "", names, payload])
        scope = f"{stamp[:8]}/{REGION}/{self.service}/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode())}"
        signature = hmac.digest(self.key(stamp[:8]), text.encode(), "sha256").hex()
        credential = f"Credential={self.who.access_key_id}/{scope}"
        fields["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return list(fields.items())

    def chunks(self, headers: Headers, chunks: Sequence[bytes]) -> list[bytes]:
        """aws-chunked frames with their signatures, the empty last one included."""
        fields = dict(headers)
        stamp, previous = fields["x-amz-date"], fields["authorization"].rpartition("=")[2]
        scope, found = f"{stamp[:8]}/{REGION}/{self.service}/aws4_request", []
        for chunk in (*chunks, b""):
            text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", stamp, scope, previous, sha256(b""), sha256(chunk)])
            previous = hmac.digest(self.key(stamp[:8]), text.encode(), "sha256").hex()
            found.append(f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n")
        return found


def ago(**span: float) -> datetime:
    """A time in the past."""
    return datetime.now(UTC) - timedelta(**span)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The error's code."""
        text = self.body.decode(errors="replace")
        return text.partition("<Code>")[2].partition("</Code>")[0]


class Wire:
    """One connection. Every wait on it is bounded by `PATIENCE`: TimeoutError beyond."""

    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        assert parts.hostname is not None
        self.host = parts.netloc
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), PATIENCE)

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, method: str, target: str, headers: Iterable[tuple[str, str]]) -> None:
        """Send a request's head."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.socket.sendall("\r\n".join(lines).encode("latin-1"))

    def answer(self) -> Answer:
        """Read one whole response."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            response.close()

    def is_closed_by(self, until: float) -> bool:
        """Wait until the server closes the connection, by the monotonic clock; what it says before is let go."""
        try:
            while self._heard_until(until):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def _heard_until(self, until: float) -> bytes:
        self.socket.settimeout(max(until - time.monotonic(), 0.001))
        return self.socket.recv(65_536)

    def exchange(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Answer:
        """A request with these very headers, and a content-length if there is a body; and its answer."""
        if body and "transfer-encoding" not in dict(headers):
            headers = [*headers, ("content-length", str(len(body)))]
        elif method in ("PUT", "POST") and not body:
            headers = [*headers, ("content-length", "0")]
        self.head(method, target, headers)
        self.socket.sendall(body)
        return self.answer()


def exchange(endpoint: str, method: str, target: str, headers: Headers, body: bytes = b"") -> Answer:
    """The same, on a connection of its own."""
    with Wire(endpoint) as wire:
        return wire.exchange(method, target, headers, body)


def call(
    endpoint: str,
    method: str,
    target: str,
    body: bytes = b"",
    extra: Mapping[str, str] = {},
    signer: Signer = Signer(),
) -> Answer:
    """A well-signed request."""
    headers = signer.headers(method, target, urlsplit(endpoint).netloc, sha256(body), extra)
    return exchange(endpoint, method, target, headers, body)


def quoted(text: str) -> str:
    """As a signed query has it."""
    return quote(text, safe="")
