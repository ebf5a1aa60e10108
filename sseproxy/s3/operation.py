"""An S3 operation as a row, one call of it on its way, and the reply that it makes.

An operation never sees a raw request: the door has authenticated it, found the bucket, bound the fields, decided on the
row's action, and hands over a `Call`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, Protocol, TypeVar

from kms_core.caller import Caller, RequestFacts
from kms_core.keystore.contract import Snapshot
from sseproxy.control.buckets import Bucket
from sseproxy.s3.checksums import Algorithm
from sseproxy.s3.names import Target
from sseproxy.s3.services import Services

I_co = TypeVar("I_co", covariant=True)


class Scope(Enum):
    """What a request's path names."""

    SERVICE = auto()
    BUCKET = auto()
    OBJECT = auto()


class BodyKind(Enum):
    """What an operation does with the request's body: refuse to look, read it whole (bounded), or stream it."""

    NONE = auto()
    DOCUMENT = auto()
    STREAM = auto()


class Digests(Protocol):
    """What was computed over a body, once it has been verified."""

    @property
    def length(self) -> int:
        """Bytes of payload."""
        ...

    @property
    def md5(self) -> bytes | None:
        """MD5 of the payload, if it was asked for."""
        ...

    @property
    def checksums(self) -> Mapping[Algorithm, bytes]:
        """Checksums of the payload."""
        ...


class Payload(Protocol):
    """A request's body: bytes to pull, digests to feed them to, and a verdict at the end."""

    @property
    def length(self) -> int:
        """Bytes of payload that the client announced."""
        ...

    @property
    def checksum_algorithm(self) -> Algorithm | None:
        """The checksum that the client sends, in a header or in a trailer."""
        ...

    def compute(self, *, md5: bool = False, algorithm: Algorithm | None = None) -> None:
        """Ask for further digests; before the first block."""
        ...

    def blocks(self) -> AsyncIterator[bytes | bytearray]:
        """Payload bytes as they arrive, not hashed yet."""
        ...

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Feed a block to the digests; may run on another thread, one block at a time and in order."""
        ...

    def verify(self) -> Digests:
        """After the last block: everything that the client claimed holds, or an S3Error."""
        ...


@dataclass(slots=True)
class Reply:
    """An answer. `body` is whole, or a stream of exactly `length` bytes; HEAD has a `length` and no body."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes | bytearray] = b""
    length: int | None = None


class Audit(Protocol):
    """The event of one S3 call."""

    async def before_effect(self) -> None:
        """Put the event into the journal now, before something is committed. S3Error if that fails."""
        ...

    def note(self, **details: object) -> None:
        """Add to the event's additional data."""
        ...

    def about(self, target: Target) -> None:
        """Name a further object that the call is about."""
        ...


@dataclass(slots=True)
class Call(Generic[I_co]):
    """One S3 call, admitted. `vouched`: the document came with a Content-MD5 or a checksum, which held."""

    operation: "Operation"
    target: Target
    input: I_co
    caller: Caller
    facts: RequestFacts
    snapshot: Snapshot
    conditions: Mapping[str, str | tuple[str, ...]]
    services: Services
    audit: Audit
    own_bucket: Bucket | None = None
    document: bytes = b""
    vouched: bool = False
    body: Payload | None = None

    @property
    def bucket(self) -> Bucket:
        """The bucket that the call is about."""
        if self.own_bucket is None:
            raise RuntimeError(f"sseproxy.s3.operation: {self.operation.name} has no bucket")
        return self.own_bucket

    @property
    def payload(self) -> Payload:
        """The body of a streaming operation."""
        if self.body is None:
            raise RuntimeError(f"sseproxy.s3.operation: {self.operation.name} has no body")
        return self.body


Handle = Callable[[Call[Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table. `query` are the parameters that select it, with the value they must have (None: any);
    `header` is one that must be there. `action` is the permission (`version_action`, where a version is named); None
    where the handler decides per item. `owner_only`: for identities of the bucket's own account alone, and never denied
    to its root user, who can undo any lockout."""

    name: str
    method: str
    scope: Scope
    action: str | None
    input_type: type[Any]
    handle: Handle
    query: Sequence[tuple[str, str | None]] = ()
    header: str | None = None
    body: BodyKind = BodyKind.NONE
    read_only: bool = True
    bucket_must_exist: bool = True
    owner_only: bool = False
    version_action: str | None = None

    @property
    def data_event(self) -> bool:
        """CloudTrail's category: calls on objects are data events, calls on buckets management events."""
        return self.scope is Scope.OBJECT or self.name in {"DeleteObjects", "ListObjects", "ListObjectsV2"}


@dataclass(frozen=True, slots=True)
class NoInput:
    """The input of an operation that has none."""
