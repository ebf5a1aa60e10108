"""Attacks on the record: a journal that cannot be written, lines removed and edited, secrets that leak into it."""

import base64
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.at_rest import Backend, Read, events, read
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, CAROL, OTHER_ROOT, ROOT, Proxy, running

from kms_core.audit.journal import JournalError, verify

KMS = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of the test's own, whose journal may be damaged."""
    with running(tmp_path / "data") as started:
        started.client("s3", ROOT).create_bucket(Bucket="audited")
        yield started


def journal_file(server: Proxy) -> Path:
    """The journal's present file."""
    return max(file for file in (server.data / "audit").glob("*.jsonl") if file.is_file())


def status_of(call: Callable[..., Any], **named: Any) -> int:
    """The status of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**named)
    return int(caught.value.response["ResponseMetadata"]["HTTPStatusCode"])


def _disk_full(server: Proxy) -> Callable[[], None]:
    """No file of the server's may grow beyond the journal's present size; the journal is made the largest first."""
    assert server.process is not None
    s3, filler = server.client("s3", ROOT), "k" * 1_000
    sizes = [file.stat().st_size for file in server.data.rglob("*") if file.is_file()]
    while journal_file(server).stat().st_size < max(sizes) + 300_000:
        read(s3, "audited", filler)
    limit = journal_file(server).stat().st_size
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    pid = server.process.pid

    def mend() -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    return mend


def test_a_call_whose_event_cannot_be_written_fails_and_has_no_effect(server: Proxy) -> None:
    """Attack 48, the disk being full: nothing is committed or returned by either service; afterwards all is well."""
    s3 = server.client("s3", ALICE, response_checksum_validation="when_required")
    kms = server.client("kms", ALICE)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    for name in ("sse-s3", "sse-kms"):
        s3.put_object(Bucket="audited", Key=name, Body=b"kept", **(KMS if name == "sse-kms" else {}))
    upload = {"Bucket": "audited", "Key": "parts", "UploadId": ""}
    upload["UploadId"] = s3.create_multipart_upload(Bucket="audited", Key="parts")["UploadId"]
    part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"part")["ETag"]}
    backend = Backend(server.data, "audited")
    places, before = backend.places(), journal_file(server).read_bytes()
    mend = _disk_full(server)
    try:
        for name in ("sse-s3", "sse-kms"):
            got = read(s3, "audited", name)
            assert (got.data, got.status) == (b"", 503), name
            assert status_of(s3.put_object, Bucket="audited", Key=name, Body=b"lost") >= 500
        assert status_of(s3.put_object, Bucket="audited", Key="new", Body=bytes(100_000)) >= 500
        assert status_of(s3.delete_object, Bucket="audited", Key="sse-s3") >= 500
        assert status_of(s3.copy_object, Bucket="audited", Key="new", CopySource="audited/sse-s3") >= 500
        complete = {**upload, "MultipartUpload": {"Parts": [part]}}
        assert status_of(s3.complete_multipart_upload, **complete) >= 500
        assert status_of(s3.abort_multipart_upload, **upload) >= 500
        assert status_of(s3.upload_part, **upload, PartNumber=2, Body=b"lost") >= 500
        assert status_of(s3.create_bucket, Bucket="unaudited") >= 500
        assert status_of(s3.delete_bucket, Bucket="audited") >= 500
        assert status_of(kms.decrypt, CiphertextBlob=blob) >= 500
        assert status_of(kms.generate_data_key, KeyId=key, KeySpec="AES_256") >= 500
        assert status_of(kms.create_key) >= 500
        assert status_of(kms.disable_key, KeyId=key) >= 500
        assert status_of(server.client("s3", CAROL).list_buckets) >= 500
    finally:
        mend()
    assert journal_file(server).read_bytes()[: len(before)] == before
    assert backend.places() == places
    assert {one["Key"] for one in s3.list_objects_v2(Bucket="audited")["Contents"]} == {"sse-s3", "sse-kms"}
    for name in ("sse-s3", "sse-kms"):
        assert read(s3, "audited", name) == Read(b"kept")
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["audited"]
    keys = kms.list_keys()["Keys"]
    assert {kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"]["KeyState"] for one in keys} == {"Enabled"}
    assert [one["PartNumber"] for one in s3.list_parts(**upload)["Parts"]] == [1]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]})
    found = verdict(server.data)
    assert (found.returncode, found.stderr) == (0, "")
    assert "the chain is whole" in found.stdout


@pytest.mark.parametrize("restart", [False, True], ids=["under-a-server", "between-two-runs"])
def test_a_journal_whose_end_was_torn_off_goes_on_and_the_gap_is_named(server: Proxy, restart: bool) -> None:
    """Attack 49, and what a power failure leaves: the next event must not be glued to the rest of a torn line."""
    s3, file = server.client("s3", ALICE), journal_file(server)
    s3.list_buckets()
    if restart:
        server.stop()
        assert server.process is not None
        assert server.process.stderr is not None
        server.process.stderr.close()
    with file.open("r+b") as torn:
        torn.truncate(file.stat().st_size - 10)
    if restart:
        server.start()
        s3 = server.client("s3", ALICE)
    s3.create_bucket(Bucket="recorded-after-the-gap")
    whole = [line for line in file.read_bytes().splitlines(keepends=True) if line.startswith(b'{"seq":')]
    fresh = [line for line in whole if b"recorded-after-the-gap" in line]
    assert [json.loads(line)["event"]["eventName"] for line in fresh] == ["CreateBucket"]
    assert complaint(server.data) != ""
    command = [sys.executable, "-m", "sseproxy", "audit", "tail", "--data", str(server.data)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in shown.stderr
    assert "recorded-after-the-gap" in shown.stdout


def complaint(data: Path) -> str:
    """What the verifier says of a journal; nothing if it is whole."""
    try:
        assert verify(data / "audit") > 0
    except JournalError as problem:
        return str(problem)
    return ""


def verdict(data: Path) -> subprocess.CompletedProcess[str]:
    """What `sseproxy audit verify` says."""
    command = [sys.executable, "-m", "sseproxy", "audit", "verify", "--data", str(data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a proxy that has stopped, its journal a few dozen lines long."""
    data = tmp_path_factory.mktemp("written") / "data"
    with running(data) as started:
        s3 = started.client("s3", ALICE)
        s3.create_bucket(Bucket="audited")
        key = started.client("kms", ALICE).create_key()["KeyMetadata"]["KeyId"]
        for number in range(12):
            s3.put_object(Bucket="audited", Key=f"o{number}", Body=b"x", SSEKMSKeyId=key, **KMS)
        assert read(started.client("s3", BOB), "audited", "o1").status == 403
    return data


def chained(lines: list[bytes], start: int) -> list[bytes]:
    """The lines from `start` on, numbered and hashed anew, as an attacker who knows the format would."""
    for at in range(start, len(lines)):
        record = json.loads(lines[at])
        previous = hashlib.sha256(lines[at - 1]).hexdigest() if at else "0" * 64
        event = lines[at][lines[at].index(b'"event":') :]
        assert record["prev"]
        lines[at] = b'{"seq":%d,"prev":"%s",' % (at + 1, previous.encode()) + event
    return lines


def _denied(lines: list[bytes]) -> int:
    """Where the denial stands that somebody would like to hide."""
    return next(at for at, line in enumerate(lines) if b'"errorCode":"AccessDenied"' in line)


def _removed(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], *lines[5:]]


def _edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[4].replace(b'"eventVersion":"1.11"', b'"eventVersion":"1.12"'), *lines[5:]]


def _swapped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def _doubled(lines: list[bytes]) -> list[bytes]:
    return [*lines[:5], lines[4], *lines[5:]]


def _first_gone(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _garbled(lines: list[bytes]) -> list[bytes]:
    return [*lines[:4], b"nothing to see here\n", *lines[5:]]


def _end_cut(lines: list[bytes]) -> list[bytes]:
    return lines[:-2]


def _last_edited(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"errorCode":"AccessDenied"', b'"errorCode":"Something"')]


def _all_gone(lines: list[bytes]) -> list[bytes]:
    return []


def _torn(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1][:-20]]


def _rechained(lines: list[bytes]) -> list[bytes]:
    at = _denied(lines)
    return chained([*lines[:at], *lines[at + 1 :]], at)


def _rechained_to_length(lines: list[bytes]) -> list[bytes]:
    at = _denied(lines)
    return chained([*lines[:at], *lines[at + 1 :], lines[0]], at)


def _rechained_and_longer(lines: list[bytes]) -> list[bytes]:
    at = _denied(lines)
    return chained([*lines[:at], *lines[at + 1 :], lines[0], lines[1], lines[2]], at)


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (_removed, "line 5"),
        (_edited, "line 6"),
        (_swapped, "line 5"),
        (_doubled, "line 6"),
        (_first_gone, "line 1"),
        (_garbled, "line 5"),
        (_end_cut, "cut off"),
        (_last_edited, "edited"),
        (_all_gone, "cut off"),
        (_torn, "line"),
        (_rechained, "cut off"),
        (_rechained_to_length, "edited"),
        (_rechained_and_longer, "edited"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_damaged_journal_is_found_and_the_place_is_named(
    written: Path, tmp_path: Path, attack: Callable[[list[bytes]], list[bytes]], named: str
) -> None:
    """Attack 49. Even a chain forged anew does not fit the head, which says what was written last."""
    assert complaint(written) == ""
    data = tmp_path / "data"
    shutil.copytree(written / "audit", data / "audit")
    (file,) = (data / "audit").glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    after = attack(list(lines))
    assert after != lines
    file.write_bytes(b"".join(after))
    assert named in complaint(data)
    if attack is _removed:  # what the operator's command makes of it
        found = verdict(data)
        assert (found.returncode, found.stdout) == (1, "")
        assert named in found.stderr
        assert "Traceback" not in found.stderr


def test_a_journal_or_its_head_taken_away_is_found(written: Path, tmp_path: Path) -> None:
    """Attack 49: the files themselves."""
    for name in ("head", "*.jsonl"):
        data = tmp_path / name.strip("*.") / "data"
        shutil.copytree(written / "audit", data / "audit")
        for file in (data / "audit").glob(name):
            file.unlink()
        assert complaint(data).endswith(("head is missing", "cut off"))


def test_a_journal_in_use_verifies_at_any_moment(server: Proxy) -> None:
    """Attack 49's twin: no false alarm when a call is recorded between the walk and the look at the head. A pipe that
    stands for a later day holds the walk up until the call is done."""
    pipe = server.data / "audit" / "99991231.jsonl"
    os.mkfifo(pipe)

    def record_meanwhile() -> None:
        with pipe.open("wb"):
            server.client("s3", ALICE).list_buckets()

    before = len(journal_file(server).read_bytes().splitlines())
    thread = threading.Thread(target=record_meanwhile)
    thread.start()
    try:
        assert verify(server.data / "audit") >= before
    finally:
        thread.join(60)
        pipe.unlink()
    assert verify(server.data / "audit") > before


def test_errors_logs_and_audit_carry_no_key_secret_or_plaintext(server: Proxy) -> None:
    """Attack 50: provoke every kind of failure, then look for each secret in each of its spellings."""
    kms, s3 = server.client("kms", ALICE), server.client("s3", ALICE, response_checksum_validation="when_required")
    answers: list[str] = []

    def provoke(call: Callable[..., Any], **named: Any) -> Any:
        try:
            return call(**named)
        except ClientError as error:
            answers.append(repr(error.response))
            return None

    plaintext = b"PLAINTEXT-that-must-stay-hidden-4711"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    blob = kms.encrypt(KeyId=key, Plaintext=plaintext)["CiphertextBlob"]
    random = kms.generate_random(NumberOfBytes=32)["Plaintext"]
    kms.decrypt(CiphertextBlob=blob)
    provoke(kms.decrypt, CiphertextBlob=blob, EncryptionContext={"wrong": "context"})
    provoke(kms.encrypt, KeyId="alias/absent", Plaintext=plaintext)
    provoke(kms.encrypt, KeyId=key, Plaintext=plaintext * 200)
    provoke(server.client("kms", CAROL).encrypt, KeyId=key, Plaintext=plaintext)
    provoke(server.client("kms", OTHER_ROOT).decrypt, CiphertextBlob=blob)
    s3.put_object(Bucket="audited", Key="o", Body=plaintext * 4_000, SSEKMSKeyId=key, **KMS)
    s3.put_object(Bucket="audited", Key="gone", Body=plaintext * 4_000)
    provoke(s3.put_object, Bucket="audited", Key="p", Body=plaintext, ContentMD5=base64.b64encode(bytes(16)).decode())
    provoke(server.client("s3", BOB).get_object, Bucket="audited", Key="o")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "audited", "Key": "o"})
    backend = Backend(server.data, "audited")
    stored = backend.get("o")
    backend.edit("o", body=stored.body[:100] + b"\0" + stored.body[101:])
    answers.append(repr(read(s3, "audited", "o")))
    for place, _ in backend.extents("gone"):
        backend.blob(place).unlink()
    answers.append(repr(read(s3, "audited", "gone")))
    wrong = type(ALICE)(ALICE.access_key_id, "WRONG/secret/key/that/nobody/has/000000001")
    provoke(server.client("s3", wrong).get_object, Bucket="audited", Key="o")
    provoke(server.client("kms", wrong).decrypt, CiphertextBlob=blob)
    assert len(answers) >= 9
    server.stop()
    log = server.data.with_name("data.log").read_text()
    assert "the store failed" in log, "the log has something to say"
    journal = "".join(path.read_text() for path in (server.data / "audit").glob("*.jsonl"))
    assert len(events(server.data)) > 15
    root_key = (server.data / "root.key").read_bytes().strip()
    secrets = [plaintext, made["Plaintext"], random, root_key, url.partition("Signature=")[2][:64].encode()]
    secrets += [who.secret.encode() for who in (ROOT, ALICE, BOB, CAROL, OTHER_ROOT, wrong)]
    for secret in secrets:
        raw = secret.decode("latin-1")
        for spelling in (raw, secret.hex(), base64.b64encode(secret).decode().rstrip("=")[:-2], repr(secret)[2:-1]):
            for where, text in (("answers", "".join(answers)), ("log", log), ("journal", journal)):
                assert spelling not in text, where
