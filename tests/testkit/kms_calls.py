"""What tests of the key service share: keys, policies, refusals, and requests that no SDK would send."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, MAIN, REGION, Credential, Proxy

from kms_core.audit.journal import read_events

Statement = dict[str, Any]


def refused(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """The code and message with which a boto3 call is refused. KMS's refusals have status 400, all of them."""
    with pytest.raises(ClientError) as refusal:
        call(**params)
    error, metadata = refusal.value.response["Error"], refusal.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400, error
    assert metadata["RequestId"]
    return error["Code"], error["Message"]


def new_key(kms: Any, **params: Any) -> str:
    """A fresh key's ARN."""
    arn: str = kms.create_key(**params)["KeyMetadata"]["Arn"]
    return arn


def root_of(account: str = MAIN) -> str:
    """The ARN that stands for an account."""
    return f"arn:aws:iam::{account}:root"


def user(name: str, account: str = MAIN) -> str:
    """A user's ARN."""
    return f"arn:aws:iam::{account}:user/{name}"


def allow_in(principal: object, *actions: str, **more: Any) -> Statement:
    """A statement of a key policy; `Effect` and `Condition` can be given."""
    named = principal if isinstance(principal, dict) or principal == "*" else {"AWS": principal}
    return {"Effect": "Allow", "Principal": named, "Action": list(actions), "Resource": "*", **more}


def key_policy(*statements: Statement, root: bool = True) -> str:
    """A key policy: the statements, after the one that hands the key to the account's IAM policies."""
    first = [allow_in(root_of(), "kms:*")] if root else []
    return json.dumps({"Version": "2012-10-17", "Statement": first + list(statements)})


def events_of(proxy: Proxy, **fields: Any) -> list[dict[str, Any]]:
    """The audit events so far that have these fields, oldest first."""
    return [
        event
        for event in read_events(proxy.data / "audit")
        if all(event.get(name) == value for name, value in fields.items())
    ]


def event_of(proxy: Proxy, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The one event of a boto3 answer (or of a ClientError's), found by its request id."""
    (event,) = events_of(proxy, requestID=answer["ResponseMetadata"]["RequestId"])
    return event


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def post(
    proxy: Proxy,
    body: bytes,
    headers: Mapping[str, str],
    who: Credential | None = ALICE,
    service: str = "kms",
    tamper: Callable[[dict[str, str]], object] = lambda headers: None,
) -> Answered:
    """A POST to `/`, signed for `service` by botocore's signer (unsigned: None), its headers tampered with after."""
    request = AWSRequest("POST", proxy.endpoint + "/", data=body, headers=dict(headers))
    if who is not None:
        SigV4Auth(Credentials(who.access_key_id, who.secret), service, REGION).add_auth(request)
    sent = {name: str(value) for name, value in request.prepare().headers.items()}
    tamper(sent)
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, body, sent), timeout=60) as answer:  # noqa: S310
            return Answered(answer.status, {n.lower(): v for n, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answered(error.code, {n.lower(): v for n, v in error.headers.items()}, error.read())


def json_call(operation: str) -> dict[str, str]:
    """The headers of a KMS call."""
    return {"X-Amz-Target": f"TrentService.{operation}", "Content-Type": "application/x-amz-json-1.1"}
