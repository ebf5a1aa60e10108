"""The table of key states (KMS developer guide, "Key states of AWS KMS keys"): one test for each cell."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from testkit.kms_calls import new_key, refused
from testkit.proxy import ALICE, Proxy, running

OK, DISABLED, PENDING, NOT_PENDING = "ok", "DisabledException", "KMSInvalidStateException", "KMSInvalidStateException"
SENTENCES = {
    "Disabled": "{} is disabled.",
    "PendingDeletion": "{} is pending deletion.",
}


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


def fresh_alias() -> str:
    return f"alias/{uuid.uuid4().hex}"


class Case:
    """A key in some state, with all that the operations need, made while it was enabled."""

    def __init__(self, kms: Any, state: str) -> None:
        self.kms, self.key, self.other = kms, new_key(kms), new_key(kms)
        self.blob = kms.encrypt(KeyId=self.key, Plaintext=b"x")["CiphertextBlob"]
        self.other_blob = kms.encrypt(KeyId=self.other, Plaintext=b"x")["CiphertextBlob"]
        self.policy = kms.get_key_policy(KeyId=self.key)["Policy"]
        self.alias, self.other_alias = fresh_alias(), fresh_alias()
        kms.create_alias(AliasName=self.alias, TargetKeyId=self.key)
        kms.create_alias(AliasName=self.other_alias, TargetKeyId=self.other)
        kms.tag_resource(KeyId=self.key, Tags=[{"TagKey": "a", "TagValue": "b"}])
        if state == "Disabled":
            kms.disable_key(KeyId=self.key)
        if state == "PendingDeletion":
            kms.schedule_key_deletion(KeyId=self.key, PendingWindowInDays=7)


OPERATIONS: dict[str, Callable[[Case], dict[str, Any]]] = {
    "cancel_key_deletion": lambda case: {"KeyId": case.key},
    "create_alias": lambda case: {"AliasName": fresh_alias(), "TargetKeyId": case.key},
    "decrypt": lambda case: {"CiphertextBlob": case.blob},
    "delete_alias": lambda case: {"AliasName": case.alias},
    "describe_key": lambda case: {"KeyId": case.key},
    "disable_key": lambda case: {"KeyId": case.key},
    "enable_key": lambda case: {"KeyId": case.key},
    "encrypt": lambda case: {"KeyId": case.key, "Plaintext": b"x"},
    "generate_data_key": lambda case: {"KeyId": case.key, "KeySpec": "AES_256"},
    "generate_data_key_without_plaintext": lambda case: {"KeyId": case.key, "KeySpec": "AES_256"},
    "get_key_policy": lambda case: {"KeyId": case.key},
    "list_aliases": lambda case: {"KeyId": case.key},
    "list_key_policies": lambda case: {"KeyId": case.key},
    "list_resource_tags": lambda case: {"KeyId": case.key},
    "put_key_policy": lambda case: {"KeyId": case.key, "Policy": case.policy},
    "re_encrypt": lambda case: {"CiphertextBlob": case.blob, "DestinationKeyId": case.other},
    "re_encrypt to": lambda case: {"CiphertextBlob": case.other_blob, "DestinationKeyId": case.key},
    "schedule_key_deletion": lambda case: {"KeyId": case.key, "PendingWindowInDays": 7},
    "tag_resource": lambda case: {"KeyId": case.key, "Tags": [{"TagKey": "c", "TagValue": "d"}]},
    "untag_resource": lambda case: {"KeyId": case.key, "TagKeys": ["a"]},
    "update_alias away": lambda case: {"AliasName": case.alias, "TargetKeyId": case.other},
    "update_alias onto": lambda case: {"AliasName": case.other_alias, "TargetKeyId": case.key},
    "update_key_description": lambda case: {"KeyId": case.key, "Description": "new"},
}
CRYPTO = {
    "decrypt",
    "encrypt",
    "generate_data_key",
    "generate_data_key_without_plaintext",
    "re_encrypt",
    "re_encrypt to",
}
REFUSED: dict[str, dict[str, str]] = {
    "Enabled": {"cancel_key_deletion": NOT_PENDING},
    "Disabled": {"cancel_key_deletion": NOT_PENDING, **dict.fromkeys(CRYPTO, DISABLED)},
    "PendingDeletion": {
        **dict.fromkeys(CRYPTO, PENDING),
        **dict.fromkeys(
            (
                "create_alias",
                "disable_key",
                "enable_key",
                "schedule_key_deletion",
                "tag_resource",
                "untag_resource",
                "update_alias onto",
                "update_key_description",
            ),
            PENDING,
        ),
    },
}


@pytest.mark.parametrize("state", REFUSED)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_meets_a_key_in_a_state(kms: Any, state: str, operation: str) -> None:
    case = Case(kms, state)
    call, params = getattr(kms, operation.partition(" ")[0]), OPERATIONS[operation](case)
    code = REFUSED[state].get(operation, OK)
    if code == OK:
        assert call(**params)["ResponseMetadata"]["HTTPStatusCode"] == 200
        return
    before = kms.describe_key(KeyId=case.key)["KeyMetadata"]
    found = refused(call, **params)
    assert found[0] == code
    if operation != "cancel_key_deletion":
        assert found[1] == SENTENCES[state].format(case.key)
    assert kms.describe_key(KeyId=case.key)["KeyMetadata"] == before


def test_a_disabled_key_says_so_and_comes_back(kms: Any) -> None:
    case = Case(kms, "Disabled")
    metadata = kms.describe_key(KeyId=case.key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("Disabled", False)
    kms.enable_key(KeyId=case.key)
    assert kms.decrypt(CiphertextBlob=case.blob)["Plaintext"] == b"x"


def test_a_key_called_back_from_deletion_is_disabled_and_decrypts_once_enabled(kms: Any) -> None:
    case = Case(kms, "PendingDeletion")
    metadata = kms.describe_key(KeyId=case.key)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["Enabled"]) == ("PendingDeletion", False)
    assert (metadata["DeletionDate"] - metadata["CreationDate"]).days == 7
    assert kms.cancel_key_deletion(KeyId=case.key)["KeyId"] == case.key
    metadata = kms.describe_key(KeyId=case.key)["KeyMetadata"]
    assert (metadata["KeyState"], "DeletionDate" in metadata) == ("Disabled", False)
    assert refused(kms.decrypt, CiphertextBlob=case.blob) == (DISABLED, f"{case.key} is disabled.")
    kms.enable_key(KeyId=case.key)
    assert kms.decrypt(CiphertextBlob=case.blob)["Plaintext"] == b"x"


@pytest.mark.parametrize(
    ("window", "bound"),
    [(6, "greater than or equal to 7"), (1, "greater than or equal to 7"), (31, "less than or equal to 30")],
)
def test_a_window_outside_seven_to_thirty_days_is_refused(kms: Any, window: int, bound: str) -> None:
    key = new_key(kms)
    assert refused(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=window) == (
        "ValidationException",
        f"1 validation error detected: Value '{window}' at 'pendingWindowInDays' failed to satisfy constraint: "
        f"Member must have value {bound}",
    )
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_every_worker_refuses_a_disabled_key_at_the_very_next_call(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two processes on one socket: a fresh connection for each call lands on either."""
    with running(tmp_path_factory.mktemp("workers") / "data", "--workers", "2") as proxy:
        key = new_key(proxy.client("kms", ALICE))
        for _ in range(6):
            proxy.client("kms", ALICE).disable_key(KeyId=key)
            for _ in range(4):
                fresh = proxy.client("kms", ALICE)
                assert refused(fresh.generate_data_key, KeyId=key, KeySpec="AES_256")[0] == DISABLED
            proxy.client("kms", ALICE).enable_key(KeyId=key)
            for _ in range(4):
                proxy.client("kms", ALICE).generate_data_key(KeyId=key, KeySpec="AES_256")
