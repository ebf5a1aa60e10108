"""AWS's own clients, boto3 and the CLI: sizes, ETags and metadata, from PUT to LIST, by whatever way they are asked."""

import hashlib
import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import Served
from testkit.clients import LARGE, MARK, contents, sizes
from testkit.proxy import ALICE, BOB

MIB = 1024 * 1024
SIZES = (0, 1, 15, 65_535, 65_536, 65_537, 131_072, MIB - 1, MIB, MIB + 1, 5 * MIB + 3)
SYSTEM = {
    "ContentType": "text/x-own; charset=utf-8",
    "CacheControl": "max-age=60, private",
    "ContentDisposition": 'attachment; filename="report.txt"',
    "ContentEncoding": "zstd",
    "ContentLanguage": "de-CH",
}
OWN = {"colour": "blue", "inner-spaces": "a  b", "empty-ish": "-", "number": "42"}


def body(size: int) -> bytes:
    """Bytes that are not to lie anywhere."""
    return (MARK + random.Random(size).randbytes(size))[:size]


def in_parts(s3: Any, bucket: str, key: str, parts: list[bytes], **more: Any) -> str:
    """A multipart upload; the ETag that Complete answers."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **more)["UploadId"]
    done = []
    for number, part in enumerate(parts, 1):
        etag = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)["ETag"]
        done.append({"ETag": etag, "PartNumber": number})
    made = s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": done})
    return str(made["ETag"])


def listed(s3: Any, bucket: str) -> dict[str, tuple[int, str]]:
    """Size and ETag of every key, two keys a page."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    return {row["Key"]: (row["Size"], row["ETag"]) for page in pages for row in page.get("Contents", ())}


def headed(s3: Any, bucket: str, key: str) -> tuple[int, str]:
    """Size and ETag as HEAD tells them."""
    head = s3.head_object(Bucket=bucket, Key=key)
    return head["ContentLength"], head["ETag"]


def test_sizes_and_etags_are_the_same_from_put_to_list_and_after_a_restart(served: Served, bucket: str) -> None:
    s3, expected = served.s3(), {}
    for size in SIZES:
        put = s3.put_object(Bucket=bucket, Key=f"whole/{size}", Body=body(size))
        expected[f"whole/{size}"] = (size, put["ETag"])
    for last in (0, 1, 65_537):
        parts = [body(5 * MIB), body(5 * MIB + 1)] + ([body(last)] if last else [])
        size = sum(map(len, parts))
        expected[f"parts/{size}"] = (size, in_parts(s3, bucket, f"parts/{size}", parts))
    served.proxy.stop()
    served.proxy.start()
    s3 = served.s3()
    assert listed(s3, bucket) == expected
    for key, (size, etag) in expected.items():
        assert headed(s3, bucket, key) == (size, etag)
        got = s3.get_object(Bucket=bucket, Key=key)
        with got["Body"] as stream:
            assert (len(stream.read()), got["ETag"], got["ContentLength"]) == (size, etag, size)
        told = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=["ETag", "ObjectSize"])
        assert (told["ObjectSize"], f'"{told["ETag"].strip(chr(34))}"') == (size, etag)
    assert served.leaks(sum(size for size, _ in expected.values())) == []


def test_an_etag_that_looks_like_an_md5_is_the_md5(served: Served, bucket: str) -> None:
    s3, data = served.s3(), body(70_000)
    etag = s3.put_object(Bucket=bucket, Key="k", Body=data)["ETag"].strip('"')
    assert "-" in etag or etag == hashlib.md5(data, usedforsecurity=False).hexdigest()
    again = s3.put_object(Bucket=bucket, Key="k", Body=data[:-1] + b"?")["ETag"].strip('"')
    assert etag != again
    if served.backend is None:
        kms = s3.head_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "aws:kms"
        assert ("-" in etag) == kms


def test_an_etag_from_a_listing_is_a_condition_that_holds_until_the_object_changes(served: Served, bucket: str) -> None:
    s3, data = served.s3(), body(100_000)
    s3.put_object(Bucket=bucket, Key="k", Body=data)
    ((_, etag),) = listed(s3, bucket).values()
    with s3.get_object(Bucket=bucket, Key="k", IfMatch=etag, Range="bytes=65530-65540")["Body"] as stream:
        assert stream.read() == data[65_530:65_541]
    with pytest.raises(ClientError, match="304"):
        s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", CopySourceIfMatch=etag)
    assert headed(s3, bucket, "copy")[0] == len(data)
    s3.put_object(Bucket=bucket, Key="k", Body=data + b"!")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k", CopySourceIfMatch=etag)
    s3.get_object(Bucket=bucket, Key="k", IfNoneMatch=etag)["Body"].close()


def test_list_and_head_tell_the_same_time(served: Served, bucket: str) -> None:
    """S3's times are whole seconds; who compares a listing with a HEAD, or sends its date back, relies on it."""
    s3 = served.s3()
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    rows = s3.list_objects_v2(Bucket=bucket)["Contents"]
    heads = [s3.head_object(Bucket=bucket, Key=row["Key"])["LastModified"] for row in rows]
    assert [row["LastModified"] for row in rows] == heads
    for row in rows:
        s3.head_object(Bucket=bucket, Key=row["Key"], IfUnmodifiedSince=row["LastModified"])


def test_metadata_comes_back_as_given_whole_in_parts_and_copied(served: Served, bucket: str) -> None:
    s3, expires = served.s3(), datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    given = {**SYSTEM, "Metadata": OWN, "Expires": expires}
    s3.put_object(Bucket=bucket, Key="whole", Body=b"w", **given)
    in_parts(s3, bucket, "parts", [body(5 * MIB), b"p"], **given)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/parts")
    for key in ("whole", "parts", "copy"):
        for answer in (s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key)):
            assert {name: answer[name] for name in SYSTEM} == SYSTEM, key
            assert (answer["Metadata"], answer["ExpiresString"]) == (OWN, "Tue, 06 May 2031 07:08:09 GMT"), key
            if "Body" in answer:
                answer["Body"].close()
    # the twin: replaced, nothing of the old is left
    directive = {"MetadataDirective": "REPLACE", "Metadata": {"colour": "red"}}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/copy", **directive)
    head = s3.head_object(Bucket=bucket, Key="copy")
    assert head["Metadata"] == {"colour": "red"}
    assert "CacheControl" not in head


@pytest.mark.parametrize("kind", ["application/octet-stream", "binary/octet-stream", "text/x-own"])
def test_a_content_type_comes_back_whatever_the_key_ends_in(served: Served, plain_bucket: str, kind: str) -> None:
    """Some servers take a general type for none, and guess one from the key's ending."""
    s3 = served.s3()
    for name in ("notes.txt", "page.html", "table.csv", "data.json", "no-extension"):
        s3.put_object(Bucket=plain_bucket, Key=name, Body=b"typed", ContentType=kind)
        in_parts(s3, plain_bucket, f"parts/{name}", [b"typed"], ContentType=kind)
    for key, (size, _) in listed(s3, plain_bucket).items():
        assert (s3.head_object(Bucket=plain_bucket, Key=key)["ContentType"], size) == (kind, 5), key
        got = s3.get_object(Bucket=plain_bucket, Key=key)
        with got["Body"] as stream:
            assert (stream.read(), got["ContentType"]) == (b"typed", kind), key


def test_the_cli_lists_true_sizes_and_synchronises_both_ways(
    served: Served, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    def run(*words: str) -> str:
        return served.proxy.aws(*words, who=ALICE).stdout

    run("s3", "sync", "--no-progress", str(tree), f"s3://{keyed_bucket}/tree", "--metadata", "maker=cli")
    rows = [
        line.split(maxsplit=3) for line in run("s3", "ls", "--recursive", f"s3://{keyed_bucket}/tree/").splitlines()
    ]
    assert {name.removeprefix("tree/"): int(size) for _, _, size, name in rows} == sizes(tree)
    assert run("s3", "sync", str(tree), f"s3://{keyed_bucket}/tree") == ""
    run("s3", "sync", "--no-progress", f"s3://{keyed_bucket}/tree", str(tmp_path / "back"))
    assert contents(tmp_path / "back") == contents(tree)
    head = json.loads(run("s3api", "head-object", "--bucket", keyed_bucket, "--key", "tree/large.bin"))
    assert (head["Metadata"], head["ContentLength"]) == ({"maker": "cli"}, LARGE)
    assert head["ETag"].endswith('-3"')
    run("s3", "cp", f"s3://{keyed_bucket}/tree/large.bin", f"s3://{keyed_bucket}/copy.bin")
    assert headed(served.s3(), keyed_bucket, "copy.bin")[0] == LARGE


def test_who_may_not_use_the_key_gets_sizes_and_no_bytes(
    served: Served, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    def bob(*words: str) -> tuple[int, str]:
        done = served.proxy.aws(*words, who=BOB, check=False)
        return done.returncode, done.stdout + done.stderr

    served.proxy.aws("s3", "sync", str(tree / "deep"), f"s3://{keyed_bucket}", who=ALICE)
    status, said = bob("s3", "sync", f"s3://{keyed_bucket}", str(tmp_path / "stolen"))
    assert (status, said.count("AccessDenied")) == (1, len(contents(tree / "deep")))
    assert contents(tmp_path / "stolen") == {}
    status, said = bob("s3", "ls", "--recursive", f"s3://{keyed_bucket}")
    assert (status, len(said.splitlines())) == (0, len(contents(tree / "deep")))


def test_a_changed_bit_at_the_store_lets_nothing_through(
    served: Served, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    served.proxy.aws("s3", "cp", str(tree / "large.bin"), f"s3://{keyed_bucket}/large.bin", who=ALICE)
    assert served.corrupt(keyed_bucket) >= 1
    done = served.proxy.aws(
        "s3", "cp", f"s3://{keyed_bucket}/large.bin", str(tmp_path / "back"), who=ALICE, check=False
    )
    assert done.returncode == 1
    assert not (tmp_path / "back").exists()


def test_a_plaintext_planted_at_the_store_would_be_found(served: Served, bucket: str) -> None:
    """The search that the other tests rely on finds what it looks for, wherever it begins."""
    served.s3().put_object(Bucket=bucket, Key="k", Body=body(100_000))
    assert served.leaks(100_000) == []
    planted = served.folders[0] / "planted"
    planted.write_bytes(b"\0" * 1001 + MARK[9:33])
    try:
        assert served.leaks(100_000) == [str(planted)]
    finally:
        planted.unlink()
    with pytest.raises(AssertionError, match="bytes were looked at"):
        served.leaks(1 << 50)
