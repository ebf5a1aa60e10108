"""SSE-KMS through S3: who may decrypt is decided on each read, before a byte of a body is touched, and is recorded.

The proof that no body byte is read is inotify's: the kernel tells of each open and each read of the files that hold
ciphertext. A twin shows that the same watch sees an allowed read.
"""

import base64
import ctypes
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, MAIN, OTHER_ROOT, REGION, Proxy

BODY = bytes(range(256)) * 4096
SSE = "x-amz-server-side-encryption"
_IN_ACCESS, _IN_OPEN = 0x1, 0x20


class Watch:
    """Counts what the kernel reports of files in folders: opened, read."""

    def __init__(self, folders: list[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK)
        assert self._fd >= 0
        for folder in folders:
            assert libc.inotify_add_watch(self._fd, os.fsencode(folder), _IN_ACCESS | _IN_OPEN) > 0

    def seen(self) -> int:
        """Bytes of reports since the last call; 0 if nothing has happened."""
        try:
            return len(os.read(self._fd, 65_536))
        except BlockingIOError:
            return 0

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


@pytest.fixture(scope="module")
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


@pytest.fixture
def key(kms: Any) -> str:
    """The ARN of a fresh key with the default policy."""
    arn: str = kms.create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture
def stored(proxy: Proxy, bucket: str, s3: Any, key: str) -> str:
    """A body of 1 MiB, which lies in a file of its own, under `key`."""
    s3.put_object(Bucket=bucket, Key="doc", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert list(blob_folders(proxy, bucket))
    return "doc"


def blob_folders(proxy: Proxy, bucket: str) -> Iterator[Path]:
    return (path for path in (proxy.data / "store" / "buckets" / bucket / "blobs").iterdir() if path.is_dir())


def refused(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Status, code and message of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"].get("Message", "")


def reads(s3: Any, bucket: str, name: str) -> dict[str, Callable[[], Any]]:
    """The ways to a body: each needs kms:Decrypt."""
    source = {"Bucket": bucket, "Key": name}
    return {
        "GET": lambda: s3.get_object(**source)["Body"].read(),
        "ranged GET": lambda: s3.get_object(**source, Range="bytes=65530-65540")["Body"].read(),
        "GET of a part": lambda: s3.get_object(**source, PartNumber=1)["Body"].read(),
        "copy": lambda: s3.copy_object(Bucket=bucket, Key="copied", CopySource=source, ServerSideEncryption="AES256"),
        "HEAD with checksums": lambda: s3.head_object(**source, ChecksumMode="ENABLED"),
    }


@pytest.mark.parametrize("way", ["GET", "ranged GET", "GET of a part", "copy", "HEAD with checksums"])
def test_a_user_without_decrypt_is_refused_and_no_body_byte_is_opened(
    proxy: Proxy, bucket: str, stored: str, way: str
) -> None:
    watch = Watch(list(blob_folders(proxy, bucket)))
    status, code, message = refused(reads(proxy.client("s3", BOB), bucket, stored)[way])
    assert status == 403
    assert watch.seen() == 0
    # the twin: the same read by one who may does open the file
    reads(proxy.client("s3", ALICE), bucket, stored)[way]()
    assert watch.seen() > 0
    watch.close()
    if way != "HEAD with checksums":
        assert code == "AccessDenied"
        assert f"arn:aws:iam::{MAIN}:user/bob is not authorized to perform: kms:Decrypt" in message


def test_the_refusal_is_the_same_when_the_body_is_gone(proxy: Proxy, bucket: str, stored: str) -> None:
    folder = proxy.data / "store" / "buckets" / bucket / "blobs"
    folder.rename(folder.with_name("away"))
    try:
        for way, read in reads(proxy.client("s3", BOB), bucket, stored).items():
            assert refused(read)[0] == 403, way
        assert refused(reads(proxy.client("s3", ALICE), bucket, stored)["GET"])[0] == 500
    finally:
        folder.with_name("away").rename(folder)
    assert reads(proxy.client("s3", ALICE), bucket, stored)["GET"]() == BODY


def test_who_may_not_decrypt_may_still_head_list_delete_and_overwrite(bucket: str, stored: str, proxy: Proxy) -> None:
    bob = proxy.client("s3", BOB)
    assert bob.head_object(Bucket=bucket, Key=stored)["ContentLength"] == len(BODY)
    assert [row["Size"] for row in bob.list_objects_v2(Bucket=bucket)["Contents"]] == [len(BODY)]
    bob.put_object(Bucket=bucket, Key=stored, Body=b"bob's")
    assert bob.get_object(Bucket=bucket, Key=stored)["Body"].read() == b"bob's"
    bob.delete_object(Bucket=bucket, Key=stored)


def test_who_may_not_generate_a_data_key_is_refused_on_put_and_create(proxy: Proxy, bucket: str, key: str) -> None:
    bob, wanted = proxy.client("s3", BOB), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    target = {"Bucket": bucket, "Key": "new"}
    for call in (bob.put_object, bob.create_multipart_upload):
        status, code, message = refused(lambda call=call: call(**target, **wanted))
        assert (status, code) == (403, "AccessDenied")
        assert "kms:GenerateDataKey" in message
    assert "Contents" not in bob.list_objects_v2(Bucket=bucket)
    assert "Uploads" not in bob.list_multipart_uploads(Bucket=bucket)


def test_a_part_and_a_complete_need_decrypt(proxy: Proxy, bucket: str, s3: Any, key: str) -> None:
    target = {"Bucket": bucket, "Key": "parts"}
    upload = s3.create_multipart_upload(**target, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)["UploadId"]
    part = {**target, "UploadId": upload, "PartNumber": 1, "Body": b"one"}
    assert refused(lambda: proxy.client("s3", BOB).upload_part(**part))[:2] == (403, "AccessDenied")
    etag = s3.upload_part(**part)["ETag"]
    listed = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    ended = {**target, "UploadId": upload, "MultipartUpload": listed}
    assert refused(lambda: proxy.client("s3", BOB).complete_multipart_upload(**ended))[:2] == (403, "AccessDenied")
    s3.complete_multipart_upload(**ended)
    assert s3.get_object(**target)["Body"].read() == b"one"


def test_a_revoked_right_refuses_the_very_next_read(bucket: str, stored: str, s3: Any, kms: Any, key: str) -> None:
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == BODY
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    alice = {"AWS": f"arn:aws:iam::{MAIN}:user/alice"}
    deny = {"Effect": "Deny", "Principal": alice, "Action": "kms:Decrypt", "Resource": "*"}
    changed = json.dumps({**policy, "Statement": [*policy["Statement"], deny]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=changed)
    status, code, message = refused(lambda: s3.get_object(Bucket=bucket, Key=stored))
    assert (status, code) == (403, "AccessDenied")
    assert "with an explicit deny" in message
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == BODY


def test_via_service_lets_s3_use_a_key_that_its_caller_may_not(proxy: Proxy, bucket: str, kms: Any) -> None:
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MAIN}:root"}, "Action": "kms:*", "Resource": "*"}
    bob = {"AWS": f"arn:aws:iam::{MAIN}:user/bob"}
    through = {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}
    grant = {"Effect": "Allow", "Principal": bob, "Action": "kms:*", "Resource": "*", "Condition": through}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [root, grant]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["KeyId"]
    s3 = proxy.client("s3", BOB)
    s3.put_object(Bucket=bucket, Key="via", Body=b"via", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert s3.get_object(Bucket=bucket, Key="via")["Body"].read() == b"via"
    direct = refused(lambda: proxy.client("kms", BOB).generate_data_key(KeyId=key, KeySpec="AES_256"))
    assert direct[1] == "AccessDeniedException"


def test_a_disabled_key_refuses_the_next_get_and_put(bucket: str, stored: str, s3: Any, kms: Any, key: str) -> None:
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == BODY
    kms.disable_key(KeyId=key)
    expected = (400, "KMS.DisabledException", f"{key} is disabled.")
    for way, read in reads(s3, bucket, stored).items():
        if way == "HEAD with checksums":
            assert refused(read)[0] == 400
        else:
            assert refused(read) == expected, way
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="new", Body=b"", **wanted)) == expected
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == BODY


def test_a_key_pending_deletion_refuses_until_it_is_saved(
    bucket: str, stored: str, s3: Any, kms: Any, key: str
) -> None:
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    expected = (400, "KMS.KMSInvalidStateException", f"{key} is pending deletion.")
    assert refused(lambda: s3.get_object(Bucket=bucket, Key=stored)) == expected
    kms.cancel_key_deletion(KeyId=key)
    kms.enable_key(KeyId=key)
    assert s3.get_object(Bucket=bucket, Key=stored)["Body"].read() == BODY


def test_a_key_of_another_account_is_refused_unless_both_sides_allow(proxy: Proxy, bucket: str, s3: Any) -> None:
    theirs = proxy.client("kms", OTHER_ROOT)
    key = theirs.create_key()["KeyMetadata"]["Arn"]
    put = {"Bucket": bucket, "Key": "abroad", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    assert refused(lambda: s3.put_object(**put))[:2] == (403, "AccessDenied")
    policy = json.loads(theirs.get_key_policy(KeyId=key)["Policy"])
    use = ["kms:GenerateDataKey", "kms:Decrypt"]
    guest = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MAIN}:root"}, "Action": use, "Resource": "*"}
    changed = json.dumps({**policy, "Statement": [*policy["Statement"], guest]})
    theirs.put_key_policy(KeyId=key, PolicyName="default", Policy=changed)
    assert s3.put_object(**put, Body=b"abroad")["SSEKMSKeyId"] == key
    assert s3.get_object(Bucket=bucket, Key="abroad")["Body"].read() == b"abroad"
    assert refused(lambda: proxy.client("s3", BOB).get_object(Bucket=bucket, Key="abroad"))[:2] == (403, "AccessDenied")


def test_id_arn_alias_and_alias_arn_name_the_same_key(bucket: str, s3: Any, kms: Any, key: str) -> None:
    alias = f"alias/{bucket}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    for given in (key, key.rpartition("/")[2], alias, f"arn:aws:kms:{REGION}:{MAIN}:{alias}"):
        target = {"Bucket": bucket, "Key": given.replace(":", "_")}
        put = s3.put_object(**target, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=given)
        assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
        head = s3.head_object(**target)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    # an alias that moves on leaves what was written behind it readable, and under the old key
    other = kms.create_key()["KeyMetadata"]["Arn"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    got = s3.get_object(Bucket=bucket, Key=alias)
    assert (got["Body"].read(), got["SSEKMSKeyId"]) == (b"x", key)


def test_no_key_means_the_managed_key_of_s3(bucket: str, s3: Any, kms: Any, proxy: Proxy) -> None:
    put = s3.put_object(Bucket=bucket, Key="managed", Body=b"m", ServerSideEncryption="aws:kms")
    known = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (put["SSEKMSKeyId"], known["KeyManager"]) == (known["Arn"], "AWS")
    # its policy lets everybody of the account use it through S3, so bob may too: as on AWS
    assert proxy.client("s3", BOB).get_object(Bucket=bucket, Key="managed")["Body"].read() == b"m"


def encoded(context: dict[str, str]) -> str:
    return base64.b64encode(json.dumps(context).encode()).decode()


def test_the_context_is_stored_answered_once_and_bound_to_the_data_key(
    proxy: Proxy, bucket: str, s3: Any, key: str
) -> None:
    context = {"team": "blue", "größe": "ß"}
    target = {"Bucket": bucket, "Key": "context"}
    wanted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "SSEKMSEncryptionContext": encoded(context)}
    put = s3.put_object(**target, Body=b"c", **wanted)
    assert json.loads(base64.b64decode(put["SSEKMSEncryptionContext"])) == context
    got = s3.get_object(**target)
    assert got["Body"].read() == b"c"
    assert f"{SSE}-context" not in got["ResponseMetadata"]["HTTPHeaders"]
    arn = f"arn:aws:s3:::{bucket}/context"
    asked = [event for event in kms_events(proxy, bucket) if event["requestParameters"]["encryptionContext"]]
    assert [event["eventName"] for event in asked] == ["GenerateDataKey", "Decrypt"]
    for event in asked:
        assert event["requestParameters"]["encryptionContext"] == {**context, "aws:s3:arn": arn}


def test_a_bucket_default_applies_where_a_request_says_nothing(bucket: str, s3: Any, key: str) -> None:
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [default]})
    assert s3.put_object(Bucket=bucket, Key="plain", Body=b"p")["SSEKMSKeyId"] == key
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")
    assert (upload["ServerSideEncryption"], upload["SSEKMSKeyId"]) == ("aws:kms", key)
    source = {"Bucket": bucket, "Key": "plain"}
    assert s3.copy_object(Bucket=bucket, Key="copied", CopySource=source)["SSEKMSKeyId"] == key
    # what a request says goes first
    said = s3.put_object(Bucket=bucket, Key="said", Body=b"s", ServerSideEncryption="AES256")
    assert (said["ServerSideEncryption"], said.get("SSEKMSKeyId")) == ("AES256", None)


def kms_events(proxy: Proxy, bucket: str) -> list[dict[str, Any]]:
    """The uses of keys that S3 asked for on behalf of objects in a bucket."""
    mine = f"arn:aws:s3:::{bucket}/"
    return [
        event
        for event in proxy.events()
        if event["eventSource"] == "kms.amazonaws.com"
        and mine in json.dumps(event.get("requestParameters") or {}, ensure_ascii=False)
    ]


def test_every_use_of_a_key_is_in_the_audit_as_the_callers_own(proxy: Proxy, bucket: str, s3: Any, key: str) -> None:
    source, wanted = {"Bucket": bucket, "Key": "a"}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(**source, Body=b"a", **wanted)
    s3.get_object(**source)
    s3.head_object(**source)
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source, **wanted)
    refused(lambda: proxy.client("s3", BOB).get_object(**source))
    events = kms_events(proxy, bucket)
    places = [(event["eventName"], event["requestParameters"]["encryptionContext"]["aws:s3:arn"]) for event in events]
    a, b = f"arn:aws:s3:::{bucket}/a", f"arn:aws:s3:::{bucket}/b"
    assert places == [
        ("GenerateDataKey", a),
        ("Decrypt", a),
        ("Decrypt", a),
        ("GenerateDataKey", b),
        ("Decrypt", a),
    ]
    for event in events:
        assert event["userIdentity"]["invokedBy"] == "AWS Internal"
        assert event["resources"] == [{"accountId": MAIN, "type": "AWS::KMS::Key", "ARN": key}]
        assert event["eventVersion"] == "1.11"
        assert not event.get("responseElements")
    assert [event["userIdentity"]["userName"] for event in events] == ["alice"] * 4 + ["bob"]
    assert [event.get("errorCode") for event in events] == [None] * 4 + ["AccessDenied"]
    assert [event["requestID"] for event in events][1] == next(
        event["requestID"] for event in proxy.events() if event["eventName"] == "GetObject" and same(event, bucket, "a")
    )


def same(event: dict[str, Any], bucket: str, key: str) -> bool:
    parameters = event["requestParameters"] or {}
    return parameters.get("bucketName") == bucket and parameters.get("key") == key
