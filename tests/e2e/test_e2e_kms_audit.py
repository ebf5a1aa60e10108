"""Every KMS call is one CloudTrail event, refused ones too, in CloudTrail's documented shape, with no plaintext in it.

And the AWS-managed key of S3, which nobody but S3 uses and nobody edits.
"""

import base64
import json
import re
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError
from testkit.kms_calls import allow_in, event_of, events_of, key_policy, new_key, refused, user
from testkit.proxy import ALICE, BOB, MAIN, OTHER, OTHER_ROOT, ROOT, Proxy

PLAINTEXT = b"the plaintext that no journal may hold"
CONTEXT = {"purpose": "audit"}
FIELDS: dict[str, type | tuple[type, ...]] = {
    "eventVersion": str,
    "userIdentity": dict,
    "eventTime": str,
    "eventSource": str,
    "eventName": str,
    "awsRegion": str,
    "sourceIPAddress": str,
    "userAgent": str,
    "requestParameters": (dict, type(None)),
    "responseElements": (dict, type(None)),
    "requestID": str,
    "eventID": str,
    "readOnly": bool,
    "eventType": str,
    "managementEvent": bool,
    "recipientAccountId": str,
    "eventCategory": str,
}
OPTIONAL = {"errorCode", "errorMessage", "additionalEventData", "resources"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_shape(event: dict[str, Any]) -> None:
    """CloudTrail user guide, "CloudTrail record contents"."""
    assert FIELDS.keys() <= event.keys() <= FIELDS.keys() | OPTIONAL
    assert [name for name, kind in FIELDS.items() if not isinstance(event[name], kind)] == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["eventTime"])
    assert _UUID.fullmatch(event["eventID"])
    assert (event["eventVersion"], event["eventType"], event["eventCategory"]) == ("1.11", "AwsApiCall", "Management")
    assert (event["eventSource"], event["awsRegion"]) == ("kms.amazonaws.com", "us-east-1")
    for resource in event.get("resources", []):
        assert set(resource) == {"accountId", "type", "ARN"}
        assert resource["type"] == "AWS::KMS::Key"
        assert resource["accountId"] == resource["ARN"].split(":")[4]


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


@pytest.fixture
def key(kms: Any) -> str:
    return new_key(kms)


def all_calls(kms: Any, key: str) -> list[tuple[str, bool, bool, dict[str, Any]]]:
    """Operation, whether it only reads, whether it names a key, its parameters; in an order in which all succeed."""
    blob = kms.encrypt(KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)["CiphertextBlob"]
    alias = f"alias/{uuid.uuid4().hex}"
    return [
        ("CreateKey", False, True, {"Description": "d"}),
        ("DescribeKey", True, True, {"KeyId": key}),
        ("ListKeys", True, False, {"Limit": 1}),
        ("CreateAlias", False, True, {"AliasName": alias, "TargetKeyId": key}),
        ("UpdateAlias", False, True, {"AliasName": alias, "TargetKeyId": key}),
        ("ListAliases", True, False, {"Limit": 1}),
        ("DeleteAlias", False, True, {"AliasName": alias}),
        ("PutKeyPolicy", False, True, {"KeyId": key, "Policy": key_policy()}),
        ("GetKeyPolicy", True, True, {"KeyId": key}),
        ("ListKeyPolicies", True, True, {"KeyId": key}),
        ("TagResource", False, True, {"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("ListResourceTags", True, True, {"KeyId": key}),
        ("UntagResource", False, True, {"KeyId": key, "TagKeys": ["a"]}),
        ("UpdateKeyDescription", False, True, {"KeyId": key, "Description": "new"}),
        ("Encrypt", True, True, {"KeyId": key, "Plaintext": PLAINTEXT, "EncryptionContext": CONTEXT}),
        ("Decrypt", True, True, {"CiphertextBlob": blob, "EncryptionContext": CONTEXT}),
        (
            "ReEncrypt",
            True,
            True,
            {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": key},
        ),
        ("GenerateDataKey", True, True, {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": CONTEXT}),
        ("GenerateDataKeyWithoutPlaintext", True, True, {"KeyId": key, "KeySpec": "AES_256"}),
        ("GenerateRandom", True, False, {"NumberOfBytes": 32}),
        ("DisableKey", False, True, {"KeyId": key}),
        ("EnableKey", False, True, {"KeyId": key}),
        ("ScheduleKeyDeletion", False, True, {"KeyId": key}),
        ("CancelKeyDeletion", False, True, {"KeyId": key}),
    ]


def method(client: Any, operation: str) -> Any:
    (name,) = (name for name, wire in client.meta.method_to_api_mapping.items() if wire == operation)
    return getattr(client, name)


def secrets_of(answer: dict[str, Any]) -> list[str]:
    """What an answer says in the clear and no journal may hold."""
    found = [answer["Plaintext"]] if "Plaintext" in answer else []
    return [
        text for one in [*found, PLAINTEXT] for text in (base64.b64encode(one).decode(), one.hex(), repr(one)[2:-1])
    ]


def test_every_operation_that_succeeds_is_one_event_and_says_nothing_secret(proxy: Proxy, kms: Any, key: str) -> None:
    for operation, read_only, names_key, params in all_calls(kms, key):
        answer = method(kms, operation)(**params)
        event = event_of(proxy, answer)
        check_shape(event)
        assert (event["eventName"], event["readOnly"]) == (operation, read_only)
        assert not {"errorCode", "errorMessage"} & event.keys()
        assert event["userIdentity"]["arn"] == user("alice")
        assert event["userIdentity"]["accessKeyId"] == ALICE.access_key_id
        assert event["sourceIPAddress"] == "127.0.0.1"
        assert event["userAgent"].startswith("Boto3/")
        assert event["recipientAccountId"] == MAIN
        wanted = answer["KeyMetadata"]["Arn"] if operation == "CreateKey" else key
        assert {row["ARN"] for row in event.get("resources", [])} == ({wanted} if names_key else set())
        text = json.dumps(event)
        assert [secret for secret in secrets_of(answer) if secret in text] == []
        if read_only:
            assert event["responseElements"] is None


def test_every_operation_that_is_denied_is_one_event_of_the_one_who_tried(proxy: Proxy, kms: Any, key: str) -> None:
    bob = proxy.client("kms", BOB)
    for operation, _, names_key, params in all_calls(kms, key):
        if operation in ("UpdateAlias", "DeleteAlias"):
            kms.create_alias(AliasName=params["AliasName"], TargetKeyId=key)
        with pytest.raises(ClientError) as refusal:
            method(bob, operation)(**params)
        event = event_of(proxy, refusal.value.response)
        check_shape(event)
        assert (event["eventName"], event["errorCode"]) == (operation, "AccessDenied")
        assert event["errorMessage"] == refusal.value.response["Error"]["Message"]
        assert event["userIdentity"]["arn"] == user("bob")
        assert event["responseElements"] is None
        decided_on_a_key = names_key and operation != "CreateKey" and "Alias" not in operation
        assert [row["ARN"] for row in event.get("resources", [])] == ([key] if decided_on_a_key else [])
        assert PLAINTEXT.decode() not in json.dumps(event)
        if operation in ("UpdateAlias", "DeleteAlias"):
            kms.delete_alias(AliasName=params["AliasName"])


@pytest.mark.parametrize(
    ("operation", "params", "wanted"),
    [
        (
            "Encrypt",
            {"Plaintext": PLAINTEXT, "EncryptionContext": CONTEXT},
            {"encryptionContext": CONTEXT, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        ),
        (
            "GenerateDataKey",
            {"KeySpec": "AES_256", "EncryptionContext": CONTEXT},
            {"keySpec": "AES_256", "encryptionContext": CONTEXT},
        ),
        ("DescribeKey", {}, {}),
    ],
)
def test_the_parameters_are_those_of_cloudtrails_documented_examples(
    proxy: Proxy, kms: Any, key: str, operation: str, params: dict[str, Any], wanted: dict[str, Any]
) -> None:
    """KMS developer guide, "Examples of AWS KMS log entries"."""
    event = event_of(proxy, method(kms, operation)(KeyId=key, **params))
    assert event["requestParameters"] == {"keyId": key, **wanted}


def test_a_decrypt_names_the_algorithm_the_context_and_the_material(proxy: Proxy, kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)["CiphertextBlob"]
    answer = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
    event = event_of(proxy, answer)
    assert event["requestParameters"] == {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": CONTEXT}
    assert event["additionalEventData"]["keyMaterialId"] == answer["KeyMaterialId"]


def test_a_reencrypt_lists_both_keys_and_both_materials(proxy: Proxy, kms: Any, key: str) -> None:
    other = new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=PLAINTEXT)["CiphertextBlob"]
    answer = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other)
    event = event_of(proxy, answer)
    assert [row["ARN"] for row in event["resources"]] == [key, other]
    materials = {
        name: event["additionalEventData"].get(name) for name in ("sourceKeyMaterialId", "destinationKeyMaterialId")
    }
    assert materials == {
        "sourceKeyMaterialId": answer["SourceKeyMaterialId"],
        "destinationKeyMaterialId": answer["DestinationKeyMaterialId"],
    }


def test_which_statement_decided_is_for_the_audit_alone(proxy: Proxy, kms: Any, key: str) -> None:
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(user("bob"), "kms:Encrypt", Effect="Deny", Sid="No bob")))
    with pytest.raises(ClientError) as refusal:
        proxy.client("kms", BOB).encrypt(KeyId=key, Plaintext=PLAINTEXT)
    assert "No bob" not in refusal.value.response["Error"]["Message"]
    assert "No bob" in event_of(proxy, refusal.value.response)["additionalEventData"]["decision"]


def test_failures_of_a_call_are_recorded_with_their_codes(proxy: Proxy, kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=PLAINTEXT, EncryptionContext=CONTEXT)["CiphertextBlob"]
    kms_calls = [
        (kms.decrypt, {"CiphertextBlob": blob}, "InvalidCiphertextException"),
        (kms.describe_key, {"KeyId": "fake-key-id"}, "NotFoundException"),
        (kms.encrypt, {"KeyId": key, "Plaintext": PLAINTEXT, "DryRun": True}, "DryRunOperationException"),
        (kms.create_alias, {"AliasName": "alias/aws/x", "TargetKeyId": key}, "NotAuthorizedException"),
        (kms.put_key_policy, {"KeyId": key, "Policy": "{"}, "MalformedPolicyDocumentException"),
    ]
    for call, params, code in kms_calls:
        with pytest.raises(ClientError) as refusal:
            call(**params)
        event = event_of(proxy, refusal.value.response)
        check_shape(event)
        assert event["errorCode"] == code


def test_another_accounts_use_is_logged_in_both_accounts_and_its_denial_in_the_callers_alone(
    proxy: Proxy, kms: Any, key: str
) -> None:
    """CloudTrail user guide: cross-account calls are delivered to both; denied ones to the caller's only."""
    theirs = proxy.client("kms", OTHER_ROOT)
    with pytest.raises(ClientError) as refusal:
        theirs.encrypt(KeyId=key, Plaintext=PLAINTEXT)
    assert event_of(proxy, refusal.value.response)["recipientAccountId"] == OTHER
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(OTHER, "kms:Encrypt")))
    answer = theirs.encrypt(KeyId=key, Plaintext=PLAINTEXT)
    events = events_of(proxy, requestID=answer["ResponseMetadata"]["RequestId"])
    assert sorted(event["recipientAccountId"] for event in events) == [MAIN, OTHER]


# The AWS-managed key of S3


@pytest.fixture
def managed(proxy: Proxy, bucket: str, kms: Any) -> str:
    """The ARN of `alias/aws/s3`, which its first use makes."""
    s3 = proxy.client("s3", ALICE)
    stored: str = s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")["SSEKMSKeyId"]
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"] == stored
    return stored


def test_the_managed_key_says_that_it_is_awss(kms: Any, managed: str) -> None:
    metadata = kms.describe_key(KeyId=managed)["KeyMetadata"]
    assert (metadata["KeyManager"], metadata["KeyState"], metadata["Enabled"]) == ("AWS", "Enabled", True)
    statement = json.loads(kms.get_key_policy(KeyId=managed)["Policy"])["Statement"][0]
    assert statement["Condition"]["StringEquals"] == {
        "kms:CallerAccount": MAIN,
        "kms:ViaService": "s3.us-east-1.amazonaws.com",
    }
    rows = kms.list_aliases(KeyId=managed)["Aliases"]
    assert [row["AliasName"] for row in rows] == ["alias/aws/s3"]


def test_only_s3_uses_the_managed_key(proxy: Proxy, kms: Any, managed: str, bucket: str) -> None:
    assert proxy.client("s3", BOB).get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"  # no IAM policy for KMS
    for client in (kms, proxy.client("kms", ROOT)):
        for call, params in (
            (client.encrypt, {"Plaintext": b"x"}),
            (client.generate_data_key, {"KeySpec": "AES_256"}),
            (client.generate_data_key_without_plaintext, {"KeySpec": "AES_256"}),
        ):
            code, sentence = refused(call, KeyId=managed, **params)
            assert code == "AccessDeniedException"
            assert "because no resource-based policy allows" in sentence


def test_nobody_edits_the_managed_key_not_even_root(proxy: Proxy, kms: Any, managed: str) -> None:
    before = kms.describe_key(KeyId=managed)["KeyMetadata"], kms.get_key_policy(KeyId=managed)["Policy"]
    for client in (kms, proxy.client("kms", ROOT)):
        for call, params in (
            (client.put_key_policy, {"Policy": key_policy()}),
            (client.put_key_policy, {"Policy": key_policy(), "BypassPolicyLockoutSafetyCheck": True}),
            (client.disable_key, {}),
            (client.enable_key, {}),
            (client.schedule_key_deletion, {}),
            (client.cancel_key_deletion, {}),
            (client.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            (client.untag_resource, {"TagKeys": ["a"]}),
            (client.update_key_description, {"Description": "mine"}),
        ):
            assert refused(call, KeyId=managed, **params)[0] == "AccessDeniedException"
        assert refused(client.create_alias, AliasName="alias/mine", TargetKeyId=managed)[0] == "AccessDeniedException"
        assert refused(client.delete_alias, AliasName="alias/aws/s3")[0] == "NotAuthorizedException"
        assert (
            refused(client.update_alias, AliasName="alias/aws/s3", TargetKeyId=new_key(kms))[0]
            == "NotAuthorizedException"
        )
    assert (kms.describe_key(KeyId=managed)["KeyMetadata"], kms.get_key_policy(KeyId=managed)["Policy"]) == before
