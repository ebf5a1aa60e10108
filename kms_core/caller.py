"""Who calls, and in what circumstances: the two values that every authorization decision and audit event start from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CallerKind(StrEnum):
    """What sort of principal a caller is."""

    ROOT = "root"
    USER = "user"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal (or the anonymous one).

    `principal_id` is IAM's stable id (`AIDA...` for users, the account id for a root user, the service's name for a
    service principal); `tags` are the principal's tags.
    """

    account: str
    arn: str
    kind: CallerKind
    principal_id: str
    access_key_id: str | None = None
    user_name: str | None = None
    session: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


ANONYMOUS = Caller(account="anonymous", arn="anonymous", kind=CallerKind.ANONYMOUS, principal_id="anonymous")


def service_caller(name: str) -> Caller:
    """The service principal `name`, say `s3.amazonaws.com`."""
    return Caller(account="", arn=name, kind=CallerKind.SERVICE, principal_id=name)


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The circumstances of one request: `at` in seconds since the epoch, `client_ip` the socket's peer.

    `via_service` names the AWS service that calls in the caller's name (`s3.us-east-1.amazonaws.com`), or is None.
    """

    at: float
    region: str
    client_ip: str
    secure: bool
    user_agent: str
    request_id: str
    via_service: str | None = None
