"""Multipart uploads through boto3: the seven operations, their orders and disorders, and what the whole is then."""

import base64
import hashlib
import uuid
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from awscrt import checksums as crt
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, Proxy

MIB = 1 << 20
ONE, TWO, LAST = (bytes([number]) * 17 * (size // 17) for number, size in ((1, 6 * MIB), (2, 5 * MIB + 20), (3, 1000)))
WHOLE = ONE + TWO + LAST


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


class Upload:
    """An upload under way."""

    def __init__(self, s3: Any, bucket: str, key: str = "whole", **more: Any) -> None:
        self.s3, self.target = s3, {"Bucket": bucket, "Key": key}
        self.made = s3.create_multipart_upload(**self.target, **more)
        self.named = {**self.target, "UploadId": self.made["UploadId"]}

    def part(self, number: int, body: bytes, **more: Any) -> dict[str, Any]:
        """Upload a part; how Complete lists it."""
        answer = self.s3.upload_part(**self.named, PartNumber=number, Body=body, **more)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def complete(self, parts: Iterable[dict[str, Any]], **more: Any) -> Any:
        listed = {"Parts": list(parts)}
        return self.s3.complete_multipart_upload(**self.named, MultipartUpload=listed, **more)

    def read(self, **more: Any) -> bytes:
        with self.s3.get_object(**self.target, **more)["Body"] as stream:
            content: bytes = stream.read()
        return content


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


@pytest.fixture
def upload(s3: Any, bucket: str) -> Upload:
    return Upload(s3, bucket)


def test_parts_become_one_object_only_when_completed(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, ContentType="text/plain", Metadata={"a": "b"})
    parts = [upload.part(number, body) for number, body in ((1, ONE), (2, TWO), (3, LAST))]
    assert refused(upload.read) == (404, "NoSuchKey")
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    done = upload.complete(parts)
    assert upload.read() == WHOLE
    etag = f'"{md5(b"".join(md5(part) for part in (ONE, TWO, LAST))).hex()}-3"'
    head = s3.head_object(**upload.target)
    assert [done["ETag"], head["ETag"], s3.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"]] == [etag] * 3
    assert (head["ContentLength"], head["ContentType"], head["Metadata"]) == (len(WHOLE), "text/plain", {"a": "b"})


def test_parts_may_come_in_any_order_with_gaps_and_be_left_out(upload: Upload) -> None:
    parts = {
        number: upload.part(number, body) for number, body in ((10_000, LAST), (70, b"left out"), (3, TWO), (2, ONE))
    }
    upload.complete([parts[2], parts[3], parts[10_000]])
    assert upload.read() == WHOLE


def test_the_last_attempt_at_a_part_is_the_one_that_counts(upload: Upload) -> None:
    old = upload.part(1, LAST)
    new = upload.part(1, ONE)
    assert refused(lambda: upload.complete([old])) == (400, "InvalidPart")
    upload.complete([new])
    assert upload.read() == ONE


def test_a_part_below_5_mib_may_only_come_last(upload: Upload) -> None:
    small, last = upload.part(1, ONE[: 5 * MIB - 1]), upload.part(2, LAST)
    assert refused(lambda: upload.complete([small, last])) == (400, "EntityTooSmall")
    # nothing is lost: the same part again, one byte longer
    upload.complete([upload.part(1, ONE[: 5 * MIB]), last])
    assert upload.read() == ONE[: 5 * MIB] + LAST


def test_one_empty_part_makes_an_empty_object(upload: Upload) -> None:
    upload.complete([upload.part(1, b"")])
    assert upload.read() == b""


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([], "MalformedXML"),
        ([{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}], "InvalidPart"),
        ([{"PartNumber": 2, "ETag": '"right"'}], "InvalidPart"),
        ([{"PartNumber": 2, "ETag": '"x"'}, {"PartNumber": 1, "ETag": '"x"'}], "InvalidPartOrder"),
        ([{"PartNumber": 1, "ETag": '"x"'}, {"PartNumber": 1, "ETag": '"x"'}], "InvalidPartOrder"),
    ],
)
def test_a_wrong_list_of_parts_is_refused_and_the_upload_lives_on(
    upload: Upload, listed: list[dict[str, Any]], code: str
) -> None:
    right = upload.part(1, LAST)
    for part in listed:
        part["ETag"] = part["ETag"].replace('"right"', right["ETag"])
    assert refused(lambda: upload.complete(listed)) == (400, code)
    assert refused(upload.read) == (404, "NoSuchKey")
    upload.complete([right])
    assert upload.read() == LAST


def test_a_complete_may_be_repeated_with_the_same_answer(proxy: Proxy, bucket: str) -> None:
    upload = Upload(proxy.client("s3", ALICE), bucket)
    parts = [upload.part(1, ONE), upload.part(2, LAST)]
    first, second = upload.complete(parts), upload.complete(parts)
    names = set(first) - {"ResponseMetadata"}
    assert {name: first[name] for name in names} == {name: second[name] for name in names}
    assert upload.read() == ONE + LAST
    # but it is no upload any more
    assert refused(lambda: upload.s3.list_parts(**upload.named)) == (404, "NoSuchUpload")
    assert refused(lambda: upload.part(3, LAST)) == (404, "NoSuchUpload")


def test_a_complete_obeys_its_conditions(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    s3.put_object(**upload.target, Body=b"there first")
    parts = [upload.part(1, LAST)]
    assert refused(lambda: upload.complete(parts, IfNoneMatch="*")) == (412, "PreconditionFailed")
    assert upload.read() == b"there first"
    assert refused(lambda: upload.complete(parts, MpuObjectSize=len(LAST) + 1)) == (400, "InvalidRequest")
    upload.complete(parts, IfMatch=s3.head_object(**upload.target)["ETag"], MpuObjectSize=len(LAST))
    assert upload.read() == LAST


def test_an_aborted_upload_is_gone_with_its_bytes(proxy: Proxy, s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    part = upload.part(1, ONE)
    blobs = proxy.data / "store" / "buckets" / bucket / "blobs"
    assert [path for path in blobs.rglob("*") if path.is_file()]
    s3.abort_multipart_upload(**upload.named)
    assert not [path for path in blobs.rglob("*") if path.is_file()]
    for call in (
        lambda: s3.abort_multipart_upload(**upload.named),
        lambda: s3.list_parts(**upload.named),
        lambda: upload.complete([part]),
    ):
        assert refused(call) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refused(upload.read) == (404, "NoSuchKey")


def test_an_upload_belongs_to_its_key_and_bucket(proxy: Proxy, s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket)
    another = f"test-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=another)
    for changed in ({"Key": "other"}, {"Bucket": another}, {"UploadId": "x" + upload.named["UploadId"]}):
        named = {**upload.named, **changed}
        fresh = proxy.client("s3", ALICE)
        assert refused(lambda fresh=fresh, named=named: fresh.list_parts(**named)) == (404, "NoSuchUpload")
        part = {**named, "PartNumber": 1, "Body": b"x"}
        assert refused(lambda fresh=fresh, part=part: fresh.upload_part(**part)) == (404, "NoSuchUpload")
    s3.delete_bucket(Bucket=another)


@pytest.mark.parametrize("number", [0, 10_001])
def test_a_part_number_is_between_1_and_10000(proxy: Proxy, bucket: str, number: int) -> None:
    upload = Upload(proxy.client("s3", ALICE), bucket)
    assert refused(lambda: upload.part(number, b"x")) == (400, "InvalidArgument")


def test_a_get_of_one_part_and_a_range_over_parts_are_exact(upload: Upload) -> None:
    parts = [upload.part(number, body) for number, body in ((2, ONE), (5, TWO), (9, LAST))]
    upload.complete(parts)
    second = upload.s3.get_object(**upload.target, PartNumber=5)
    assert second["Body"].read() == TWO
    assert second["PartsCount"] == 3
    assert second["ContentRange"] == f"bytes {len(ONE)}-{len(ONE) + len(TWO) - 1}/{len(WHOLE)}"
    assert refused(lambda: upload.read(PartNumber=1))[0] == 416
    for first, last in (
        (len(ONE) - 1, len(ONE)),
        (len(ONE) - 65_537, len(ONE) + len(TWO) + 1),
        (len(WHOLE) - 1, len(WHOLE) - 1),
    ):
        assert upload.read(Range=f"bytes={first}-{last}") == WHOLE[first : last + 1]


def test_parts_are_copied_from_objects_whole_and_by_range(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source ä"}
    s3.put_object(**source, Body=WHOLE, ServerSideEncryption="aws:kms")
    etag = s3.head_object(**source)["ETag"]
    upload = Upload(s3, bucket)
    copy = {**upload.named, "CopySource": source}
    first = s3.upload_part_copy(**copy, PartNumber=1, CopySourceIfMatch=etag)["CopyPartResult"]
    cut = s3.upload_part_copy(**copy, PartNumber=2, CopySourceRange="bytes=100-199")["CopyPartResult"]
    upload.complete([{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": cut["ETag"]}])
    assert upload.read() == WHOLE + WHOLE[100:200]


def test_a_part_copy_out_of_bounds_or_against_its_conditions_is_refused(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=LAST)
    upload = Upload(s3, bucket)
    copy = {**upload.named, "PartNumber": 1, "CopySource": source}
    for text in (f"bytes=0-{len(LAST)}", "bytes=5-4", "bytes=5-", "5-6"):
        answer = refused(lambda text=text: s3.upload_part_copy(**copy, CopySourceRange=text))
        assert answer == (400, "InvalidArgument"), text
    assert refused(lambda: s3.upload_part_copy(**copy, CopySourceIfMatch='"x"')) == (412, "PreconditionFailed")
    absent = {**copy, "CopySource": {"Bucket": bucket, "Key": "absent"}}
    assert refused(lambda: s3.upload_part_copy(**absent)) == (404, "NoSuchKey")
    assert "Parts" not in s3.list_parts(**upload.named)


def test_list_parts_pages_and_shows_sizes(upload: Upload) -> None:
    etags = [upload.part(number, bytes(number))["ETag"] for number in range(1, 6)]
    listing = {**upload.named, "MaxParts": 2}
    pages = [upload.s3.list_parts(**listing, PartNumberMarker=marker) for marker in (0, 2, 4)]
    shown = [(part["PartNumber"], part["ETag"], part["Size"]) for page in pages for part in page["Parts"]]
    assert shown == [(number, etags[number - 1], number) for number in range(1, 6)]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert [page["NextPartNumberMarker"] for page in pages] == [2, 4, 5]
    assert pages[0]["Initiator"]["ID"].endswith(":user/alice")
    paginator = upload.s3.get_paginator("list_parts").paginate(**upload.named, PaginationConfig={"PageSize": 2})
    assert [part["PartNumber"] for page in paginator for part in page["Parts"]] == [1, 2, 3, 4, 5]


def test_list_multipart_uploads_pages_by_key_and_then_by_age(s3: Any, bucket: str) -> None:
    keys = ["a", "a", "a", "b/1", "b/2", "c ü"]
    made = [(key, Upload(s3, bucket, key).named["UploadId"]) for key in keys]
    paginator = s3.get_paginator("list_multipart_uploads")
    pages = list(paginator.paginate(Bucket=bucket, PaginationConfig={"PageSize": 2}))
    assert len(pages) == 3
    assert [(row["Key"], row["UploadId"]) for page in pages for row in page["Uploads"]] == made
    rolled = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [row["Prefix"] for row in rolled["CommonPrefixes"]] == ["b/"]
    assert [row["Key"] for row in rolled["Uploads"]] == ["a", "a", "a", "c ü"]
    within = s3.list_multipart_uploads(Bucket=bucket, Prefix="b/")
    assert [row["Key"] for row in within["Uploads"]] == ["b/1", "b/2"]
    for key, upload_id in made:
        s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)


def text(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


FULL: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
}
COMPOSITE: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": FULL["CRC32"],
    "CRC32C": FULL["CRC32C"],
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, "FULL_OBJECT") for name in FULL] + [(name, "COMPOSITE") for name in COMPOSITE]
)
def test_the_objects_checksum_is_made_of_its_parts_and_verified(s3: Any, bucket: str, name: str, kind: str) -> None:
    member = f"Checksum{name}"
    if kind == "FULL_OBJECT":
        expected = text(FULL[name](WHOLE))
    else:
        digest = COMPOSITE[name]
        expected = text(digest(b"".join(digest(part) for part in (ONE, TWO, LAST)))) + "-3"
    upload = Upload(s3, bucket, ChecksumAlgorithm=name, ChecksumType=kind)
    assert (upload.made["ChecksumAlgorithm"], upload.made["ChecksumType"]) == (name, kind)
    parts = []
    for number, body in ((1, ONE), (2, TWO), (3, LAST)):
        answer = s3.upload_part(**upload.named, PartNumber=number, Body=body, ChecksumAlgorithm=name)
        parts.append({"PartNumber": number, "ETag": answer["ETag"], member: answer[member]})
    shown = s3.list_parts(**upload.named)
    assert (shown["ChecksumAlgorithm"], shown["ChecksumType"]) == (name, kind)
    assert [part[member] for part in shown["Parts"]] == [part[member] for part in parts]
    swapped = [{**parts[0], member: parts[1][member]}, *parts[1:]]
    assert refused(lambda: upload.complete(swapped)) == (400, "InvalidPart")
    wrong = text(bytes(len(base64.b64decode(parts[0][member]))))
    assert refused(lambda: upload.complete(parts, **{member: wrong})) == (400, "BadDigest")
    done = upload.complete(parts, ChecksumType=kind)
    head = s3.head_object(**upload.target, ChecksumMode="ENABLED")
    assert [done[member], head[member]] == [expected] * 2
    assert [done["ChecksumType"], head["ChecksumType"]] == [kind] * 2
    assert upload.read() == WHOLE


@pytest.mark.parametrize(
    ("name", "kind"), [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("MD4", "COMPOSITE")]
)
def test_a_pair_of_algorithm_and_type_that_s3_has_not_is_refused(s3: Any, bucket: str, name: str, kind: str) -> None:
    wanted = {"ChecksumAlgorithm": name, "ChecksumType": kind}
    assert refused(lambda: Upload(s3, bucket, **wanted)) == (400, "InvalidRequest")


def test_a_part_with_another_checksum_than_the_uploads_is_refused(proxy: Proxy, bucket: str) -> None:
    upload = Upload(proxy.client("s3", ALICE), bucket, ChecksumAlgorithm="SHA256")
    assert refused(lambda: upload.part(1, LAST, ChecksumAlgorithm="CRC32")) == (400, "InvalidRequest")
    assert "Parts" not in proxy.client("s3", ALICE).list_parts(**upload.named)
