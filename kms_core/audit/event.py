"""CloudTrail-format events (AWS CloudTrail user guide, "CloudTrail record contents").

A plaintext, a key or a signature is never part of one: callers hand in request parameters that are already fit to show.
What only the administrator may know (which statement decided) stands under `additionalEventData`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from kms_core.caller import Caller, CallerKind, RequestFacts

VERSION = "1.11"
Json = Mapping[str, object]


def new_event_id() -> str:
    """A random UUID (RFC 9562, version 4), written without the detour of a UUID object: there are two a request."""
    digits = os.urandom(16).hex()
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:]}"
    )


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that an event is about."""

    account: str
    type: str
    arn: str


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One call, and how it ended. `event_id` is fresh for each; two events with one `facts.request_id` are about one
    call, the later one corrects the earlier."""

    source: str
    name: str
    caller: Caller
    facts: RequestFacts
    read_only: bool
    management: bool = True
    parameters: Json | None = None
    response: Json | None = None
    additional: Json | None = None
    resources: Sequence[Resource] = ()
    error_code: str | None = None
    error_message: str | None = None
    recipient: str | None = None
    shared: str | None = None
    event_id: str = field(default_factory=new_event_id)


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp(at: float) -> str:
    """A time as CloudTrail writes it: UTC, to the second."""
    return _second(int(at))


def _identity(caller: Caller, facts: RequestFacts) -> dict[str, object]:
    if caller.kind is CallerKind.SERVICE:
        return {"type": "AWSService", "invokedBy": caller.arn}
    if caller.kind is CallerKind.ANONYMOUS:
        return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    identity: dict[str, object] = {
        "type": "Root" if caller.kind is CallerKind.ROOT else "IAMUser",
        "principalId": caller.principal_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": caller.access_key_id or "",
    }
    if caller.user_name is not None:
        identity["userName"] = caller.user_name
    if facts.via_service is not None:
        identity["invokedBy"] = "AWS Internal"
    return identity


def as_cloudtrail(event: AuditEvent) -> dict[str, object]:
    """The event as CloudTrail's JSON object."""
    facts = event.facts
    record: dict[str, object] = {
        "eventVersion": VERSION,
        "userIdentity": _identity(event.caller, facts),
        "eventTime": timestamp(facts.at),
        "eventSource": event.source,
        "eventName": event.name,
        "awsRegion": facts.region,
        "sourceIPAddress": "AWS Internal" if facts.via_service else facts.client_ip,
        "userAgent": "AWS Internal" if facts.via_service else facts.user_agent,
    }
    if event.error_code is not None:
        record["errorCode"] = event.error_code
        if event.error_message:
            record["errorMessage"] = event.error_message
    record["requestParameters"] = event.parameters
    record["responseElements"] = event.response
    if event.additional:
        record["additionalEventData"] = event.additional
    record["requestID"] = facts.request_id
    record["eventID"] = event.event_id
    record["readOnly"] = event.read_only
    if event.resources:
        record["resources"] = [{"accountId": one.account, "type": one.type, "ARN": one.arn} for one in event.resources]
    record["eventType"] = "AwsApiCall"
    record["managementEvent"] = event.management
    record["recipientAccountId"] = event.recipient or event.caller.account
    if event.shared is not None:
        record["sharedEventID"] = event.shared
    record["eventCategory"] = "Management" if event.management else "Data"
    return record
