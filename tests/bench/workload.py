"""What is asked of each server: the cases, and their requests, signed before the clock runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from client import Request

KIB, MIB = 1 << 10, 1 << 20
LISTED = 1000
_DISTINCT = 128
_REGION = "us-east-1"


class Verb(StrEnum):
    """What a case does."""

    PUT = "PUT"
    GET = "GET"
    HEAD = "HEAD"
    LIST = "LIST"


@dataclass(frozen=True, slots=True)
class Case:
    """A verb, the object's size in bytes, and its name in the table."""

    verb: Verb
    size: int
    name: str

    @property
    def is_large(self) -> bool:
        """Whether CPU is better told per GiB than per request."""
        return self.size >= MIB


CASES = (
    Case(Verb.PUT, KIB, "PUT 1 KiB"),
    Case(Verb.GET, KIB, "GET 1 KiB"),
    Case(Verb.HEAD, KIB, "HEAD"),
    Case(Verb.LIST, 0, "LIST 1,000"),
    Case(Verb.PUT, MIB, "PUT 1 MiB"),
    Case(Verb.GET, MIB, "GET 1 MiB"),
    Case(Verb.PUT, 64 * MIB, "PUT 64 MiB"),
    Case(Verb.GET, 64 * MIB, "GET 64 MiB"),
)
BODIES = {size: (bytes(range(256)) * (size // 256)) for size in (KIB, MIB, 64 * MIB)}


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one endpoint. `sse` is the request headers that a PUT has."""

    endpoint: str
    credentials: Credentials
    bucket: str
    prefix: str
    sse: Mapping[str, str]
    signed_payload: bool = False

    def requests(self, case: Case) -> list[Request]:
        """The requests of a case: PUTs go to `_DISTINCT` keys in turn, or to four of a large one."""
        match case.verb:
            case Verb.PUT:
                count = _DISTINCT if case.size < MIB else 4
                return [self.put(f"put-{number}-{case.size}", BODIES[case.size]) for number in range(count)]
            case Verb.LIST:
                query = f"?list-type=2&max-keys={LISTED}&prefix=listed%2F"
                return [self._sign("GET", f"/{self.bucket}{query}")]
            case _:
                return [self._sign(case.verb.value, self._path(f"get-{case.size}"))]

    def listed(self) -> list[Request]:
        """The PUTs of the keys to list."""
        names = [f"/{self.bucket}/listed/{number:04}" for number in range(LISTED)]
        return [self._sign("PUT", name, BODIES[KIB], self.sse) for name in names]

    def put(self, name: str, body: bytes) -> Request:
        """One PUT."""
        return self._sign("PUT", self._path(name), body, self.sse)

    def _path(self, name: str) -> str:
        return f"/{self.bucket}/{self.prefix}/{name}"

    def _sign(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Request:
        hashed = sha256(body).hexdigest() if self.signed_payload or not body else "UNSIGNED-PAYLOAD"
        signed = AWSRequest(method, self.endpoint + path, dict(headers or {}))
        signed.headers["X-Amz-Content-SHA256"] = hashed
        SigV4Auth(self.credentials, "s3", _REGION).add_auth(signed)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(self.endpoint).netloc}"]
        lines += [f"{name}: {value}" for name, value in signed.headers.items()]
        if method == "PUT":
            lines.append(f"Content-Length: {len(body)}")
        return Request("\r\n".join([*lines, "", ""]).encode("latin-1"), body, method == "HEAD")
