"""SigV4 against requests that botocore's own clients and signers, and awscrt's signer, have signed.

Nothing is sent: a handler takes each request at the door of the HTTP client, as it would go out.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSignedBodyHeaderType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from kms_core.crypto.secret import Secret
from kms_core.identity.errors import AuthError, SignatureMismatch
from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import SigningChain, read_signature, verify

KEY_ID, SECRET_TEXT = "AKIDEXAMPLE000000000", "wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLE"
SECRET = Secret(SECRET_TEXT.encode())
ENDPOINT = "http://127.0.0.1:9000"
KEYS = [
    "plain.txt",
    "a/b/c",
    "a//b",
    "/leading",
    "//",
    "./a",
    "../a",
    "a/./b/../c",
    "trailing/",
    "100%",
    "%2F%2f%25",
    "a+b c",
    "~tilde-_.",
    "ünïcødé/日本語/😀",
    "?x=1&y=2#z",
    "'()!*,;:@&=$",
    "tab\tand\nnewline",
]

Taken = Callable[..., AWSPreparedRequest]


def head_of(request: AWSPreparedRequest) -> HttpHead:
    url = urlsplit(request.url)
    headers = {"host": url.netloc, **{name.lower(): value for name, value in request.headers.items()}}
    wire = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers.items()]
    return HttpHead(request.method, url.path.encode(), url.query.encode(), tuple(wire), "192.0.2.1", False, 0.0)


def body_of(request: AWSPreparedRequest) -> bytes:
    body = request.body
    if hasattr(body, "read"):
        return bytes(body.read())
    return body.encode() if isinstance(body, str) else body or b""


def check(head: HttpHead, payload_hash: str | None = None, *, s3: bool = True) -> SigningChain:
    signed = read_signature(head)
    assert signed is not None
    assert signed.access_key_id == KEY_ID
    return verify(
        signed,
        head,
        SECRET,
        now=signed.timestamp,
        payload_hash=payload_hash or signed.payload_hash or "UNSIGNED-PAYLOAD",
        normalise_path=not s3,
    )


@pytest.fixture(scope="module")
def call() -> Iterator[Taken]:
    """Calls `operation` of a service's client, and returns the request that would have been sent."""
    session = botocore.session.Session()
    session.set_credentials(KEY_ID, SECRET_TEXT)
    clients: dict[str, Any] = {}
    taken: list[AWSPreparedRequest] = []

    def take(request: AWSPreparedRequest, **_: object) -> None:
        taken.append(request)
        raise _Stop

    def invoke(service: str, operation: str, **arguments: object) -> AWSPreparedRequest:
        if service not in clients:
            config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
            client = session.create_client(service, region_name="us-east-1", endpoint_url=ENDPOINT, config=config)
            client.meta.events.register("before-send", take)
            clients[service] = client
        with pytest.raises(_Stop):
            getattr(clients[service], operation)(**arguments)
        return taken.pop()

    yield invoke
    for client in clients.values():
        client.close()


class _Stop(Exception):
    """The request is taken; there is no answer to parse."""


@pytest.mark.parametrize("key", KEYS)
def test_what_botocore_sends_for_any_key_verifies_and_for_another_key_does_not(call: Taken, key: str) -> None:
    head = head_of(call("s3", "get_object", Bucket="bucket", Key=key))
    check(head)
    with pytest.raises(SignatureMismatch):
        check(replace(head, raw_path=head.raw_path + b"x"))


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("list_objects_v2", {"Prefix": "a b/ü+%", "Delimiter": "/", "StartAfter": "", "EncodingType": "url"}),
        ("get_bucket_acl", {}),
        ("put_object", {"Key": "k", "Body": b"text", "Metadata": {"spaced": "a   b", "empty": ""}}),
        ("upload_part", {"Key": "k", "UploadId": "id+/=", "PartNumber": 7, "Body": b"part"}),
        ("copy_object", {"Key": "k", "CopySource": {"Bucket": "b", "Key": "ü +"}}),
        ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}),
    ],
)
def test_what_botocore_sends_for_an_operation_verifies_and_edited_does_not(
    call: Taken, operation: str, arguments: dict[str, object]
) -> None:
    request = call("s3", operation, Bucket="bucket", **arguments)
    head = head_of(request)
    body = body_of(request)
    check(head, sha256(body).hexdigest())
    with pytest.raises(SignatureMismatch):
        check(head, sha256(body + b"x").hexdigest())
    with pytest.raises(SignatureMismatch):
        check(replace(head, raw_query=head.raw_query + b"&versionId=1"))


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("kms", "describe_key", {"KeyId": "alias/a"}),
        ("iam", "list_users", {}),
        ("sts", "get_caller_identity", {}),
        ("cloudtrail", "list_public_keys", {}),
    ],
)
def test_what_botocore_sends_to_another_service_verifies_over_its_body(
    call: Taken, service: str, operation: str, arguments: dict[str, object]
) -> None:
    request = call(service, operation, **arguments)
    head = head_of(request)
    body = body_of(request)
    assert check(head, sha256(body).hexdigest(), s3=False).scope.endswith(f"/us-east-1/{service}/aws4_request")
    with pytest.raises(SignatureMismatch):
        check(head, sha256(body + b" ").hexdigest(), s3=False)


@pytest.mark.parametrize("path", ["/", "", "/a/b/", "/a//b", "/a/./b/../c%20d", "/..", "/a%2Fb"])
def test_the_path_of_other_services_is_normalised_and_encoded_twice(path: str) -> None:
    request = AWSRequest(method="GET", url=f"http://service.example{path}")
    SigV4Auth(Credentials(KEY_ID, SECRET_TEXT), "execute-api", "us-east-1").add_auth(request)
    head = head_of(request.prepare())
    check(head, sha256(b"").hexdigest(), s3=False)
    with pytest.raises(SignatureMismatch):
        check(replace(head, raw_path=head.raw_path + b"%2F"), sha256(b"").hexdigest(), s3=False)


def test_a_date_header_stands_in_for_x_amz_date() -> None:
    request = AWSRequest(method="GET", url="http://service.example/", headers={"Date": "replaced by the signer"})
    SigV4Auth(Credentials(KEY_ID, SECRET_TEXT), "iam", "us-east-1").add_auth(request)
    head = head_of(request.prepare())
    assert head.header(b"x-amz-date") is None
    check(head, sha256(b"").hexdigest(), s3=False)


@pytest.mark.parametrize("query", ["a=1&b=2", "b=2&a=1&a=0", "empty=&flag", "q=%C3%BC%20%2B", ""])
@pytest.mark.parametrize("token", [None, "session/token+="])
def test_presigned_requests_verify_and_edited_ones_do_not(query: str, token: str | None) -> None:
    request = AWSRequest(method="GET", url=f"{ENDPOINT}/bucket/a%20key{'?' + query if query else ''}")
    S3SigV4QueryAuth(Credentials(KEY_ID, SECRET_TEXT, token), "s3", "us-east-1", expires=60).add_auth(request)
    head = head_of(AWSRequest(method="GET", url=request.url).prepare())
    signed = read_signature(head)
    assert signed is not None
    assert (signed.presigned, signed.expires, signed.session_token) == (True, 60, token)
    check(head)
    for edited in (head.raw_query.replace(b"=60&", b"=61&"), head.raw_query + b"&x=1", b"x=1&" + head.raw_query):
        with pytest.raises(SignatureMismatch):
            check(replace(head, raw_query=edited))


def test_a_presigned_request_to_another_service_verifies_over_an_empty_body() -> None:
    request = AWSRequest(method="GET", url="http://sts.example/?Action=GetCallerIdentity&Version=2011-06-15")
    SigV4QueryAuth(Credentials(KEY_ID, SECRET_TEXT), "sts", "us-east-1", expires=60).add_auth(request)
    head = head_of(AWSRequest(method="GET", url=request.url).prepare())
    check(head, sha256(b"").hexdigest(), s3=False)
    with pytest.raises(SignatureMismatch):
        check(head, sha256(b"x").hexdigest(), s3=False)


@pytest.mark.parametrize("presigned", [False, True])
@pytest.mark.parametrize("path", ["/bucket/a//b/../c%20%C3%BC", "/bucket/%2B%25~"])
def test_what_awscrt_signs_verifies_and_edited_does_not(presigned: bool, path: str) -> None:
    headers = HttpHeaders([("host", "127.0.0.1:9000"), ("x-amz-meta-a", "  two   words ")])
    kind = AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS if presigned else AwsSignatureType.HTTP_REQUEST_HEADERS
    config = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4,
        signature_type=kind,
        credentials_provider=AwsCredentialsProvider.new_static(KEY_ID, SECRET_TEXT),
        region="us-east-1",
        service="s3",
        date=datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC),
        use_double_uri_encode=False,
        should_normalize_uri_path=False,
        signed_body_value="UNSIGNED-PAYLOAD",
        signed_body_header_type=AwsSignedBodyHeaderType.NONE
        if presigned
        else AwsSignedBodyHeaderType.X_AMZ_CONTENT_SHA_256,
        expiration_in_seconds=60 if presigned else None,
    )
    request = aws_sign_request(HttpRequest("PUT", f"{path}?partNumber=1&uploadId=a%2Bb", headers), config).result(10)
    raw_path, _, raw_query = request.path.partition("?")
    wire = tuple((name.lower().encode(), value.encode()) for name, value in request.headers)
    head = HttpHead("PUT", raw_path.encode(), raw_query.encode(), wire, "192.0.2.1", False, 0.0)
    check(head)
    with pytest.raises(AuthError):
        check(replace(head, raw_query=head.raw_query.replace(b"partNumber=1", b"partNumber=2")))
    with pytest.raises(AuthError):
        check(replace(head, headers=tuple(pair for pair in head.headers if pair[0] != b"x-amz-meta-a")))
