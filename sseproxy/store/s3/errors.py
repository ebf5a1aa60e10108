"""A backend's refusals as the contract's errors: the one table.

What a backend says goes into our log through the message of the exception, never to a client: the operations' table
knows only the class.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sseproxy.store.contract import (
    BucketExists,
    BucketNotEmpty,
    Busy,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    OutOfSpace,
    PreconditionFailed,
    StoreError,
    StoreFailure,
    Unsupported,
)

from .documents import read_document

_BY_CODE: Final[Mapping[str, type[StoreError]]] = {
    "NoSuchBucket": NoSuchBucket,
    "NoSuchKey": NoSuchKey,
    "NoSuchVersion": NoSuchKey,
    "NoSuchUpload": NoSuchUpload,
    "InvalidPart": NoSuchUpload,
    "BucketAlreadyExists": BucketExists,
    "BucketAlreadyOwnedByYou": BucketExists,
    "BucketNotEmpty": BucketNotEmpty,
    "PreconditionFailed": PreconditionFailed,
    "ConditionalRequestConflict": PreconditionFailed,
    "KeyTooLongError": Unsupported,
    "MethodNotAllowed": Unsupported,
    "NotImplemented": Unsupported,
    "XMinioInvalidObjectName": Unsupported,
    "XMinioInvalidResourceName": Unsupported,
    "XMinioStorageFull": OutOfSpace,
    "QuotaExceeded": OutOfSpace,
    "SlowDown": Busy,
    "SlowDownRead": Busy,
    "SlowDownWrite": Busy,
    "ServiceUnavailable": Busy,
    "TooManyRequests": Busy,
    "OperationAborted": Busy,
}
_BY_STATUS: Final[Mapping[int, type[StoreError]]] = {
    304: PreconditionFailed,
    412: PreconditionFailed,
    429: Busy,
    501: Unsupported,
    503: Busy,
    507: OutOfSpace,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the backend. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether it was done, going by the status alone."""
        return 200 <= self.status < 300


def code_of(answer: Answer) -> str:
    """The error's code, empty if the backend gave none (to a HEAD, say)."""
    if not answer.body:
        return answer.headers.get("x-minio-error-code", "")
    try:
        root = read_document(answer.body)
    except StoreFailure:
        return ""
    if root.name != "Error":
        return ""
    return root.text("Code")


def refusal(answer: Answer, doing: str) -> StoreError:
    """What an answer that is not a success means. `doing` names the call, for our own log."""
    code = code_of(answer)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status, StoreFailure)
    return kind(f"{doing}: the backend answered {answer.status} {code}".rstrip())
