"""Crashes on both sides of the wire between the proxy and a real S3 server (SeaweedFS).

What was acknowledged is there afterwards; what was not is there whole or not at all; no client waits for ever, and each
gets an error that S3 clients try again.
"""

import contextlib
import http.client
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from testkit import seaweed
from testkit.proxy import ALICE, Proxy, running
from testkit.seaweed import Seaweed

MIB = 1024 * 1024
BUCKET = "faults"
PATIENT = {"read_timeout": 60, "connect_timeout": 10}


@pytest.fixture
def weed(tmp_path: Path) -> Iterator[Seaweed]:
    """A SeaweedFS that may be killed."""
    with seaweed.running(tmp_path / "weed") as started:
        yield started


@pytest.fixture
def proxy(weed: Seaweed, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy over it that may be killed, and comes back on the same port."""
    with running(
        tmp_path / "data",
        "--backend",
        "s3",
        "--backend-endpoint",
        weed.backend.endpoint,
        SSEPROXY_BACKEND_ACCESS_KEY_ID=weed.backend.access_key_id,
        SSEPROXY_BACKEND_SECRET_ACCESS_KEY=weed.backend.secret,
    ) as started:
        started.client("s3", ALICE).create_bucket(Bucket=BUCKET)
        yield started


def crash(proxy: Proxy) -> Any:
    """SIGKILL, a new start on the same folder, and a client for it."""
    proxy.kill()
    proxy.start()
    return proxy.client("s3", ALICE, **PATIENT)


def test_a_multipart_upload_survives_the_death_of_the_proxy_after_each_step(proxy: Proxy) -> None:
    s3, body = proxy.client("s3", ALICE, **PATIENT), os.urandom(5 * MIB + 77)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="m", ServerSideEncryption="aws:kms")["UploadId"]
    named = {"Bucket": BUCKET, "Key": "m", "UploadId": upload}
    s3 = crash(proxy)
    first = s3.upload_part(**named, PartNumber=1, Body=body[: 5 * MIB])["ETag"]
    s3 = crash(proxy)
    second = s3.upload_part(**named, PartNumber=2, Body=body[5 * MIB :])["ETag"]  # parked: it is under 5 MiB
    s3 = crash(proxy)
    assert [part["Size"] for part in s3.list_parts(**named)["Parts"]] == [5 * MIB, 77]
    parts = {"Parts": [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]}
    done = s3.complete_multipart_upload(**named, MultipartUpload=parts)["ETag"]
    s3 = crash(proxy)
    assert s3.complete_multipart_upload(**named, MultipartUpload=parts)["ETag"] == done
    assert s3.get_object(Bucket=BUCKET, Key="m")["Body"].read() == body


@pytest.mark.parametrize("who", ["proxy", "backend"])
@pytest.mark.parametrize("after", [0.0, 0.05])
def test_a_complete_that_is_cut_off_can_be_repeated(proxy: Proxy, weed: Seaweed, who: str, after: float) -> None:
    """The moment of the kill varies; whatever it hits, a repeated Complete makes the whole object."""
    s3, body = proxy.client("s3", ALICE, **PATIENT), os.urandom(5 * MIB + 5)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    named = {"Bucket": BUCKET, "Key": "m", "UploadId": upload}
    pieces = (body[: 5 * MIB], body[5 * MIB :])
    etags = [s3.upload_part(**named, PartNumber=at, Body=piece)["ETag"] for at, piece in enumerate(pieces, 1)]
    parts = {"Parts": [{"PartNumber": at, "ETag": etag} for at, etag in enumerate(etags, 1)]}
    timer = threading.Timer(after, proxy.kill if who == "proxy" else weed.kill)
    timer.start()
    with contextlib.suppress(ClientError, BotoCoreError):
        s3.complete_multipart_upload(**named, MultipartUpload=parts)
    timer.join()
    if who == "proxy":
        proxy.start()
    else:
        weed.start()
    again = proxy.client("s3", ALICE, **PATIENT)
    again.complete_multipart_upload(**named, MultipartUpload=parts)
    assert again.get_object(Bucket=BUCKET, Key="m")["Body"].read() == body


def answered(call: Callable[[], Any]) -> int:
    """The status of a call that fails; 0 if the connection was cut."""
    try:
        call()
    except ClientError as refused:
        return int(refused.response["ResponseMetadata"]["HTTPStatusCode"])
    except (BotoCoreError, OSError):
        return 0
    raise AssertionError("the call succeeded without a backend")


def test_without_its_backend_every_call_ends_in_an_error_that_clients_retry(proxy: Proxy, weed: Seaweed) -> None:
    s3 = proxy.client("s3", ALICE, **PATIENT)
    s3.put_object(Bucket=BUCKET, Key="o", Body=b"acknowledged")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    part = {"Bucket": BUCKET, "Key": "m", "UploadId": upload, "PartNumber": 1}
    weed.kill()
    calls: list[Callable[[], Any]] = [
        lambda: s3.get_object(Bucket=BUCKET, Key="o"),
        lambda: s3.put_object(Bucket=BUCKET, Key="o", Body=b"another"),
        lambda: s3.upload_part(**part, Body=b"x"),
        lambda: s3.list_objects_v2(Bucket=BUCKET),
        lambda: s3.delete_object(Bucket=BUCKET, Key="o"),
    ]
    assert {answered(call) for call in calls} <= {500, 503}
    weed.start()
    assert s3.get_object(Bucket=BUCKET, Key="o")["Body"].read() == b"acknowledged"
    s3.put_object(Bucket=BUCKET, Key="o", Body=b"another")
    assert s3.get_object(Bucket=BUCKET, Key="o")["Body"].read() == b"another"


def test_a_backend_that_dies_in_the_middle_of_a_put_leaves_the_old_object(proxy: Proxy, weed: Seaweed) -> None:
    s3 = proxy.client("s3", ALICE, **PATIENT)
    s3.put_object(Bucket=BUCKET, Key="o", Body=b"old")

    class Dying:
        """A body that kills the backend when half of it has been read."""

        left = 32 * MIB

        def __len__(self) -> int:
            return 32 * MIB

        def read(self, size: int = -1) -> bytes:
            size = min(self.left, size if size > 0 else MIB)
            self.left -= size
            if self.left < 16 * MIB and weed.process is not None:
                weed.kill()
            return bytes(size)

    unsigned = proxy.client("s3", ALICE, signature_version="s3v4")
    url = unsigned.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "o"})
    assert put_stream(url, Dying()) in (0, 500, 503)
    weed.start()
    assert s3.get_object(Bucket=BUCKET, Key="o")["Body"].read() == b"old"


def put_stream(url: str, body: Any) -> int:
    """PUT a stream to a presigned URL; the status, or 0 if the connection was cut."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Content-Length": str(len(body))})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_a_backend_that_dies_in_the_middle_of_a_get_cuts_the_answer_short(proxy: Proxy, weed: Seaweed) -> None:
    s3, body = proxy.client("s3", ALICE, **PATIENT), os.urandom(48 * MIB)
    s3.put_object(Bucket=BUCKET, Key="o", Body=body)
    stream = s3.get_object(Bucket=BUCKET, Key="o")["Body"]
    got = [stream.read(MIB)]
    weed.kill()
    with pytest.raises((BotoCoreError, OSError)):
        got.extend(iter(lambda: stream.read(MIB), b""))
    assert len(b"".join(got)) < len(body)
    assert body.startswith(b"".join(got)), "nothing but the object's own bytes was served"
