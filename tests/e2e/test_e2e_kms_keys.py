"""KMS over a real socket: keys made, described, listed, and every way to name one."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from testkit.kms_calls import new_key, refused
from testkit.proxy import ALICE, MAIN, ROOT, Proxy

PREFIX = f"arn:aws:kms:us-east-1:{MAIN}:"
RECORDED = {  # LocalStack's recording of AWS, "test_create_key", November 2025
    "AWSAccountId",
    "Arn",
    "CreationDate",
    "CurrentKeyMaterialId",
    "CustomerMasterKeySpec",
    "Description",
    "Enabled",
    "EncryptionAlgorithms",
    "KeyId",
    "KeyManager",
    "KeySpec",
    "KeyState",
    "KeyUsage",
    "MultiRegion",
    "Origin",
}


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


def test_a_new_key_has_exactly_the_metadata_that_aws_gives(kms: Any) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    metadata = kms.create_key(Description="test key 123")["KeyMetadata"]
    assert set(metadata) == RECORDED
    assert str(uuid.UUID(metadata["KeyId"])) == metadata["KeyId"]
    assert len(bytes.fromhex(metadata.pop("CurrentKeyMaterialId"))) == 32
    assert before < metadata.pop("CreationDate") < datetime.now(UTC) + timedelta(seconds=1)
    assert metadata == {
        "AWSAccountId": MAIN,
        "Arn": f"{PREFIX}key/{metadata['KeyId']}",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "Description": "test key 123",
        "Enabled": True,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "KeyId": metadata["KeyId"],
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "AWS_KMS",
    }


def test_a_described_key_is_the_one_that_was_made(kms: Any) -> None:
    made = kms.create_key(Description="d", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    assert kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"] == made


def test_a_multi_region_key_says_that_it_is_a_primary_without_replicas(kms: Any) -> None:
    """LocalStack's recording of AWS, "test_create_multi_region_key"."""
    metadata = kms.create_key(MultiRegion=True)["KeyMetadata"]
    assert metadata["KeyId"].startswith("mrk-")
    assert len(bytes.fromhex(metadata["KeyId"].removeprefix("mrk-"))) == 16
    assert metadata["MultiRegion"] is True
    assert metadata["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "PRIMARY",
        "PrimaryKey": {"Arn": metadata["Arn"], "Region": "us-east-1"},
        "ReplicaKeys": [],
    }


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (
            {"KeySpec": "HMAC_256"},
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            {"KeyUsage": "SIGN_VERIFY"},
            "ValidationException",
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        ({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}, "UnsupportedOperationException", None),
        ({"Origin": "EXTERNAL"}, "UnsupportedOperationException", None),
        ({"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"}, "ValidationException", None),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_key_that_cannot_be_made_is_refused_and_none_is_made(
    kms: Any, params: dict[str, str], code: str, message: str | None
) -> None:
    before = all_keys(kms)
    found = refused(kms.create_key, **params)
    assert found[0] == code
    assert message in (None, found[1])
    assert all_keys(kms) == before


def all_keys(kms: Any) -> set[str]:
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1000})
    return {row["KeyArn"] for page in pages for row in page["Keys"]}


def test_keys_are_listed_page_by_page_each_once(kms: Any) -> None:
    made = {new_key(kms) for _ in range(5)}
    pages = list(kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
    rows = [row["KeyArn"] for page in pages for row in page["Keys"]]
    assert len(rows) == len(set(rows))
    assert made <= set(rows)
    assert all(len(page["Keys"]) == 3 and page["Truncated"] for page in pages[:-1])
    assert pages[-1]["Truncated"] is False
    assert "NextMarker" not in pages[-1]
    row = kms.list_keys(Limit=1)["Keys"][0]
    assert row["KeyArn"] == f"{PREFIX}key/{row['KeyId']}"


@pytest.mark.parametrize("marker", ["!", "AAAAA", "/w=="])
def test_a_marker_that_no_page_gave_is_refused(kms: Any, marker: str) -> None:
    assert refused(kms.list_keys, Marker=marker)[0] == "InvalidMarkerException"


def test_a_description_is_changed(kms: Any) -> None:
    key = new_key(kms, Description="old")
    kms.update_key_description(KeyId=key, Description="new ünïcødé")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "new ünïcødé"


# Every way to name a key


def named(kms: Any, form: str) -> tuple[str, str]:
    """A fresh key, and one of its names."""
    key, alias = new_key(kms), f"alias/{uuid.uuid4().hex}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    return key, {"id": key.rpartition("/")[2], "arn": key, "alias": alias, "alias arn": PREFIX + alias}[form]


TAKE_ALIASES: dict[str, dict[str, Any]] = {
    "describe_key": {},
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": {"KeySpec": "AES_256"},
}
TAKE_NO_ALIASES: dict[str, dict[str, Any]] = {
    "cancel_key_deletion": {},
    "disable_key": {},
    "enable_key": {},
    "get_key_policy": {},
    "list_aliases": {},
    "list_key_policies": {},
    "list_resource_tags": {},
    "put_key_policy": {"Policy": "{}"},
    "schedule_key_deletion": {},
    "tag_resource": {"Tags": []},
    "untag_resource": {"TagKeys": []},
    "update_key_description": {"Description": ""},
}


@pytest.mark.parametrize("form", ["id", "arn", "alias", "alias arn"])
@pytest.mark.parametrize("operation", TAKE_ALIASES)
def test_an_operation_that_takes_aliases_takes_all_four_forms(kms: Any, operation: str, form: str) -> None:
    key, name = named(kms, form)
    answer = getattr(kms, operation)(KeyId=name, **TAKE_ALIASES[operation])
    assert answer.get("KeyId") or answer["KeyMetadata"]["Arn"] == key
    assert answer.get("KeyId", key) == key  # always the full ARN


@pytest.mark.parametrize("form", ["id", "arn", "alias", "alias arn"])
def test_decrypt_and_reencrypt_take_all_four_forms(kms: Any, form: str) -> None:
    key, name = named(kms, form)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, KeyId=name)["KeyId"] == key
    answer = kms.re_encrypt(CiphertextBlob=blob, SourceKeyId=name, DestinationKeyId=name)
    assert (answer["SourceKeyId"], answer["KeyId"]) == (key, key)


@pytest.mark.parametrize("form", ["id", "arn"])
@pytest.mark.parametrize("operation", [name for name in TAKE_NO_ALIASES if name not in ("cancel_key_deletion",)])
def test_an_operation_that_takes_no_alias_takes_the_id_and_the_arn(kms: Any, operation: str, form: str) -> None:
    _, name = named(kms, form)
    params = TAKE_NO_ALIASES[operation]
    if operation == "put_key_policy":
        params = {"Policy": kms.get_key_policy(KeyId=name)["Policy"]}
    answer = getattr(kms, operation)(KeyId=name, **params)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("form", "code"), [("alias", "NotFoundException"), ("alias arn", "InvalidArnException")], ids=["name", "arn"]
)
@pytest.mark.parametrize("operation", TAKE_NO_ALIASES)
def test_an_operation_that_takes_no_alias_refuses_one(kms: Any, operation: str, form: str, code: str) -> None:
    _, name = named(kms, form)
    assert refused(getattr(kms, operation), KeyId=name, **TAKE_NO_ALIASES[operation])[0] == code


MISSING = "00000000-0000-0000-0000-000000000000"
MRK = "mrk-d3b95762d3b95762d3b95762d3b95762"


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'"),
        ("134f2428cec14b25a1ae9048164dba47", "NotFoundException", "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"),
        ("mrk-fake-key-id", "NotFoundException", "Invalid keyId 'mrk-fake-key-id'"),
        (MISSING, "NotFoundException", f"Key '{PREFIX}key/{MISSING}' does not exist"),
        (f"{PREFIX}key/{MISSING}", "NotFoundException", f"Key '{PREFIX}key/{MISSING}' does not exist"),
        (MRK, "NotFoundException", f"Key '{PREFIX}key/{MRK}' does not exist"),
        ("alias/none", "NotFoundException", f"Alias {PREFIX}alias/none is not found."),
        (f"{PREFIX}alias/none", "NotFoundException", f"Alias {PREFIX}alias/none is not found."),
        (f"arn:aws:kms:ap-southeast-1:{MAIN}:key/{MISSING}", "NotFoundException", "Invalid arn ap-southeast-1"),
        ("arn:aws:s3:::bucket", "InvalidArnException", None),
        (f"arn:aws-cn:kms:us-east-1:{MAIN}:key/{MISSING}", "InvalidArnException", None),
        (f"{PREFIX}grant/{MISSING}", "InvalidArnException", None),
        ("arn:aws:kms", "InvalidArnException", None),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_in_awss_words(
    kms: Any, name: str, code: str, message: str | None
) -> None:
    """The messages are LocalStack's recordings of AWS."""
    found = refused(kms.describe_key, KeyId=name)
    assert found[0] == code
    assert message in (None, found[1])


def test_a_key_of_another_region_is_not_here(proxy: Proxy, kms: Any) -> None:
    elsewhere = proxy.client("kms", ALICE, region="ap-southeast-1")
    key = new_key(elsewhere)
    key_id = key.rpartition("/")[2]
    assert refused(kms.describe_key, KeyId=key_id) == (
        "NotFoundException",
        f"Key '{PREFIX}key/{key_id}' does not exist",
    )
    assert refused(kms.describe_key, KeyId=key) == ("NotFoundException", "Invalid arn ap-southeast-1")
    assert elsewhere.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert key not in all_keys(kms)


def test_the_accounts_root_user_sees_the_same_keys(proxy: Proxy, kms: Any) -> None:
    key = new_key(kms)
    assert key in all_keys(proxy.client("kms", ROOT))
    assert key not in all_keys(proxy.client("kms", ROOT, region="eu-west-1"))
