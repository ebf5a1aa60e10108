"""Objects through boto3 with its default settings: what goes in comes out, with its metadata, or is refused."""

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xxhash
from awscrt import checksums as crt
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, CAROL, Proxy

LARGE = bytes(range(251)) * 20_000
KEYS = [
    "plain",
    "a//b",
    "/leading",
    "trailing/",
    "a/../b",
    "../../etc/passwd",
    ".",
    "..",
    "a+b",
    "a b",
    "  two spaces  ",
    "a%2Fb",
    "a%b",
    "ключ/鍵/🔑",
    "e\u0301 is not \u00e9",
    "?versionId=x",
    "a&b=c;d#e",
    "quote'\"<>\\",
    "k" * 1024,
]


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def body_of(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    got = s3.get_object(Bucket=bucket, Key=key, **more)
    with got["Body"] as stream:
        content: bytes = stream.read()
    assert len(content) == got["ContentLength"]
    return content


@pytest.mark.parametrize("key", KEYS)
def test_a_key_means_itself_in_every_operation(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert body_of(s3, bucket, key) == key.encode()
    assert [row["Key"] for row in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": key})
    assert body_of(s3, bucket, "copied") == key.encode()
    assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})["Deleted"] == [{"Key": key}]
    assert refused(lambda: s3.get_object(Bucket=bucket, Key=key)) == (404, "NoSuchKey")


def test_a_key_of_1025_bytes_is_refused(s3: Any, bucket: str) -> None:
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="ä" * 512 + "k")) == (400, "KeyTooLongError")


def test_two_spellings_of_a_letter_are_two_keys(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="\u00e9", Body=b"one")
    s3.put_object(Bucket=bucket, Key="e\u0301", Body=b"two")
    assert (body_of(s3, bucket, "\u00e9"), body_of(s3, bucket, "e\u0301")) == (b"one", b"two")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_048_576, len(LARGE)])
def test_a_body_of_any_size_comes_back_whole(s3: Any, bucket: str, size: int) -> None:
    content = LARGE[:size]
    put = s3.put_object(Bucket=bucket, Key="k", Body=content)
    assert put["ETag"] == f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    assert put["ServerSideEncryption"] == "AES256"
    assert body_of(s3, bucket, "k") == content
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Size"] == size


def test_upload_fileobj_and_download_fileobj_go_through_multipart(s3: Any, bucket: str) -> None:
    content = LARGE * 4
    s3.upload_fileobj(io.BytesIO(content), bucket, "file", ExtraArgs={"Metadata": {"made": "by transfer"}})
    back = io.BytesIO()
    s3.download_fileobj(bucket, "file", back)
    assert back.getvalue() == content
    head = s3.head_object(Bucket=bucket, Key="file")
    assert (head["ETag"].endswith('-3"'), head["Metadata"]) == (True, {"made": "by transfer"})


SYSTEM = {
    "ContentType": "text/plain; charset=utf-8",
    "ContentEncoding": "identity",
    "ContentLanguage": "de, en",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "CacheControl": "no-cache",
    "WebsiteRedirectLocation": "/elsewhere",
}


def test_metadata_comes_back_and_a_replacement_replaces_all_of_it(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"a", Metadata={"Colour": "blue", "x-y": "1, 2"}, **SYSTEM)
    got = s3.get_object(Bucket=bucket, Key="a")
    assert (got["Metadata"], {name: got[name] for name in SYSTEM}) == ({"colour": "blue", "x-y": "1, 2"}, SYSTEM)
    source = {"Bucket": bucket, "Key": "a"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source, Metadata={"ignored": "1"})
    kept = s3.head_object(Bucket=bucket, Key="kept")
    assert (kept["Metadata"], kept["ContentLanguage"]) == (got["Metadata"], "de, en")
    s3.copy_object(**source, CopySource=source, MetadataDirective="REPLACE", Metadata={"new": "1"})
    replaced = s3.head_object(**source)
    assert (replaced["Metadata"], replaced["ContentType"]) == ({"new": "1"}, "binary/octet-stream")
    assert "ContentLanguage" not in replaced
    assert body_of(s3, bucket, "a") == b"a"


def test_metadata_over_2_kb_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="most", Metadata={"m": "x" * 2047})
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="over", Metadata={"m": "x" * 2048})) == (
        400,
        "MetadataTooLarge",
    )


def test_a_clients_own_envelope_header_is_stripped(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"k", Metadata={"ssep": "AQEBAQ", "mine": "1"})
    assert s3.get_object(Bucket=bucket, Key="k")["Metadata"] == {"mine": "1"}


def test_a_copy_onto_itself_must_change_something(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**source, Body=b"k")
    assert refused(lambda: s3.copy_object(**source, CopySource=source)) == (400, "InvalidRequest")
    s3.copy_object(**source, CopySource=source, ServerSideEncryption="aws:kms")
    assert s3.head_object(**source)["ServerSideEncryption"] == "aws:kms"
    assert body_of(s3, bucket, "k") == b"k"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=65535-65536", 65_535, 65_536),
        ("bytes=131071-", 131_071, len(LARGE) - 1),
        ("bytes=-1", len(LARGE) - 1, len(LARGE) - 1),
        ("bytes=-99999999999", 0, len(LARGE) - 1),
        ("bytes=5-99999999999", 5, len(LARGE) - 1),
        ("bytes=1000000-4000000", 1_000_000, 4_000_000),
    ],
)
def test_a_range_is_cut_out_exactly(s3: Any, bucket: str, header: str, first: int, last: int) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=LARGE)
    got = s3.get_object(Bucket=bucket, Key="k", Range=header)
    assert got["Body"].read() == LARGE[first : last + 1]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes {first}-{last}/{len(LARGE)}"
    head = s3.head_object(Bucket=bucket, Key="k", Range=header)
    assert head["ContentLength"] == last + 1 - first


def test_a_range_that_has_nothing_is_416_and_one_that_is_none_is_ignored(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    s3.put_object(Bucket=bucket, Key="empty")
    for key, header in (("k", "bytes=10-"), ("k", "bytes=-0"), ("empty", "bytes=0-0")):
        answer = refused(lambda key=key, header=header: s3.get_object(Bucket=bucket, Key=key, Range=header))
        assert answer == (416, "InvalidRange")
    for header in ("bytes=5-4", "bytes=0-1,3-4", "lines=1-2"):
        assert body_of(s3, bucket, "k", Range=header) == b"0123456789"


def conditions(etag: str, modified: datetime) -> list[tuple[dict[str, Any], int]]:
    """Preconditions of a read, and the status that each must give."""
    before, after = modified - timedelta(hours=1), modified + timedelta(hours=1)
    return [
        ({"IfMatch": etag}, 200),
        ({"IfMatch": "*"}, 200),
        ({"IfMatch": '"other"'}, 412),
        ({"IfNoneMatch": '"other"'}, 200),
        ({"IfNoneMatch": etag}, 304),
        ({"IfNoneMatch": "*"}, 304),
        ({"IfModifiedSince": before}, 200),
        ({"IfModifiedSince": modified}, 304),
        ({"IfUnmodifiedSince": modified}, 200),
        ({"IfUnmodifiedSince": before}, 412),
        ({"IfMatch": etag, "IfUnmodifiedSince": before}, 200),
        ({"IfMatch": '"other"', "IfUnmodifiedSince": after}, 412),
        ({"IfNoneMatch": etag, "IfModifiedSince": before}, 304),
        ({"IfNoneMatch": '"other"', "IfModifiedSince": modified}, 200),
    ]


def test_all_preconditions_hold_for_get_head_and_copy(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**source, Body=b"k")
    head = s3.head_object(**source)
    for given, status in conditions(head["ETag"], head["LastModified"]):
        for read in (s3.get_object, s3.head_object):
            if status == 200:
                assert read(**source, **given)["ETag"] == head["ETag"], given
            else:
                assert refused(lambda read=read, given=given: read(**source, **given))[0] == status, given
        copying = {f"CopySource{name}": value for name, value in given.items()}
        copy = {"Bucket": bucket, "Key": "copied", "CopySource": source, **copying}
        if status == 200:
            s3.copy_object(**copy)
        else:
            assert refused(lambda copy=copy: s3.copy_object(**copy)) == (412, "PreconditionFailed"), given


def test_a_conditional_write_creates_or_replaces_only_what_it_means(s3: Any, bucket: str) -> None:
    target = {"Bucket": bucket, "Key": "k"}
    failed = (412, "PreconditionFailed")
    first = s3.put_object(**target, Body=b"1", IfNoneMatch="*")["ETag"]
    assert refused(lambda: s3.put_object(**target, Body=b"2", IfNoneMatch="*")) == failed
    assert refused(lambda: s3.put_object(**target, Body=b"2", IfMatch='"other"')) == failed
    assert body_of(s3, bucket, "k") == b"1"
    s3.put_object(**target, Body=b"2", IfMatch=first)
    assert body_of(s3, bucket, "k") == b"2"
    absent = {"Bucket": bucket, "Key": "absent"}
    assert refused(lambda: s3.put_object(**absent, Body=b"2", IfMatch=first)) == (404, "NoSuchKey")
    assert refused(lambda: s3.get_object(**absent)) == (404, "NoSuchKey")


def test_overrides_change_the_answer_and_not_the_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"k", ContentType="text/plain")
    said = {name: value for name, value in SYSTEM.items() if name != "WebsiteRedirectLocation"}
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    asked = {f"Response{name}": value for name, value in said.items()}
    got = s3.get_object(Bucket=bucket, Key="k", ResponseExpires=moment, **asked)
    assert {name: got[name] for name in said} == said
    assert got["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    plain = s3.get_object(Bucket=bucket, Key="k")
    assert (plain["ContentType"], "CacheControl" in plain) == ("text/plain", False)


def test_content_md5_is_verified(s3: Any, bucket: str) -> None:
    def md5(content: bytes) -> str:
        return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()

    s3.put_object(Bucket=bucket, Key="right", Body=b"body", ContentMD5=md5(b"body"))
    wrong = {"Bucket": bucket, "Key": "wrong", "Body": b"body"}
    assert refused(lambda: s3.put_object(**wrong, ContentMD5=md5(b"another"))) == (400, "BadDigest")
    assert refused(lambda: s3.head_object(Bucket=bucket, Key="wrong"))[0] == 404
    assert body_of(s3, bucket, "right") == b"body"


def test_a_digest_that_is_none_is_refused(proxy: Proxy, bucket: str) -> None:
    refusal = refused(
        lambda: proxy.client("s3", ALICE).put_object(Bucket=bucket, Key="none", Body=b"body", ContentMD5="AAAA")
    )
    assert refusal == (400, "InvalidDigest")


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
    "SHA512": lambda data: hashlib.sha512(data).digest(),
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    "XXHASH64": lambda data: xxhash.xxh64(data).digest(),
    "XXHASH3": lambda data: xxhash.xxh3_64(data).digest(),
    "XXHASH128": lambda data: xxhash.xxh3_128(data).digest(),
}


def test_the_digests_above_are_all_that_the_model_names(s3: Any) -> None:
    assert set(s3.meta.service_model.shape_for("ChecksumAlgorithm").enum) == set(DIGESTS)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_checksum_in_a_header_is_verified_stored_and_shown(s3: Any, bucket: str, name: str) -> None:
    content, member = LARGE[:100_000], f"Checksum{name}"
    right, wrong = (base64.b64encode(DIGESTS[name](data)).decode() for data in (content, content[1:]))
    put = s3.put_object(Bucket=bucket, Key="k", Body=content, **{member: right})
    assert (put[member], put["ChecksumType"]) == (right, "FULL_OBJECT")
    for read in (s3.get_object, s3.head_object):
        shown = read(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (shown[member], shown["ChecksumType"]) == (right, "FULL_OBJECT")
    assert member not in s3.head_object(Bucket=bucket, Key="k")
    copied = s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "k"})
    assert copied["CopyObjectResult"][member] == right
    lie = {"Bucket": bucket, "Key": "lie", "Body": content, member: wrong}
    assert refused(lambda: s3.put_object(**lie)) == (400, "BadDigest")
    assert refused(lambda: s3.head_object(Bucket=bucket, Key="lie"))[0] == 404


@pytest.mark.parametrize("name", [name for name in DIGESTS if name != "MD5"])
def test_a_checksum_that_boto3_computes_itself_is_accepted(s3: Any, bucket: str, name: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=LARGE, ChecksumAlgorithm=name)
    assert put[f"Checksum{name}"] == base64.b64encode(DIGESTS[name](LARGE)).decode()
    # botocore checks what it downloads against the checksum, and would raise
    assert body_of(s3, bucket, "k", ChecksumMode="ENABLED") == LARGE


def test_deletes_are_idempotent_and_many_at_once_tell_of_each(s3: Any, bucket: str) -> None:
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key)
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_object(Bucket=bucket, Key="a")
    asked = {"Objects": [{"Key": "a"}, {"Key": "b"}]}
    assert [row["Key"] for row in s3.delete_objects(Bucket=bucket, Delete=asked)["Deleted"]] == ["a", "b"]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert ("Deleted" in quiet, "Errors" in quiet) == (False, False)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_who_may_not_delete_is_told_so_for_each_key(s3: Any, proxy: Proxy, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a")
    answer = proxy.client("s3", CAROL).delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})
    assert [(row["Key"], row["Code"]) for row in answer["Errors"]] == [("a", "AccessDenied")]
    assert s3.head_object(Bucket=bucket, Key="a")["ContentLength"] == 0


def test_a_refused_upload_leaves_the_connection_in_step(proxy: Proxy, bucket: str) -> None:
    """botocore asks with `Expect: 100-continue`; refused, it keeps its body, and goes on with the connection."""
    carol = proxy.client("s3", CAROL)
    for _ in range(3):
        assert refused(lambda: carol.put_object(Bucket=bucket, Key="k", Body=b"0123")) == (403, "AccessDenied")
        assert refused(lambda: carol.list_objects_v2(Bucket=bucket)) == (403, "AccessDenied")
