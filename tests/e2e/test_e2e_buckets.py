"""Buckets through boto3: made, found, set up, deleted; and what S3 has and we have not, which is always 501."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.handlers import validate_bucket_name
from botocore.model import Shape
from testkit.proxy import ALICE, BOB, CAROL, MAIN, OTHER_ROOT, Proxy

from sseproxy.s3.routes import OPERATIONS


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def test_a_bucket_is_made_found_located_and_deleted(s3: Any, proxy: Proxy) -> None:
    name = f"test-{uuid.uuid4().hex[:16]}"
    assert refused(lambda: s3.head_bucket(Bucket=name)) == (404, "404")
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    theirs = proxy.client("s3", OTHER_ROOT).list_buckets()["Buckets"]
    assert name not in [bucket["Name"] for bucket in theirs]
    s3.delete_bucket(Bucket=name)
    for call in (s3.get_bucket_location, s3.delete_bucket, s3.list_objects_v2, s3.get_bucket_encryption):
        assert refused(lambda call=call: call(Bucket=name)) == (404, "NoSuchBucket")


def test_a_bucket_lives_in_its_region(proxy: Proxy) -> None:
    name = f"test-{uuid.uuid4().hex[:16]}"
    frankfurt = proxy.client("s3", ALICE, region="eu-central-1")
    assert refused(lambda: frankfurt.create_bucket(Bucket=name)) == (400, "IllegalLocationConstraintException")
    frankfurt.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    assert frankfurt.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-central-1"
    made = frankfurt.put_object(Bucket=name, Key="k", ServerSideEncryption="aws:kms")
    assert made["SSEKMSKeyId"].startswith(f"arn:aws:kms:eu-central-1:{MAIN}:key/")
    frankfurt.delete_object(Bucket=name, Key="k")
    frankfurt.delete_bucket(Bucket=name)


def test_a_name_belongs_to_whoever_took_it_first(s3: Any, bucket: str, proxy: Proxy) -> None:
    assert s3.create_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    theirs = proxy.client("s3", OTHER_ROOT)
    assert refused(lambda: theirs.create_bucket(Bucket=bucket)) == (409, "BucketAlreadyExists")
    assert refused(lambda: theirs.delete_bucket(Bucket=bucket)) == (403, "AccessDenied")
    assert refused(lambda: theirs.head_bucket(Bucket=bucket)) == (403, "403")
    assert refused(lambda: proxy.client("s3", CAROL).create_bucket(Bucket=bucket + "2")) == (403, "AccessDenied")


def test_a_bucket_with_an_object_stays(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k")
    assert refused(lambda: s3.delete_bucket(Bucket=bucket)) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_made_anew_has_nothing_of_the_old_one(s3: Any, bucket: str) -> None:
    policy = {"Version": "2012-10-17", "Statement": [statement(bucket)]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert refused(lambda: s3.get_bucket_policy(Bucket=bucket)) == (404, "NoSuchBucketPolicy")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refused(lambda: s3.list_parts(Bucket=bucket, Key="k", UploadId=upload)) == (404, "NoSuchUpload")


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Upper", "under_score", "-begins", "ends-", "two..dots", "192.168.0.1", "xn--x", "x-s3alias", "ü"],
)
def test_a_name_against_the_rules_is_refused(proxy: Proxy, name: str) -> None:
    s3 = proxy.client("s3", ALICE, s3={"addressing_style": "path"})
    # botocore's own check must not stand in for ours
    s3.meta.events.unregister("before-parameter-build.s3", validate_bucket_name)
    assert refused(lambda: s3.create_bucket(Bucket=name)) == (400, "InvalidBucketName")


@pytest.mark.parametrize("length", [3, 63])
def test_the_shortest_and_the_longest_name_will_do(s3: Any, length: int) -> None:
    name = ("t" + uuid.uuid4().hex * 2)[:length]
    s3.create_bucket(Bucket=name)
    s3.delete_bucket(Bucket=name)


def rule(algorithm: str, key: str | None = None, **more: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm, **({} if key is None else {"KMSMasterKeyID": key})}
    return {"ApplyServerSideEncryptionByDefault": default, **more}


def test_the_default_encryption_is_put_got_and_deleted(s3: Any, bucket: str) -> None:
    def shown() -> list[dict[str, Any]]:
        found = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        return [
            {name: one[name] for name in ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled")} for one in found
        ]

    def put(*rules: dict[str, Any]) -> Any:
        return s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": list(rules)})

    unset = [rule("AES256", BucketKeyEnabled=False)]
    assert shown() == unset
    put(rule("aws:kms", "alias/not-checked-here", BucketKeyEnabled=True))
    assert shown() == [rule("aws:kms", "alias/not-checked-here", BucketKeyEnabled=True)]
    for wrong, answer in (
        ([], (400, "MalformedXML")),
        ([rule("AES256"), rule("AES256")], (400, "MalformedXML")),
        ([rule("rot13")], (400, "MalformedXML")),
        ([rule("AES256", "alias/x")], (400, "InvalidArgument")),
        ([rule("aws:kms:dsse")], (501, "NotImplemented")),
    ):
        assert refused(lambda wrong=wrong: put(*wrong)) == answer
    assert shown() == [rule("aws:kms", "alias/not-checked-here", BucketKeyEnabled=True)]
    s3.delete_bucket_encryption(Bucket=bucket)
    assert shown() == unset
    assert s3.put_object(Bucket=bucket, Key="k")["ServerSideEncryption"] == "AES256"


def statement(bucket: str, **changed: Any) -> dict[str, Any]:
    plain = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{MAIN}:user/carol"}, "Action": "s3:GetObject"}
    return {**plain, "Resource": f"arn:aws:s3:::{bucket}/*", **changed}


def test_a_bucket_policy_is_put_got_as_it_was_and_deleted(s3: Any, bucket: str, proxy: Proxy) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"k")
    carol = proxy.client("s3", CAROL)
    assert refused(lambda: s3.get_bucket_policy(Bucket=bucket)) == (404, "NoSuchBucketPolicy")
    assert refused(lambda: carol.get_object(Bucket=bucket, Key="k")) == (403, "AccessDenied")
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement(bucket)]}, indent=3)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert carol.get_object(Bucket=bucket, Key="k")["Body"].read() == b"k"
    assert refused(lambda: carol.delete_object(Bucket=bucket, Key="k")) == (403, "AccessDenied")
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(lambda: carol.get_object(Bucket=bucket, Key="k")) == (403, "AccessDenied")


def test_a_policy_that_denies_unencrypted_uploads_sees_the_requests_headers(s3: Any, bucket: str, proxy: Proxy) -> None:
    header = "s3:x-amz-server-side-encryption"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    unlike = statement(bucket, **deny, Condition={"StringNotEquals": {header: "aws:kms"}})
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [unlike]}))
    default = {"Rules": [rule("aws:kms")]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=default)
    for given in ({}, {"ServerSideEncryption": "AES256"}):
        fresh = proxy.client("s3", ALICE)
        assert refused(lambda fresh=fresh, given=given: fresh.put_object(Bucket=bucket, Key="k", **given))[0] == 403
    s3.put_object(Bucket=bucket, Key="k", ServerSideEncryption="aws:kms")


MALFORMED: dict[str, Any] = {
    "not JSON": "{",
    "no statement": {"Version": "2012-10-17"},
    "an unknown version": {"Version": "2031-01-01", "Statement": [statement("BUCKET")]},
    "an unknown effect": [statement("BUCKET", Effect="Perhaps")],
    "an unknown element": [statement("BUCKET", Colour="red")],
    "an unknown operator": [statement("BUCKET", Condition={"StringSmells": {"aws:username": "a"}})],
    "an unknown key": [statement("BUCKET", Condition={"StringEquals": {"s3:no-such-key": "a"}})],
    "no principal": [{name: value for name, value in statement("BUCKET").items() if name != "Principal"}],
    "an unknown principal": [statement("BUCKET", Principal={"AWS": f"arn:aws:iam::{MAIN}:user/nobody"})],
    "another bucket": [statement("other-bucket")],
    "an action of another service": [statement("BUCKET", Action="kms:Decrypt")],
    "both Action and NotAction": [statement("BUCKET", NotAction="s3:PutObject")],
    "too long": [statement("BUCKET", Sid="s" * 21_000)],
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_policy_that_is_not_understood_whole_is_refused(s3: Any, bucket: str, what: str) -> None:
    given = MALFORMED[what]
    if isinstance(given, list):
        given = {"Version": "2012-10-17", "Statement": given}
    text = given if isinstance(given, str) else json.dumps(given)
    policy = text.replace("BUCKET", bucket)
    assert refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy=policy)) == (400, "MalformedPolicy")
    assert refused(lambda: s3.get_bucket_policy(Bucket=bucket)) == (404, "NoSuchBucketPolicy")


def test_list_buckets_pages(proxy: Proxy) -> None:
    root, mark = proxy.client("s3", OTHER_ROOT), uuid.uuid4().hex[:8]
    names = [f"page-{mark}-{number}" for number in range(5)]
    for name in names:
        root.create_bucket(Bucket=name)
    pages = list(root.get_paginator("list_buckets").paginate(Prefix=f"page-{mark}", PaginationConfig={"PageSize": 2}))
    assert [[bucket["Name"] for bucket in page["Buckets"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    assert pages[0]["Prefix"] == f"page-{mark}"
    for name in names:
        root.delete_bucket(Bucket=name)


_MODEL = botocore.session.get_session().get_service_model("s3")
_ELSEWHERE = {
    "ListDirectoryBuckets": "its path is that of ListBuckets",
    "WriteGetObjectResponse": "its path is a bucket's",
}
"""Operations whose requests look like others that we serve: they have no sub-resource."""
UNSERVED = sorted(set(_MODEL.operation_names) - {row.name for row in OPERATIONS} - _ELSEWHERE.keys())


def filler(shape: Shape) -> Any:
    """A value of a shape, with its required members only, or the first one of a union."""
    if shape.type_name == "structure":
        names = shape.required_members or list(shape.members)[: getattr(shape, "is_tagged_union", False)]
        return {name: filler(shape.members[name]) for name in names}
    if shape.type_name == "list":
        return [filler(shape.member)]
    word = "x" * shape.metadata.get("min", 1)
    values = {"integer": 1, "long": 1, "boolean": True, "blob": b"x", "timestamp": "2030-01-01T00:00:00Z", "map": {}}
    return shape.enum[0] if getattr(shape, "enum", None) else values.get(shape.type_name, word)


def test_the_model_has_operations_that_are_not_served() -> None:
    assert len(UNSERVED) > 60
    assert {"GetObjectTagging", "PutBucketVersioning", "GetBucketCors", "SelectObjectContent"} <= set(UNSERVED)


@pytest.mark.parametrize("name", UNSERVED)
def test_what_s3_has_and_we_have_not_is_501_in_xml(s3: Any, filled: str, name: str) -> None:
    shape = _MODEL.operation_model(name).input_shape
    given = {**filler(shape), "Bucket": filled, **({"Key": "k"} if "Key" in shape.members else {})}
    with pytest.raises(ClientError) as caught:
        s3._make_api_call(name, given)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert answer["Error"]["Code"] == "NotImplemented"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/xml"
    assert s3.get_object(Bucket=filled, Key="k")["Body"].read() == b"untouched"


@pytest.fixture(scope="module")
def filled(s3: Any) -> str:
    """A bucket with an object that no refused call may touch."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"untouched")
    return name


def test_the_refusal_comes_before_the_bucket_is_looked_for(proxy: Proxy) -> None:
    bob = proxy.client("s3", BOB)
    assert refused(lambda: bob.get_bucket_tagging(Bucket="no-such-bucket-anywhere")) == (501, "NotImplemented")
