"""Servers that end and begin again: what was acknowledged is there, and nobody works on a folder besides its server."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, MAIN, ROOT, Proxy, running

BODY = bytes(range(256)) * 2048
PART = b"p" * (5 << 20)


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Proxy]:
    """A server of the test's own, to be ended as it likes."""
    with running(tmp_path / "data") as proxy:
        yield proxy


def fill(proxy: Proxy) -> dict[str, Any]:
    """A bit of everything that is acknowledged; what it was."""
    s3, kms = proxy.client("s3", ALICE), proxy.client("kms", ALICE)
    key = kms.create_key(Description="kept")["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    s3.create_bucket(Bucket="kept")
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/kept"}
    for number in range(20):
        s3.put_object(Bucket="kept", Key=f"small-{number}", Body=BODY[:number], **(encryption if number % 2 else {}))
    s3.put_object(Bucket="kept", Key="large", Body=BODY, **encryption)
    s3.delete_object(Bucket="kept", Key="small-0")
    named = {"Bucket": "kept", "Key": "parts"}
    named["UploadId"] = s3.create_multipart_upload(**named, **encryption)["UploadId"]
    etag = s3.upload_part(**named, PartNumber=1, Body=PART)["ETag"]
    return {"key": key, "blob": blob, "named": named, "etag": etag}


def again(proxy: Proxy) -> None:
    """Start a server that has ended; what is left of its pipe is closed first."""
    assert proxy.process is not None
    assert proxy.process.poll() is not None
    assert proxy.process.stderr is not None
    proxy.process.stderr.close()
    proxy.start()


def check(proxy: Proxy, was: dict[str, Any]) -> None:
    """All of it is there."""
    s3, kms = proxy.client("s3", ALICE), proxy.client("kms", ALICE)
    assert kms.describe_key(KeyId="alias/kept")["KeyMetadata"]["Arn"] == was["key"]
    assert kms.decrypt(CiphertextBlob=was["blob"])["Plaintext"] == b"secret"
    for number in range(1, 20):
        assert s3.get_object(Bucket="kept", Key=f"small-{number}")["Body"].read() == BODY[:number]
    assert s3.get_object(Bucket="kept", Key="large")["Body"].read() == BODY
    assert "small-0" not in [row["Key"] for row in s3.list_objects_v2(Bucket="kept")["Contents"]]
    assert [part["ETag"] for part in s3.list_parts(**was["named"])["Parts"]] == [was["etag"]]


def verified(proxy: Proxy) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sseproxy", "audit", "verify", "--data", str(proxy.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_was_acknowledged_survives_kill_9(mine: Proxy) -> None:
    was = fill(mine)
    for _ in range(2):
        mine.kill()
        again(mine)
        check(mine, was)
    done = verified(mine)
    assert done.returncode == 0, done.stdout + done.stderr
    # and the upload that was under way goes on
    s3 = mine.client("s3", ALICE)
    last = s3.upload_part(**was["named"], PartNumber=2, Body=b"last")["ETag"]
    parts = [{"PartNumber": 1, "ETag": was["etag"]}, {"PartNumber": 2, "ETag": last}]
    s3.complete_multipart_upload(**was["named"], MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket="kept", Key="parts")["Body"].read() == PART + b"last"


def test_an_upload_that_kill_9_cut_off_never_was_and_leaves_nothing(mine: Proxy) -> None:
    s3 = mine.client("s3", ALICE, signature_version="s3v4")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="k", Body=b"old")
    blobs = mine.data / "store" / "buckets" / "kept" / "blobs"
    connection = begin_put(mine, s3, "k", 8 << 20)
    connection.send(bytes(6 << 20))
    until(lambda: any(path.is_file() and path.stat().st_size for path in blobs.rglob("*")))
    mine.kill()
    connection.close()
    again(mine)
    s3 = mine.client("s3", ALICE)
    assert s3.get_object(Bucket="kept", Key="k")["Body"].read() == b"old"
    assert [row["Key"] for row in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["k"]
    assert not [path for path in blobs.rglob("*") if path.is_file()]


def begin_put(proxy: Proxy, s3: Any, key: str, size: int) -> http.client.HTTPConnection:
    """The head of a PUT, sent; its body is still to come."""
    url = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": "kept", "Key": key}))
    assert url.port is not None
    connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=60)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    assert f"http://{url.netloc}" == proxy.endpoint
    return connection


def until(holds: Callable[[], bool]) -> None:
    """Look until it is so, for half a minute at most."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it never came to be so"
        os.sched_yield()


def test_sigterm_lets_a_request_in_flight_end_and_takes_no_new_one(mine: Proxy) -> None:
    s3 = mine.client("s3", ALICE, signature_version="s3v4")
    s3.create_bucket(Bucket="kept")
    body = BODY * 16
    connection = begin_put(mine, s3, "k", len(body))
    connection.send(body[: len(body) // 2])
    blobs = mine.data / "store" / "buckets" / "kept" / "blobs"
    until(lambda: any(path.is_file() for path in blobs.rglob("*")))  # the PUT has begun
    assert mine.process is not None
    mine.process.send_signal(signal.SIGTERM)
    port = urlsplit(mine.endpoint).port
    assert port is not None

    def refuses() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    until(refuses)
    connection.send(body[len(body) // 2 :])
    with connection.getresponse() as answer:
        assert answer.status == 200
    connection.close()
    assert mine.process.wait(60) in (0, -signal.SIGTERM)
    again(mine)
    assert mine.client("s3", ALICE).get_object(Bucket="kept", Key="k")["Body"].read() == body


def test_a_second_server_on_the_same_folder_is_refused(mine: Proxy) -> None:
    command = [sys.executable, "-m", "sseproxy", "serve", "--data", str(mine.data), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"another sseproxy serves {mine.data}" in done.stderr
    assert "Traceback" not in done.stderr
    assert mine.client("s3", ALICE).list_buckets()["Buckets"] == []
    # the twin: once the first has ended, the folder is free
    mine.stop()
    again(mine)


def test_a_second_start_reuses_the_root_credential_of_the_first(tmp_path: Path) -> None:
    given = {
        "SSEPROXY_ROOT_ACCESS_KEY_ID": ROOT.access_key_id,
        "SSEPROXY_ROOT_SECRET_ACCESS_KEY": ROOT.secret,
        "SSEPROXY_ACCOUNT_ID": MAIN,
    }
    with running(tmp_path / "data", bootstrap=None, **given) as proxy:
        assert proxy.client("sts").get_caller_identity()["Arn"] == f"arn:aws:iam::{MAIN}:root"
        proxy.stop()
        proxy.environment = {}
        again(proxy)
        assert proxy.client("sts").get_caller_identity()["Account"] == MAIN
        assert len((proxy.data / "root.key").read_bytes()) > 0


def test_the_credential_made_at_the_first_start_is_printed_and_good_at_the_second(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None) as proxy:
        log = tmp_path / "data.log"

        def exported() -> dict[str, str]:
            lines = [
                line.removeprefix("export ") for line in log.read_text().splitlines() if line.startswith("export ")
            ]
            return {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in lines)}

        until(lambda: "AWS_SECRET_ACCESS_KEY" in exported())
        first = exported()
        proxy.stop()
        again(proxy)
        environment = {**os.environ, **first, "AWS_ENDPOINT_URL": proxy.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
        command = [str(Path(sys.executable).with_name("aws")), "s3", "mb", "s3://kept"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


def test_two_workers_serve_one_state_and_see_a_revocation_at_once(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--workers", "2") as proxy:
        kms = proxy.client("kms", ALICE)
        key = kms.create_key()["KeyMetadata"]["Arn"]
        made = proxy.client("s3", ALICE)
        made.create_bucket(Bucket="kept")
        made.put_object(Bucket="kept", Key="k", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        # a connection stays with its worker: some of many are with either
        clients = [proxy.client("s3", ALICE) for _ in range(8)]
        for turn in range(3):
            for client in clients:
                assert client.get_object(Bucket="kept", Key="k")["Body"].read() == BODY
            kms.disable_key(KeyId=key)
            for client in clients:
                with pytest.raises(ClientError, match=r"KMS\.DisabledException"):
                    client.get_object(Bucket="kept", Key="k")
            kms.enable_key(KeyId=key)
            clients[turn].put_object(Bucket="kept", Key=f"turn-{turn}", Body=b"t")
            for client in clients:
                assert client.head_object(Bucket="kept", Key=f"turn-{turn}")["ContentLength"] == 1
        assert verified(proxy).returncode == 0
