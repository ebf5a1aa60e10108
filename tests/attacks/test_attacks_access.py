"""Attacks of clients with valid credentials: keys they may not use, uploads that are not theirs, forged peers."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.at_rest import Backend, Read, events, read
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, CAROL, MAIN, OTHER_ROOT, ROOT, Proxy, running

MIB = 1024 * 1024
KMS = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy of the module's own, for what it reads from its disk is counted."""
    with running(tmp_path_factory.mktemp("access") / "data") as started:
        yield started


@pytest.fixture
def key(server: Proxy) -> str:
    """A KMS key of the main account, open to whomever IAM allows."""
    return str(server.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def vault(server: Proxy, request: pytest.FixtureRequest, key: str) -> str:
    """A bucket that encrypts under `key`."""
    name = f"vault-{abs(hash(request.node.nodeid)):x}"
    s3 = server.client("s3", ALICE)
    s3.create_bucket(Bucket=name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


def refusal(call: Any, **named: Any) -> tuple[int, str]:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**named)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def bytes_read(server: Proxy) -> int:
    """What the server's process has read so far, from files and sockets."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


@pytest.mark.parametrize("who", [BOB, CAROL], ids=["s3-rights-only", "no-rights"])
@pytest.mark.parametrize("more", [{}, {"Range": "bytes=0-9"}, {"PartNumber": 1}], ids=["whole", "range", "part"])
def test_without_decrypt_not_one_body_byte_is_read_from_the_backend(
    server: Proxy, vault: str, who: Any, more: dict[str, Any]
) -> None:
    """Attack 20. The proof is the kernel's count of bytes read, and that a body which is gone makes no difference."""
    body = bytes(8 * MIB)
    server.client("s3", ALICE).put_object(Bucket=vault, Key="o", Body=body)
    denied = server.client("s3", who)
    before = bytes_read(server)
    got = read(denied, vault, "o", **more)
    assert got.refused
    assert (got.status, got.error) == (403, "AccessDenied")
    assert bytes_read(server) - before < 64 * 1024
    assert read(server.client("s3", ALICE), vault, "o", **more).data == body[: 10 if "Range" in more else None]
    assert bytes_read(server) - before > (64 * 1024 if "Range" in more else 8 * MIB)
    backend = Backend(server.data, vault)
    for place in backend.places():
        backend.blob(place).unlink()
    assert read(denied, vault, "o", **more) == got


def test_a_denied_reader_may_still_look_and_delete(server: Proxy, vault: str) -> None:
    """What 20 does not promise: S3 rights are S3 rights."""
    server.client("s3", ALICE).put_object(Bucket=vault, Key="o", Body=b"text")
    bob = server.client("s3", BOB)
    assert bob.head_object(Bucket=vault, Key="o")["ContentLength"] == 4
    assert refusal(bob.put_object, Bucket=vault, Key="o", Body=b"other") == (403, "AccessDenied")
    assert read(server.client("s3", ALICE), vault, "o") == Read(b"text")
    bob.delete_object(Bucket=vault, Key="o")
    assert read(server.client("s3", ALICE), vault, "o").error == "NoSuchKey"


@pytest.mark.parametrize("bucket_key", [False, True], ids=["own-data-key", "bucket-key"])
def test_decrypt_revoked_and_a_key_disabled_count_at_once(
    server: Proxy, vault: str, key: str, bucket_key: bool
) -> None:
    """Attacks 21 and 22: keys may be cached, decisions never."""
    alice, kms = server.client("s3", ALICE), server.client("kms", ROOT)
    alice.put_object(
        Bucket=vault,
        Key="o",
        Body=b"text",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
        BucketKeyEnabled=bucket_key,
    )
    assert read(alice, vault, "o") == Read(b"text")
    policy = kms.get_key_policy(KeyId=key)["Policy"]
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{MAIN}:user/alice"},
        "Action": "kms:Decrypt",
        "Resource": "*",
    }
    document = json.loads(policy)
    kms.put_key_policy(KeyId=key, Policy=json.dumps({**document, "Statement": [*document["Statement"], deny]}))
    got = read(alice, vault, "o")
    assert got.refused
    assert (got.status, got.error) == (403, "AccessDenied")
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert read(alice, vault, "o") == Read(b"text")
    kms.disable_key(KeyId=key)
    got = read(alice, vault, "o")
    assert got.refused
    assert (got.status, got.error) == (400, "KMS.DisabledException")
    assert refusal(alice.put_object, Bucket=vault, Key="p", Body=b"x") == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=key)
    assert read(alice, vault, "o") == Read(b"text")


def test_without_decrypt_no_part_can_be_uploaded(server: Proxy, vault: str) -> None:
    """Attack 23, and its kin: copying a part, listing nothing, completing."""
    alice, bob = server.client("s3", ALICE), server.client("s3", BOB)
    alice.create_bucket(Bucket=f"{vault}-open")
    alice.put_object(Bucket=f"{vault}-open", Key="source", Body=b"anyone's")
    named = {"Bucket": vault, "Key": "o"}
    upload = {**named, "UploadId": alice.create_multipart_upload(**named)["UploadId"]}
    places = Backend(server.data, vault).places()
    assert refusal(bob.upload_part, **upload, PartNumber=1, Body=b"bob's") == (403, "AccessDenied")
    source = {"Bucket": f"{vault}-open", "Key": "source"}
    assert refusal(bob.upload_part_copy, **upload, PartNumber=1, CopySource=source) == (403, "AccessDenied")
    assert Backend(server.data, vault).places() == places
    part = {"PartNumber": 1, "ETag": alice.upload_part(**upload, PartNumber=1, Body=b"alice's")["ETag"]}
    complete = {**upload, "MultipartUpload": {"Parts": [part]}}
    assert refusal(bob.complete_multipart_upload, **complete) == (403, "AccessDenied")
    assert read(alice, vault, "o").error == "NoSuchKey"
    alice.complete_multipart_upload(**complete)
    assert read(alice, vault, "o") == Read(b"alice's")


def test_a_copy_whose_source_the_caller_may_not_decrypt_is_refused(server: Proxy, vault: str) -> None:
    """Attack 24: the target has no KMS key at all, so only the source can refuse."""
    alice, bob = server.client("s3", ALICE), server.client("s3", BOB)
    alice.create_bucket(Bucket=f"{vault}-open")
    alice.put_object(Bucket=vault, Key="o", Body=b"secret")
    source, target = {"Bucket": vault, "Key": "o"}, {"Bucket": f"{vault}-open", "Key": "stolen"}
    assert refusal(bob.copy_object, **target, CopySource=source) == (403, "AccessDenied")
    upload = {**target, "UploadId": bob.create_multipart_upload(**target)["UploadId"]}
    assert refusal(bob.upload_part_copy, **upload, PartNumber=1, CopySource=source) == (403, "AccessDenied")
    assert read(alice, target["Bucket"], "stolen").error == "NoSuchKey"
    assert refusal(bob.copy_object, Bucket=vault, Key="o", CopySource=source, MetadataDirective="REPLACE")[0] == 403
    alice.copy_object(**target, CopySource=source)
    assert read(alice, target["Bucket"], "stolen") == Read(b"secret")


@pytest.mark.parametrize("upload_id", ["never-issued", "A" * 64, "../../x", "' OR '1'='1", "%00", "é" * 20])
def test_an_upload_id_that_was_never_issued_is_no_upload(server: Proxy, vault: str, upload_id: str) -> None:
    """Attack 25."""
    s3 = server.client("s3", ALICE)
    s3.create_multipart_upload(Bucket=vault, Key="o")
    named = {"Bucket": vault, "Key": "o", "UploadId": upload_id}
    assert refusal(s3.upload_part, **named, PartNumber=1, Body=b"x") == (404, "NoSuchUpload")
    assert refusal(s3.list_parts, **named) == (404, "NoSuchUpload")
    assert refusal(s3.abort_multipart_upload, **named) == (404, "NoSuchUpload")
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    assert refusal(s3.complete_multipart_upload, **named, MultipartUpload=parts) == (404, "NoSuchUpload")


def test_an_upload_id_of_another_bucket_or_key_is_no_upload(server: Proxy, vault: str) -> None:
    """Attack 26."""
    s3 = server.client("s3", ALICE)
    s3.create_bucket(Bucket=f"{vault}-two")
    upload_id = s3.create_multipart_upload(Bucket=vault, Key="o")["UploadId"]
    mine = {"Bucket": vault, "Key": "o", "UploadId": upload_id}
    etag = s3.upload_part(**mine, PartNumber=1, Body=b"mine")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    for bucket, name in ((vault, "p"), (f"{vault}-two", "o"), (vault, "o/")):
        named = {"Bucket": bucket, "Key": name, "UploadId": upload_id}
        assert refusal(s3.upload_part, **named, PartNumber=1, Body=b"theirs") == (404, "NoSuchUpload")
        assert refusal(s3.list_parts, **named) == (404, "NoSuchUpload")
        assert refusal(s3.complete_multipart_upload, **named, MultipartUpload=parts) == (404, "NoSuchUpload")
        assert refusal(s3.abort_multipart_upload, **named) == (404, "NoSuchUpload")
        assert read(s3, bucket, name).error == "NoSuchKey"
    s3.complete_multipart_upload(**mine, MultipartUpload=parts)
    assert read(s3, vault, "o") == Read(b"mine")


def test_another_accounts_key_is_of_no_use_unless_its_policy_says_so(server: Proxy, vault: str) -> None:
    """Attack 32. Absent, closed and open to its own account only: all look alike from outside."""
    s3, kms = server.client("s3", ALICE), server.client("kms", OTHER_ROOT)
    theirs = kms.create_key()["KeyMetadata"]["Arn"]
    absent = theirs[:-4] + ("0000" if theirs[-4:] != "0000" else "1111")
    told = []
    for arn in (theirs, absent):
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket=vault, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=arn)
        error = caught.value.response["Error"]
        told.append((error["Code"], error["Message"].replace(arn, "<arn>")))
    assert told[0] == told[1]
    assert told[0][0] == "AccessDenied"
    assert read(s3, vault, "o").error == "NoSuchKey"
    document = json.loads(kms.get_key_policy(KeyId=theirs)["Policy"])
    allow = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MAIN}:root"}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=theirs, Policy=json.dumps({**document, "Statement": [*document["Statement"], allow]}))
    s3.put_object(Bucket=vault, Key="o", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=theirs)
    assert read(s3, vault, "o") == Read(b"x")
    refused = refusal(
        server.client("s3", BOB).put_object,
        Bucket=vault,
        Key="o",
        Body=b"y",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=theirs,
    )
    assert refused == (403, "AccessDenied")
    kms.put_key_policy(KeyId=theirs, Policy=json.dumps(document))
    assert read(s3, vault, "o").status == 403


FORGED = [
    {"X-Forwarded-For": "203.0.113.7"},
    {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"},
    {"X-Real-IP": "203.0.113.7"},
    {"Forwarded": "for=203.0.113.7;proto=https"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Ssl": "on", "Front-End-Https": "on"},
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda headers: "+".join(headers))
@pytest.mark.parametrize(
    ("condition", "twin"),
    [
        ({"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"Bool": {"aws:SecureTransport": "true"}}),
    ],
    ids=["source-ip", "secure-transport"],
)
def test_forwarded_headers_of_a_peer_that_is_no_trusted_proxy_are_ignored(
    server: Proxy, vault: str, forged: dict[str, str], condition: dict[str, Any], twin: dict[str, Any]
) -> None:
    """Attack 51: in the decision and in the audit."""
    admin, liar = server.client("s3", ROOT), server.client("s3", ALICE)
    admin.put_object(Bucket=vault, Key="o", Body=b"text")

    def forge(request: Any, **_: Any) -> None:
        for name, value in forged.items():
            request.headers[name] = value

    liar.meta.events.register("before-send.s3", forge)
    for effect, status in ((condition, 403), (twin, 200)):
        statement = {
            "Effect": "Deny",
            "Principal": {"AWS": f"arn:aws:iam::{MAIN}:user/alice"},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{vault}/*",
            "Condition": effect,
        }
        admin.put_bucket_policy(Bucket=vault, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        assert read(liar, vault, "o").status == status
    got = [event for event in events(server.data) if event["eventName"] == "GetObject"][-2:]
    assert [event["sourceIPAddress"] for event in got] == ["127.0.0.1", "127.0.0.1"]


def _race(*writers: Any) -> list[Any]:
    """Run them at once, begun together; their answers."""
    gate, found = threading.Barrier(len(writers)), [None] * len(writers)

    def run(place: int, writer: Any) -> None:
        gate.wait(30)
        found[place] = writer()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert None not in found
    return found


def test_of_many_writers_of_one_part_one_wins_whole(server: Proxy, vault: str) -> None:
    """Attack 54, and nothing of the losers is left at rest."""
    s3 = server.client("s3", ALICE)
    named = {"Bucket": vault, "Key": "o"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named)["UploadId"]}
    bodies = [bytes((seed,)) * (MIB + seed) for seed in range(1, 7)]
    clients = [server.client("s3", ALICE) for _ in bodies]
    answers = _race(
        *(
            lambda client=client, body=body: client.upload_part(**upload, PartNumber=1, Body=body)["ETag"]
            for client, body in zip(clients, bodies, strict=True)
        )
    )
    (part,) = s3.list_parts(**upload)["Parts"]
    winner = answers.index(part["ETag"])
    assert part["Size"] == len(bodies[winner])
    for etag in set(answers) - {part["ETag"]}:
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=parts) == (400, "InvalidPart")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert read(s3, vault, "o") == Read(bodies[winner])
    backend = Backend(server.data, vault)
    assert backend.places() == {place for place, _ in backend.extents("o")}


def test_of_many_writers_of_one_object_one_wins_whole(server: Proxy, vault: str) -> None:
    """Attack 54, for whole objects: body, envelope and metadata are of one writer."""
    bodies = [bytes((seed,)) * (200_000 + seed) for seed in range(1, 7)]
    clients = [server.client("s3", ALICE) for _ in bodies]
    _race(
        *(
            lambda client=client, body=body: client.put_object(
                Bucket=vault, Key="o", Body=body, Metadata={"writer": str(body[0])}
            )
            for client, body in zip(clients, bodies, strict=True)
        )
    )
    answer = server.client("s3", ALICE).get_object(Bucket=vault, Key="o")
    body = answer["Body"].read()
    assert body in bodies
    assert answer["Metadata"] == {"writer": str(body[0])}
    backend = Backend(server.data, vault)
    assert backend.places() == {place for place, _ in backend.extents("o")}
