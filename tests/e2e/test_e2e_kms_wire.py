"""Requests that no SDK would send: unsigned, wrongly signed, unknown, malformed; and STS's one operation."""

from collections.abc import Callable
from typing import Any

import pytest
from testkit.kms_calls import Answered, events_of, json_call, new_key, post, refused, root_of, user
from testkit.proxy import ALICE, CAROL, MAIN, ROOT, Credential, Proxy

LIST = json_call("ListKeys")
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
UNKNOWN_TOKEN = "The security token included in the request is invalid."
WRONG_SECRET = Credential(ALICE.access_key_id, "not/alices/secret")
NOBODY = Credential("AKIANOBODY0000000000", "no/secret")
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
WHO_AM_I = b"Action=GetCallerIdentity&Version=2011-06-15"


def error(answer: Answered) -> tuple[int, str, str | None]:
    """Status, code and message. SDKs read both spellings of the message."""
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-requestid"]
    return answer.status, answer.json["__type"], answer.json.get("message", answer.json.get("Message"))


def test_a_signed_call_is_answered_in_json_with_a_request_id(proxy: Proxy) -> None:
    answer = post(proxy, b"{}", LIST)
    assert (answer.status, set(answer.json) >= {"Keys", "Truncated"}) == (200, True)
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert len(answer.headers["x-amzn-requestid"]) == 36


def test_an_operation_without_a_result_has_an_empty_body(proxy: Proxy) -> None:
    key = new_key(proxy.client("kms", ALICE))
    answer = post(proxy, b'{"KeyId":"%s"}' % key.encode(), json_call("EnableKey"))
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("who", "service", "code", "message"),
    [
        (None, "kms", "MissingAuthenticationTokenException", None),
        (NOBODY, "kms", "UnrecognizedClientException", UNKNOWN_TOKEN),
        (WRONG_SECRET, "kms", "InvalidSignatureException", MISMATCH),
        (ALICE, "s3", "InvalidSignatureException", "Credential should be scoped to correct service: 'kms'."),
        (ALICE, "sts", "InvalidSignatureException", "Credential should be scoped to correct service: 'kms'."),
    ],
    ids=["unsigned", "unknown access key", "wrong secret", "scope of S3", "scope of STS"],
)
def test_a_call_that_is_not_authentic_is_refused(
    proxy: Proxy, who: Credential | None, service: str, code: str, message: str | None
) -> None:
    found = error(post(proxy, b"{}", LIST, who, service))
    assert found[:2] == (400, code)
    assert message in (None, found[2])


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (lambda headers: headers.update({"X-Amz-Target": "TrentService.ListAliases"}), "InvalidSignatureException"),
        (lambda headers: headers.update({"X-Amz-Security-Token": "x"}), "UnrecognizedClientException"),
        (lambda headers: headers.update({"X-Amz-Unsigned": "x"}), "InvalidSignatureException"),
        (lambda headers: headers.update({"Authorization": "nonsense"}), "IncompleteSignatureException"),
        (lambda headers: headers.update({"Authorization": "AWS4-HMAC-SHA256 "}), "IncompleteSignatureException"),
        (lambda headers: headers.pop("X-Amz-Date"), "IncompleteSignatureException"),
        (
            lambda headers: headers.update({"X-Amz-Date": headers["X-Amz-Date"][:8] + "T"}),
            "IncompleteSignatureException",
        ),
    ],
    ids=[
        "another operation",
        "a session token",
        "an unsigned header",
        "nonsense",
        "no fields",
        "no date",
        "half a date",
    ],
)
def test_a_request_changed_after_it_was_signed_is_refused(
    proxy: Proxy, tamper: Callable[[dict[str, str]], object], code: str
) -> None:
    assert error(post(proxy, b"{}", LIST, tamper=tamper))[:2] == (400, code)


def test_a_signature_with_a_part_missing_is_refused_in_awss_words(proxy: Proxy) -> None:
    def cut(headers: dict[str, str]) -> None:
        headers["Authorization"] = headers["Authorization"].partition(", Signature=")[0]

    message = error(post(proxy, b"{}", LIST, tamper=cut))[2]
    assert message is not None
    assert message.startswith("Authorization header requires 'Signature' parameter.")


def test_a_body_changed_after_it_was_signed_is_refused_and_does_nothing(proxy: Proxy) -> None:
    key = new_key(proxy.client("kms", ALICE))
    signed: dict[str, str] = {}
    body = b'{"KeyId":"%s"}' % key.encode()
    post(proxy, body, json_call("EnableKey"), tamper=signed.update)
    replayed = {name: value for name, value in signed.items() if name != "Content-Length"}
    changed = post(proxy, body.replace(b"KeyId", b"keyId"), replayed, who=None)
    assert error(changed)[:2] == (400, "InvalidSignatureException")
    assert post(proxy, body, replayed, who=None).status == 200  # the very same request again is authentic


@pytest.mark.parametrize("operation", ["NoSuchOperation", "", "listKeys", "CreateGrant", "RotateKeyOnDemand"])
def test_an_operation_that_is_not_served_is_unknown(proxy: Proxy, operation: str) -> None:
    assert error(post(proxy, b"{}", json_call(operation)))[:2] == (400, "UnknownOperationException")
    assert error(post(proxy, b"{}", json_call(operation), who=None))[1] == "MissingAuthenticationTokenException"


def test_another_services_target_is_unknown(proxy: Proxy) -> None:
    answer = post(proxy, b"{}", {**LIST, "X-Amz-Target": "DynamoDB_20120810.ListTables"}, service="dynamodb")
    assert (answer.status, answer.json["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize("body", [b"", b"{", b"x", b"{'Limit': 1}", b"\xff", b'{"Limit":NaN}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(proxy: Proxy, body: bytes) -> None:
    assert error(post(proxy, body, LIST))[:2] == (400, "SerializationException")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"Limit":"1"}', None),
        (b'{"Marker":5}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"Marker":true}', "TRUE_VALUE can not be converted to a String"),
        (b'{"Marker":[]}', "Start of list found where not expected"),
        (b'{"Marker":{}}', "Start of structure or map found where not expected."),
    ],
)
def test_a_value_of_another_type_is_refused(proxy: Proxy, body: bytes, message: str | None) -> None:
    found = error(post(proxy, body, LIST))
    assert found[:2] == (400, "SerializationException")
    assert message in (None, found[2])


def test_a_body_above_a_megabyte_is_refused(proxy: Proxy) -> None:
    assert post(proxy, b" " * 1_048_577, LIST).status == 413


def test_a_refusal_by_the_model_is_in_the_audit_without_what_was_sent(proxy: Proxy) -> None:
    answer = post(proxy, b'{"Plaintext":"aHVudGVyMg=="}', json_call("Encrypt"))
    (event,) = events_of(proxy, requestID=answer.headers["x-amzn-requestid"])
    assert (event["eventName"], event["errorCode"]) == ("Encrypt", "ValidationException")
    assert "aHVudGVyMg" not in str(event)


# STS


@pytest.mark.parametrize("who", [ALICE, CAROL, ROOT], ids=["alice", "one without any policy", "root"])
def test_everybody_may_ask_who_they_are(proxy: Proxy, who: Credential) -> None:
    answer = proxy.client("sts", who).get_caller_identity()
    arn = {ALICE: user("alice"), CAROL: user("carol"), ROOT: root_of()}[who]
    assert (answer["Account"], answer["Arn"]) == (MAIN, arn)
    assert answer["UserId"] == MAIN if who is ROOT else answer["UserId"].startswith("AIDA")


@pytest.mark.parametrize(
    ("body", "who", "status", "code"),
    [
        (WHO_AM_I, None, 403, "MissingAuthenticationToken"),
        (WHO_AM_I, NOBODY, 403, "InvalidClientTokenId"),
        (WHO_AM_I, WRONG_SECRET, 403, "SignatureDoesNotMatch"),
        (b"Action=NoSuchAction&Version=2011-06-15", ALICE, 400, "InvalidAction"),
        (b"Version=2011-06-15", ALICE, 400, None),
    ],
    ids=["unsigned", "unknown access key", "wrong secret", "unknown action", "no action"],
)
def test_sts_refuses_in_its_own_xml(
    proxy: Proxy, body: bytes, who: Credential | None, status: int, code: str | None
) -> None:
    answer = post(proxy, body, FORM, who, "sts")
    assert (answer.status, answer.headers["content-type"]) == (status, "text/xml")
    assert b"<Type>Sender</Type>" in answer.body
    assert code is None or f"<Code>{code}</Code>".encode() in answer.body


def test_a_kms_call_with_a_wrong_secret_is_refused_by_boto3_too(proxy: Proxy) -> None:
    code, _ = refused(proxy.client("kms", WRONG_SECRET).list_keys)
    assert code == "InvalidSignatureException"


def test_the_cli_prints_awss_words(proxy: Proxy) -> None:
    done: Any = proxy.aws("kms", "describe-key", "--key-id", "fake-key-id", who=ALICE, check=False)
    assert done.returncode != 0
    assert "(NotFoundException) when calling the DescribeKey operation: Invalid keyId 'fake-key-id'" in done.stderr
