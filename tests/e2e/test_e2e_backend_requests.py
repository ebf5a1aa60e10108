"""What a request of a client costs at the S3 server behind: counted on the wire, at a real SeaweedFS."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testkit import seaweed
from testkit.counting import Counter, counting
from testkit.proxy import ALICE, running

MIB = 1024 * 1024
BUCKET = "counted"


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Counter]]:
    """A client of a proxy over a backend, and what passes between these two."""
    folder = tmp_path_factory.mktemp("counted")
    with (
        seaweed.running(folder / "weed") as weed,
        counting(weed.backend.endpoint) as counter,
        running(
            folder / "data",
            "--backend",
            "s3",
            "--backend-endpoint",
            counter.endpoint,
            SSEPROXY_BACKEND_ACCESS_KEY_ID=weed.backend.access_key_id,
            SSEPROXY_BACKEND_SECRET_ACCESS_KEY=weed.backend.secret,
        ) as proxy,
    ):
        s3 = proxy.client("s3", ALICE)
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="small", Body=b"x" * 1000, ServerSideEncryption="aws:kms")
        s3.put_object(Bucket=BUCKET, Key="large", Body=bytes(3 * MIB))
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        named = {"Bucket": BUCKET, "Key": "parts", "UploadId": upload}
        etags = [s3.upload_part(**named, PartNumber=at, Body=os.urandom(6 * MIB))["ETag"] for at in (1, 2)]
        parts = {"Parts": [{"PartNumber": at, "ETag": etag} for at, etag in enumerate(etags, 1)]}
        s3.complete_multipart_upload(**named, MultipartUpload=parts)
        yield s3, counter


def cost(counter: Counter, call: Callable[[], Any]) -> list[str]:
    """The methods of the requests that a call makes at the backend."""
    before = len(counter.requests)
    answer = call()
    if "Body" in answer:
        answer["Body"].read()
    return [request.partition(" ")[0] for request in counter.requests[before:]]


@pytest.mark.parametrize(
    ("name", "more", "methods"),
    [
        ("small", {}, ["HEAD", "GET"]),
        ("large", {}, ["HEAD", "GET", "GET"]),  # boto3 asks for the checksum, which is in the footer
        ("large", {"Range": "bytes=1000000-2000000"}, ["HEAD", "GET"]),
        ("parts", {}, ["HEAD", "GET", "GET"]),
        ("parts", {"Range": "bytes=6000000-7000000"}, ["HEAD", "GET", "GET"]),
    ],
)
def test_a_get_is_a_look_and_a_read_and_a_footer_where_there_are_parts(
    counted: tuple[Any, Counter], name: str, more: dict[str, str], methods: list[str]
) -> None:
    s3, counter = counted
    assert cost(counter, lambda: s3.get_object(Bucket=BUCKET, Key=name, **more)) == methods


def test_a_put_and_a_head_are_one_request_each(counted: tuple[Any, Counter]) -> None:
    s3, counter = counted
    assert cost(counter, lambda: s3.put_object(Bucket=BUCKET, Key="new", Body=b"y" * 5000)) == ["PUT"]
    assert cost(counter, lambda: s3.head_object(Bucket=BUCKET, Key="parts")) == ["HEAD"]


def test_a_page_of_a_listing_is_one_request_and_has_true_sizes(counted: tuple[Any, Counter]) -> None:
    s3, counter = counted
    seen: dict[str, Any] = {}
    assert cost(counter, lambda: seen.update(s3.list_objects_v2(Bucket=BUCKET)) or seen) == ["GET"]
    sizes = {row["Key"]: row["Size"] for row in seen["Contents"]}
    assert (sizes["small"], sizes["large"], sizes["parts"]) == (1000, 3 * MIB, 12 * MIB)
