"""Encryption headers that ask for what cannot be: each refusal in S3's words, and nothing is stored."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, MAIN, REGION, Proxy

SSE = "x-amz-server-side-encryption"


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


@pytest.fixture(scope="module")
def key(proxy: Proxy) -> str:
    """The ARN of a key with the default policy."""
    arn: str = proxy.client("kms", ALICE).create_key()["KeyMetadata"]["Arn"]
    return arn


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Status, code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"].get("Message", "")


def encoded(context: dict[str, str]) -> str:
    return base64.b64encode(json.dumps(context).encode()).decode()


ABSENT = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("no-such-key", "Invalid keyId 'no-such-key'"),
        (ABSENT, f"Key 'arn:aws:kms:{REGION}:{MAIN}:key/{ABSENT}' does not exist"),
        (
            f"arn:aws:kms:{REGION}:{MAIN}:key/{ABSENT}",
            f"Key 'arn:aws:kms:{REGION}:{MAIN}:key/{ABSENT}' does not exist",
        ),
        (f"arn:aws:kms:eu-west-1:{MAIN}:key/{ABSENT}", "Invalid arn eu-west-1"),
        ("alias/absent", f"Alias arn:aws:kms:{REGION}:{MAIN}:alias/absent is not found."),
    ],
)
def test_an_unknown_key_is_named_in_the_refusal(bucket: str, s3: Any, given: str, message: str) -> None:
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": given}
    for call in (s3.put_object, s3.create_multipart_upload):
        answer = refused(lambda call=call: call(Bucket=bucket, Key="x", **wanted))
        assert answer == (400, "KMS.NotFoundException", message)
    assert refused(lambda: s3.head_object(Bucket=bucket, Key="x"))[0] == 404


@pytest.mark.parametrize(
    "context",
    ["%%%", encoded({"a": "b"})[:-3], base64.b64encode(b"\xff\xfe").decode(), base64.b64encode(b"[]").decode(),
     base64.b64encode(b'{"a": 1}').decode(), base64.b64encode(b"{").decode()],
    ids=["no base64", "cut base64", "no UTF-8", "a list", "a number", "no JSON"],
)  # fmt: skip
def test_a_context_that_is_no_map_of_strings_is_refused(bucket: str, s3: Any, key: str, context: str) -> None:
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "SSEKMSEncryptionContext": context}
    status, code, message = refused(lambda: s3.put_object(Bucket=bucket, Key="bad", **wanted))
    assert (status, code) == (400, "InvalidArgument")
    assert message == (
        "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
        "represents a string-string map"
    )


def test_a_context_may_not_claim_another_object(bucket: str, s3: Any, key: str) -> None:
    context = encoded({"aws:s3:arn": "arn:aws:s3:::elsewhere/doc"})
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "SSEKMSEncryptionContext": context}
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="bad", **wanted))[:2] == (400, "InvalidArgument")


KEY_NEEDS_KMS = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : "
UNKNOWN = (400, "InvalidArgument", "The encryption method specified is not supported")


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ({"SSEKMSKeyId": ABSENT}, (400, "InvalidArgument", KEY_NEEDS_KMS + "aws:kms")),
        (
            {"ServerSideEncryption": "AES256", "SSEKMSKeyId": ABSENT},
            (400, "InvalidArgument", KEY_NEEDS_KMS + "aws:kms"),
        ),
        ({"ServerSideEncryption": ""}, UNKNOWN),
        ({"ServerSideEncryption": "aes256"}, UNKNOWN),
        ({"ServerSideEncryption": "aws:fsx"}, UNKNOWN),
    ],
)
def test_headers_that_contradict_are_refused(bucket: str, s3: Any, wanted: dict[str, str], answer: Any) -> None:
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="bad", **wanted)) == answer
    assert refused(lambda: s3.create_multipart_upload(Bucket=bucket, Key="bad", **wanted)) == answer


@pytest.mark.parametrize(
    "wanted",
    [
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
    ],
    ids=["DSSE-KMS", "SSE-C"],
)
def test_what_is_not_served_yet_is_said_so_and_stores_nothing(bucket: str, proxy: Proxy, wanted: Any) -> None:
    s3 = proxy.client("s3", ALICE)
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="bad", **wanted))[:2] == (501, "NotImplemented")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("name", ["get_object", "head_object"])
def test_an_encryption_header_on_a_read_is_refused(proxy: Proxy, bucket: str, name: str) -> None:
    s3 = proxy.client("s3", ALICE)
    s3.put_object(Bucket=bucket, Key="k")
    s3.meta.events.register("before-sign.s3", lambda request, **_: request.headers.add_header(SSE, "aws:kms"))
    answer = refused(lambda: getattr(s3, name)(Bucket=bucket, Key="k"))
    assert answer[0] == 400
    if name == "get_object":
        assert answer == (400, "InvalidArgument", f"{SSE} header is not supported for this operation.")


def test_an_anonymous_write_under_a_kms_key_is_refused(proxy: Proxy, bucket: str, s3: Any, key: str) -> None:
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))
    url = f"{proxy.endpoint}/{bucket}/anonymous"
    headers = {SSE: "aws:kms", f"{SSE}-aws-kms-key-id": key}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, b"x", headers, method="PUT"))  # noqa: S310
    with caught.value as answer:
        assert answer.status == 400
        assert b"require AWS Signature Version 4." in answer.read()
    with urllib.request.urlopen(urllib.request.Request(url, b"x", method="PUT")) as answer:  # noqa: S310
        assert answer.headers[SSE] == "AES256"
