"""Key policies put, got and refused; who a key's statements let in; the sentence that a refused caller reads."""

import json
from typing import Any

import pytest
from testkit.kms_calls import Statement, allow_in, events_of, key_policy, new_key, refused, root_of, user
from testkit.proxy import ALICE, BOB, CAROL, MAIN, OTHER, ROOT, Proxy

MALFORMED = "MalformedPolicyDocumentException"
LOCKOUT = (MALFORMED, "The new key policy will not allow you to update the key policy in the future.")
NOBODY = (MALFORMED, "Policy contains a statement with one or more invalid principals.")


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


@pytest.fixture
def bob(proxy: Proxy) -> Any:
    """A user whom no IAM policy allows anything with KMS."""
    return proxy.client("kms", BOB)


@pytest.fixture
def key(kms: Any) -> str:
    return new_key(kms)


def denial(who: str, action: str, key: str, why: str) -> tuple[str, str]:
    return "AccessDeniedException", f"User: {user(who)} is not authorized to perform: {action} on resource: {key} {why}"


NO_IDENTITY = "because no identity-based policy allows the {} action"
NO_RESOURCE = "because no resource-based policy allows the {} action"
DENIED = "with an explicit deny in a resource-based policy"


# Putting and getting


def test_a_new_key_has_awss_default_policy_letter_for_letter(kms: Any, key: str) -> None:
    answer = kms.get_key_policy(KeyId=key)
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": root_of()},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    assert answer["Policy"].startswith('{\n  "Version" : "2012-10-17",\n')
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]


def test_a_policy_comes_back_as_it_was_put(kms: Any, key: str) -> None:
    text = " " + key_policy(allow_in(user("bob"), "kms:Decrypt", Sid="ünï")).replace(", ", ",\n\t")
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)
    assert kms.get_key_policy(KeyId=key)["Policy"] == text
    made = new_key(kms, Policy=text)
    assert kms.get_key_policy(KeyId=made, PolicyName="default")["Policy"] == text


def test_a_key_has_one_policy_and_its_name_is_default(kms: Any, key: str) -> None:
    assert refused(kms.get_key_policy, KeyId=key, PolicyName="other")[0] == "NotFoundException"
    assert refused(kms.put_key_policy, KeyId=key, PolicyName="other", Policy=key_policy())[0] == "ValidationException"


def both_refuse(kms: Any, key: str, policy: str, **params: Any) -> tuple[str, str]:
    """The refusal, the same for a new key and an old one, whose policy stays."""
    before = kms.get_key_policy(KeyId=key)["Policy"]
    found = refused(kms.put_key_policy, KeyId=key, Policy=policy, **params)
    assert refused(kms.create_key, Policy=policy, **params) == found
    assert kms.get_key_policy(KeyId=key)["Policy"] == before
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"Condition": {"StringMatches": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}},
        {"Condition": {"ForMostValues:StringEquals": {"kms:EncryptionContextKeys": "a"}}},
        {"Condition": {"StringEquals": {"kms:NoSuchKey": "x"}}},
        {"Condition": {"Bool": {"aws:NoSuchKey": "true"}}},
        {"Condition": {"StringEquals": {"s3:prefix": "x"}}},
        {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}},
        {"Condition": {"StringEquals": "x"}},
        {"Effect": "Permit"},
        {"Action": "Decrypt"},
        {"Resource": "key"},
        {"Principal": {"AWS": "alice"}},
        {"Principal": {"AWS": f"arn:aws:iam::{MAIN}:user/*"}},
        {"Principal": {"AWS": []}},
        {"Sid": 7},
        {"Unknown": "x"},
        {"NotAction": "kms:Decrypt"},
    ],
    ids=str,
)
def test_a_statement_that_is_not_understood_whole_is_refused(kms: Any, key: str, change: Statement) -> None:
    """An operator or condition key that is not known is refused when it is put, never ignored."""
    assert both_refuse(kms, key, key_policy({**allow_in(user("bob"), "kms:Decrypt"), **change}))[0] == MALFORMED


@pytest.mark.parametrize("missing", ["Effect", "Principal", "Action", "Resource"])
def test_a_statement_without_one_of_its_elements_is_refused(kms: Any, key: str, missing: str) -> None:
    statement = allow_in(user("bob"), "kms:Decrypt")
    del statement[missing]
    assert both_refuse(kms, key, key_policy(statement))[0] == MALFORMED


@pytest.mark.parametrize(
    "policy",
    [
        "{",
        "[]",
        "x",
        '{"Version":"2012-10-17"}',
        key_policy().replace("2012-10-17", "2012-10-18"),
        key_policy()[:-1] + ',"Id":1}',
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_policy_is_refused(kms: Any, key: str, policy: str) -> None:
    assert both_refuse(kms, key, policy)[0] == MALFORMED


def test_a_policy_above_32_kilobytes_is_refused_and_one_below_is_not(kms: Any, key: str) -> None:
    padding = 32_768 - len(key_policy(allow_in(user("bob"), "kms:Decrypt", Sid="")))
    largest = key_policy(allow_in(user("bob"), "kms:Decrypt", Sid="x" * padding))
    assert len(largest) == 32_768
    kms.put_key_policy(KeyId=key, Policy=largest)
    assert both_refuse(kms, key, largest + " ")[0] == "LimitExceededException"


@pytest.mark.parametrize(
    "principal",
    [
        user("nobody"),
        f"arn:aws:iam::{MAIN}:role/none",
        "999999999999",
        root_of("999999999999"),
        "AIDAAAAAAAAAAAAAAAAAA",
    ],
)
def test_a_principal_that_does_not_exist_is_refused(kms: Any, key: str, principal: str) -> None:
    assert both_refuse(kms, key, key_policy(allow_in(principal, "kms:Decrypt"))) == NOBODY
    mixed = key_policy(allow_in([user("bob"), principal], "kms:Decrypt"))
    assert both_refuse(kms, key, mixed, BypassPolicyLockoutSafetyCheck=True) == NOBODY


@pytest.mark.parametrize("principal", [MAIN, OTHER, root_of(OTHER), user("bob"), "*", {"Service": "s3.amazonaws.com"}])
def test_a_principal_that_exists_is_taken(kms: Any, key: str, principal: object) -> None:
    policy = key_policy(allow_in(principal, "kms:Decrypt"))
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert kms.get_key_policy(KeyId=key)["Policy"] == policy


def test_a_users_unique_id_is_a_principal(proxy: Proxy, kms: Any, bob: Any, key: str) -> None:
    identity = proxy.client("sts", BOB).get_caller_identity()["UserId"]
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(identity, "kms:DescribeKey")))
    assert bob.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert refused(proxy.client("kms", CAROL).describe_key, KeyId=key)[0] == "AccessDeniedException"


# The lockout check


@pytest.mark.parametrize(
    "policy",
    [
        key_policy(allow_in(user("bob"), "kms:*"), root=False),
        key_policy(allow_in(root_of(), "kms:Encrypt", "kms:Get*"), root=False),
        key_policy(allow_in(user("alice"), "kms:PutKeyPolic"), root=False),
        key_policy(allow_in(user("alice"), "kms:PutKeyPolicy", Effect="Deny")),
        key_policy(allow_in("*", "kms:Put*", Effect="Deny")),
        key_policy(allow_in(root_of(OTHER), "kms:*"), root=False),
        key_policy(
            allow_in(user("alice"), "kms:*", Condition={"StringEquals": {"kms:CallerAccount": OTHER}}), root=False
        ),
    ],
)
def test_a_policy_that_locks_its_author_out_is_refused_unless_the_author_insists(
    kms: Any, key: str, policy: str
) -> None:
    assert both_refuse(kms, key, policy) == LOCKOUT
    kms.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    assert refused(kms.put_key_policy, KeyId=key, Policy=key_policy())[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    "policy",
    [
        key_policy(allow_in(user("alice"), "kms:PutKeyPolicy"), root=False),
        key_policy(allow_in(MAIN, "kms:*"), root=False),
        key_policy(allow_in("*", "*"), root=False),
        key_policy(allow_in(user("bob"), "kms:PutKeyPolicy", Effect="Deny")),
        key_policy({**allow_in(user("bob"), Effect="Deny"), "Action": "kms:Decrypt"}),
    ],
)
def test_a_policy_that_lets_its_author_put_the_next_one_is_taken(kms: Any, key: str, policy: str) -> None:
    kms.put_key_policy(KeyId=key, Policy=policy)
    kms.put_key_policy(KeyId=key, Policy=key_policy())
    assert kms.get_key_policy(KeyId=key)["Policy"] == key_policy()


def test_a_statement_that_names_the_key_by_its_arn_lets_its_author_in(kms: Any, key: str) -> None:
    """What allows at the next call must count in the check as well: both ask about the same resource."""
    policy = key_policy({**allow_in(root_of(), "kms:*"), "Resource": key}, root=False)
    kms.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key


def test_the_root_user_too_can_lock_itself_out_only_if_it_insists(proxy: Proxy) -> None:
    root = proxy.client("kms", ROOT)
    key, policy = new_key(root), key_policy(allow_in(user("bob"), "kms:*"), root=False)
    assert both_refuse(root, key, policy) == LOCKOUT
    root.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    assert refused(root.describe_key, KeyId=key)[0] == "AccessDeniedException"


# Who is let in


def test_the_root_statement_lets_iam_policies_decide(kms: Any, bob: Any, key: str) -> None:
    """alice has an IAM policy for kms:*, bob has none; the key's policy names neither."""
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    action = "kms:DescribeKey"
    assert refused(bob.describe_key, KeyId=key) == denial("bob", action, key, NO_IDENTITY.format(action))


def test_without_the_root_statement_iam_policies_allow_nothing(proxy: Proxy, kms: Any, bob: Any, key: str) -> None:
    policy = key_policy(allow_in(user("bob"), "kms:*"), root=False)
    kms.put_key_policy(KeyId=key, Policy=policy, BypassPolicyLockoutSafetyCheck=True)
    assert bob.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    action = "kms:DescribeKey"
    assert refused(kms.describe_key, KeyId=key) == denial("alice", action, key, NO_RESOURCE.format(action))
    sentence = refused(proxy.client("kms", ROOT).describe_key, KeyId=key)[1]
    assert (
        sentence
        == f"User: {root_of()} is not authorized to perform: {action} on resource: {key} " + NO_RESOURCE.format(action)
    )


def test_a_key_policy_alone_is_enough_for_a_user_that_it_names(kms: Any, bob: Any, key: str) -> None:
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(user("bob"), "kms:Encrypt", "kms:Describe*")))
    blob = bob.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert bob.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    code, sentence = refused(bob.decrypt, CiphertextBlob=blob)
    assert code == "AccessDeniedException"
    assert sentence == (
        f"User: {user('bob')} is not authorized to perform: kms:Decrypt on the resource associated with this "
        "ciphertext because no identity-based policy allows the kms:Decrypt action"
    )


def test_an_explicit_deny_wins_over_every_allow(kms: Any, proxy: Proxy, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    deny = allow_in(user("alice"), "kms:Decrypt", Effect="Deny", Sid="secret sid")
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(user("alice"), "kms:*"), deny))
    code, sentence = refused(kms.decrypt, CiphertextBlob=blob, KeyId=key)
    assert (code, sentence) == denial("alice", "kms:Decrypt", key, DENIED)
    assert "secret sid" not in sentence  # which statement it was is for the audit
    assert "secret sid" in json.dumps(events_of(proxy, eventName="Decrypt")[-1]["additionalEventData"])
    assert proxy.client("kms", ROOT).decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_policy_takes_effect_at_the_very_next_call(kms: Any, bob: Any, key: str) -> None:
    for _ in range(5):
        kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(user("bob"), "kms:Encrypt")))
        bob.encrypt(KeyId=key, Plaintext=b"x")
        kms.put_key_policy(KeyId=key, Policy=key_policy())
        assert refused(bob.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


@pytest.mark.parametrize("action", ["kms:Enc*", "kms:?ncrypt", "KMS:ENCRYPT", "*"])
def test_actions_are_matched_without_case_and_with_wildcards(kms: Any, bob: Any, key: str, action: str) -> None:
    kms.put_key_policy(KeyId=key, Policy=key_policy(allow_in(user("bob"), action)))
    assert bob.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    kms.put_key_policy(KeyId=key, Policy=key_policy({**allow_in(user("bob"), action), "Resource": key + "x"}))
    assert refused(bob.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"


def test_not_action_allows_the_rest(kms: Any, bob: Any, key: str) -> None:
    statement = allow_in(user("bob"))
    del statement["Action"]
    kms.put_key_policy(KeyId=key, Policy=key_policy({**statement, "NotAction": "kms:Encrypt"}))
    assert bob.describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    assert refused(bob.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
