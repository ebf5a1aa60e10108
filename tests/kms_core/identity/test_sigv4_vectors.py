"""SigV4 against the worked examples of the S3 API Reference ("Signature Calculations for the Authorization Header",
"... Transferring Payload in Multiple Chunks", "... Including Trailing Headers", "Authenticating Requests: Using Query
Parameters"), and each example with one thing changed.
"""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from kms_core.crypto.secret import Secret
from kms_core.identity.errors import SignatureMismatch
from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import read_signature, verify

SECRET = Secret(b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
EMPTY = sha256(b"").hexdigest()
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def head(
    method: str, path: str, query: str, headers: dict[str, str], payload_hash: str, signature: str, host: str
) -> HttpHead:
    fields = {**headers, "host": host, "x-amz-content-sha256": payload_hash, "x-amz-date": "20130524T000000Z"}
    names = ";".join(sorted(fields))
    fields["authorization"] = (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )
    wire = tuple((name.encode(), value.encode()) for name, value in fields.items())
    return HttpHead(method, path.encode(), query.encode(), wire, "192.0.2.1", False, NOW)


BUCKET = "examplebucket.s3.amazonaws.com"
EXAMPLES = {
    "get_object": head(
        "GET",
        "/test.txt",
        "",
        {"range": "bytes=0-9"},
        EMPTY,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        BUCKET,
    ),
    "put_object": head(
        "PUT",
        "/test%24file.text",
        "",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        sha256(b"Welcome to Amazon S3.").hexdigest(),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        BUCKET,
    ),
    "get_lifecycle": head(
        "GET", "/", "lifecycle", {}, EMPTY, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543", BUCKET
    ),
    "list_objects": head(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        {},
        EMPTY,
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        BUCKET,
    ),
    "chunked": head(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        {
            "content-encoding": "aws-chunked",
            "content-length": "66824",
            "x-amz-decoded-content-length": "66560",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
        },
        STREAMING,
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "s3.amazonaws.com",
    ),
    "chunked_with_trailer": head(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        {
            "content-encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "x-amz-trailer": "x-amz-checksum-crc32c",
        },
        STREAMING + "-TRAILER",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        "s3.amazonaws.com",
    ),
}
PRESIGNED = HttpHead(
    "GET",
    b"/test.txt",
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256"
    b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ((b"host", BUCKET.encode()),),
    "192.0.2.1",
    False,
    NOW,
)


def check(request: HttpHead) -> str:
    signed = read_signature(request)
    assert signed is not None
    payload_hash = signed.payload_hash or "UNSIGNED-PAYLOAD"
    return verify(signed, request, SECRET, now=NOW, payload_hash=payload_hash, normalise_path=False).seed


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_documented_example_verifies(name: str) -> None:
    request = EXAMPLES[name]
    assert check(request) in dict(request.headers)[b"authorization"].decode()


def test_the_documented_presigned_example_verifies() -> None:
    assert check(PRESIGNED).encode() in PRESIGNED.raw_query


@pytest.mark.parametrize("request_head", [*EXAMPLES.values(), PRESIGNED])
@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"raw_path": b"/other.txt"},
        {"raw_path": b"//test.txt"},
    ],
)
def test_an_example_with_another_method_or_path_is_refused(
    request_head: HttpHead, change: dict[str, bytes | str]
) -> None:
    with pytest.raises(SignatureMismatch):
        check(replace(request_head, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize("request_head", [*EXAMPLES.values(), PRESIGNED])
def test_an_example_with_another_host_is_refused(request_head: HttpHead) -> None:
    headers = tuple((name, b"elsewhere" if name == b"host" else value) for name, value in request_head.headers)
    with pytest.raises(SignatureMismatch):
        check(replace(request_head, headers=headers))


@pytest.mark.parametrize("request_head", [*EXAMPLES.values(), PRESIGNED])
def test_an_example_with_one_more_query_parameter_is_refused(request_head: HttpHead) -> None:
    query = request_head.raw_query + b"&acl" if request_head.raw_query else b"acl"
    with pytest.raises(SignatureMismatch):
        check(replace(request_head, raw_query=query))
