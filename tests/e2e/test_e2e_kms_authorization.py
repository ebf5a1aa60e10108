"""IAM policies and key policies together, with conditions; and keys of another account, which take both sides."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from testkit.kms_calls import allow_in, key_policy, new_key, refused, root_of, user
from testkit.proxy import BOOTSTRAP, MAIN, OTHER, Credential, Proxy, running

ALL = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
USERS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "admin": (MAIN, [ALL]),
    "no-decrypt": (MAIN, [ALL, {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]),
    "aliases": (MAIN, [{**ALL, "Resource": f"arn:aws:kms:*:{MAIN}:alias/allowed-*"}]),
    "tagged": (MAIN, [{**ALL, "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}]),
    "tagging": (MAIN, [{**ALL, "Condition": {"StringEquals": {"aws:RequestTag/team": "blue"}}}]),
    "by-alias": (MAIN, [{**ALL, "Condition": {"StringLike": {"kms:RequestAlias": "alias/by-*"}}}]),
    "rest": (MAIN, [{"Effect": "Allow", "NotAction": ["kms:Encrypt", "kms:Create*"], "Resource": "*"}]),
    "windowed": (
        MAIN,
        [{**ALL, "Condition": {"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": "10"}}}],
    ),
    "plain": (MAIN, [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]),
    "guest": (OTHER, [ALL]),
    "stranger": (OTHER, [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]),
    "refuser": (OTHER, [ALL, {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"}]),
}
KEYS = {
    name: Credential(f"AKIATESTS{number:011}", f"{name}/secret/key/of/these/tests") for number, name in enumerate(USERS)
}


def with_users() -> str:
    """The suite's accounts, each with these users too."""
    parts = BOOTSTRAP.split("[[account]]")
    for name, (account, statements) in USERS.items():
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        row = f"""
  [[account.user]]
  name = "{name}"
  access_keys = [{{ access_key_id = "{KEYS[name].access_key_id}", secret_access_key = "{KEYS[name].secret}" }}]
  policies = {{ p = '''{document}''' }}
"""
        parts[1 if account == MAIN else 2] += row
    return "[[account]]".join(parts)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("iam") / "data", bootstrap=with_users()) as started:
        yield started


@pytest.fixture
def admin(server: Proxy) -> Any:
    return server.client("kms", KEYS["admin"])


def kms_of(server: Proxy, name: str) -> Any:
    return server.client("kms", KEYS[name])


def denied(call: Any, **params: Any) -> str:
    """The sentence of a denial."""
    code, sentence = refused(call, **params)
    assert code == "AccessDeniedException"
    return sentence


# IAM policies


def test_a_deny_in_an_identity_policy_wins_over_the_key_policy_that_names_the_user(server: Proxy, admin: Any) -> None:
    key = new_key(admin, Policy=key_policy(allow_in(user("no-decrypt"), "kms:*")))
    mine = kms_of(server, "no-decrypt")
    blob = mine.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert denied(mine.decrypt, CiphertextBlob=blob, KeyId=key) == (
        f"User: {user('no-decrypt')} is not authorized to perform: kms:Decrypt on resource: {key} "
        "with an explicit deny in an identity-based policy"
    )


def test_an_identity_deny_counts_without_the_root_statement(server: Proxy, admin: Any) -> None:
    policy = key_policy(allow_in([user("no-decrypt"), user("admin")], "kms:*"), root=False)
    key, mine = new_key(admin, Policy=policy), kms_of(server, "no-decrypt")
    blob = mine.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert "explicit deny in an identity-based policy" in denied(mine.decrypt, CiphertextBlob=blob)


def test_making_an_alias_takes_a_permission_on_the_alias_and_one_on_the_key(server: Proxy, admin: Any) -> None:
    mine, name = kms_of(server, "aliases"), uuid.uuid4().hex
    policy = key_policy(allow_in(user("aliases"), "kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"))
    open_key, shut_key = new_key(admin, Policy=policy), new_key(admin)
    mine.create_alias(AliasName=f"alias/allowed-{name}", TargetKeyId=open_key)
    assert f"alias/other-{name}" in denied(mine.create_alias, AliasName=f"alias/other-{name}", TargetKeyId=open_key)
    assert shut_key in denied(mine.create_alias, AliasName=f"alias/allowed-2{name}", TargetKeyId=shut_key)
    assert shut_key in denied(mine.update_alias, AliasName=f"alias/allowed-{name}", TargetKeyId=shut_key)
    admin.create_alias(AliasName=f"alias/other-{name}", TargetKeyId=open_key)
    assert f"alias/other-{name}" in denied(mine.delete_alias, AliasName=f"alias/other-{name}")
    admin.create_alias(AliasName=f"alias/allowed-3{name}", TargetKeyId=shut_key)
    assert shut_key in denied(mine.delete_alias, AliasName=f"alias/allowed-3{name}")
    assert shut_key in denied(mine.update_alias, AliasName=f"alias/allowed-3{name}", TargetKeyId=open_key)
    mine.delete_alias(AliasName=f"alias/allowed-{name}")


def test_a_keys_tags_decide_and_a_new_tag_decides_at_once(server: Proxy, admin: Any) -> None:
    key, mine = new_key(admin), kms_of(server, "tagged")
    denied(mine.describe_key, KeyId=key)
    admin.tag_resource(KeyId=key, Tags=[{"TagKey": "Team", "TagValue": "blue"}])
    mine.describe_key(KeyId=key)
    admin.tag_resource(KeyId=key, Tags=[{"TagKey": "Team", "TagValue": "red"}])
    denied(mine.describe_key, KeyId=key)


def test_the_tags_in_a_request_decide(server: Proxy, admin: Any) -> None:
    key, mine = new_key(admin), kms_of(server, "tagging")
    mine.tag_resource(KeyId=key, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    new_key(mine, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    denied(mine.tag_resource, KeyId=key, Tags=[{"TagKey": "team", "TagValue": "red"}])
    denied(mine.create_key)
    denied(mine.describe_key, KeyId=key)


def test_the_alias_in_a_request_decides_only_if_the_request_has_it(server: Proxy, admin: Any) -> None:
    key, mine, alias = new_key(admin), kms_of(server, "by-alias"), f"alias/by-{uuid.uuid4().hex}"
    admin.create_alias(AliasName=alias, TargetKeyId=key)
    assert mine.describe_key(KeyId=alias)["KeyMetadata"]["Arn"] == key
    assert mine.encrypt(KeyId=f"arn:aws:kms:us-east-1:{MAIN}:{alias}", Plaintext=b"x")["KeyId"] == key
    denied(mine.describe_key, KeyId=key)


def test_not_action_leaves_out_what_it_names(server: Proxy, admin: Any) -> None:
    key, mine = new_key(admin), kms_of(server, "rest")
    mine.describe_key(KeyId=key)
    denied(mine.encrypt, KeyId=key, Plaintext=b"x")
    assert "on resource: * because" in denied(mine.create_key)


def test_a_number_in_a_request_is_compared_as_a_number(server: Proxy, admin: Any) -> None:
    key, mine = new_key(admin), kms_of(server, "windowed")
    denied(mine.schedule_key_deletion, KeyId=key)  # thirty days
    denied(mine.schedule_key_deletion, KeyId=key, PendingWindowInDays=10)
    mine.schedule_key_deletion(KeyId=key, PendingWindowInDays=9)


# Conditions of key policies


@pytest.mark.parametrize(
    ("condition", "allowed", "refused_one"),
    [
        ({"StringEquals": {"kms:EncryptionContext:Dept": "x"}}, {"dept": "x"}, {"dept": "y"}),
        ({"StringEquals": {"kms:EncryptionContext:Dept": "x"}}, {"Dept": "x", "more": "1"}, {}),
        ({"StringLike": {"kms:EncryptionContext:path": "a/*"}}, {"path": "a/b"}, {"path": "b/a/"}),
        ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["a", "b"]}}, {"a": "1"}, {"a": "1", "c": "2"}),
        ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "a"}}, {"a": "1", "c": "2"}, {"A": "1"}),
        ({"Null": {"kms:EncryptionContextKeys": "false"}}, {"a": "1"}, {}),
        ({"StringNotEquals": {"kms:EncryptionContext:dept": "x"}}, {"dept": "y"}, {"dept": "x"}),
    ],
    ids=str,
)
def test_the_encryption_context_decides(
    server: Proxy, admin: Any, condition: Any, allowed: dict[str, str], refused_one: dict[str, str]
) -> None:
    actions = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")
    key = new_key(admin, Policy=key_policy(allow_in(user("plain"), *actions, Condition=condition)))
    mine = kms_of(server, "plain")
    blob = mine.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=allowed)["CiphertextBlob"]
    mine.decrypt(CiphertextBlob=blob, EncryptionContext=allowed)
    mine.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=allowed)
    other = admin.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=refused_one)["CiphertextBlob"]
    denied(mine.encrypt, KeyId=key, Plaintext=b"x", EncryptionContext=refused_one)
    denied(mine.decrypt, CiphertextBlob=other, EncryptionContext=refused_one)
    denied(mine.generate_data_key, KeyId=key, KeySpec="AES_256", EncryptionContext=refused_one)
    both = {"DestinationKeyId": key, "SourceEncryptionContext": allowed, "CiphertextBlob": blob}
    mine.re_encrypt(**both, DestinationEncryptionContext=allowed)
    assert "kms:ReEncryptTo" in denied(mine.re_encrypt, **both, DestinationEncryptionContext=refused_one)


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"kms:CallerAccount": MAIN}}, True),
        ({"StringEquals": {"kms:CallerAccount": OTHER}}, False),
        ({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}, False),
        ({"Null": {"kms:ViaService": "true"}}, True),
        ({"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT", "kms:KeyUsage": "ENCRYPT_DECRYPT"}}, True),
        ({"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}, False),
        ({"Bool": {"kms:MultiRegion": "false"}}, True),
        ({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, True),
        ({"StringEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}}, False),
        ({"ArnEquals": {"aws:PrincipalArn": user("plain")}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:*"}}, False),
        ({"StringEquals": {"aws:username": "plain", "aws:PrincipalAccount": MAIN}}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/*"}}, False),
    ],
    ids=str,
)
def test_a_condition_decides(server: Proxy, admin: Any, condition: Any, allowed: bool) -> None:
    """Allowed or not; and a Deny with the same condition the other way round."""
    mine, statement = kms_of(server, "plain"), allow_in(user("plain"), "kms:Encrypt", Condition=condition)
    key = new_key(admin, Policy=key_policy(statement))
    deny = key_policy(allow_in(user("plain"), "kms:Encrypt"), {**statement, "Effect": "Deny"})
    for policy, open_now in ((key_policy(statement), allowed), (deny, not allowed)):
        admin.put_key_policy(KeyId=key, Policy=policy)
        if open_now:
            assert mine.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
        else:
            denied(mine.encrypt, KeyId=key, Plaintext=b"x")


@pytest.mark.parametrize(("same", "allowed"), [("true", "same"), ("false", "other")])
def test_reencrypt_on_the_same_key_is_a_condition_that_is_carried(
    server: Proxy, admin: Any, same: str, allowed: str
) -> None:
    """KMS developer guide, "kms:ReEncryptOnSameKey": present in every ReEncrypt request."""
    statement = allow_in(user("plain"), "kms:ReEncrypt*", Condition={"Bool": {"kms:ReEncryptOnSameKey": same}})
    keys = [new_key(admin, Policy=key_policy(statement)) for _ in range(2)]
    targets = {"same": keys[0], "other": keys[1]}
    blob = admin.encrypt(KeyId=keys[0], Plaintext=b"x")["CiphertextBlob"]
    for name, target in targets.items():
        if name == allowed:
            kms_of(server, "plain").re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)
        else:
            denied(kms_of(server, "plain").re_encrypt, CiphertextBlob=blob, DestinationKeyId=target)


def test_reencrypt_is_two_permissions_on_two_keys(server: Proxy, admin: Any) -> None:
    source = new_key(admin, Policy=key_policy(allow_in(user("plain"), "kms:ReEncryptFrom")))
    target = new_key(admin, Policy=key_policy(allow_in(user("plain"), "kms:ReEncryptTo")))
    mine = kms_of(server, "plain")
    blob, back = (admin.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for key in (source, target))
    moved = mine.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target)["CiphertextBlob"]
    assert admin.decrypt(CiphertextBlob=moved)["KeyId"] == target
    assert "kms:ReEncryptTo" in denied(mine.re_encrypt, CiphertextBlob=blob, DestinationKeyId=source)
    assert "kms:ReEncryptFrom" in denied(mine.re_encrypt, CiphertextBlob=back, DestinationKeyId=target)
    assert "kms:Decrypt" in denied(mine.decrypt, CiphertextBlob=blob)


# Another account's key


HIDDEN = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
    "or you are not allowed to access."
)


def foreign(who: str, action: str) -> str:
    return (
        f"User: {user(who, OTHER)} is not authorized to perform: {action} on this resource because the resource does "
        "not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
        "denies access"
    )


def shared(admin: Any, *principals: str) -> str:
    return new_key(admin, Policy=key_policy(allow_in(list(principals), "kms:*")))


def test_another_account_needs_both_sides(server: Proxy, admin: Any) -> None:
    closed, whole, personal = new_key(admin), shared(admin, OTHER), shared(admin, user("stranger", OTHER))
    guest, stranger, refuser = (kms_of(server, name) for name in ("guest", "stranger", "refuser"))
    assert guest.encrypt(KeyId=whole, Plaintext=b"x")["KeyId"] == whole
    assert denied(guest.encrypt, KeyId=closed, Plaintext=b"x") == foreign("guest", "kms:Encrypt")
    assert denied(guest.encrypt, KeyId=personal, Plaintext=b"x") == foreign("guest", "kms:Encrypt")
    sentence = f"User: {user('stranger', OTHER)} is not authorized to perform: kms:Encrypt on resource: "
    for key in (whole, personal):  # the other side allows, its own account does not
        found = denied(stranger.encrypt, KeyId=key, Plaintext=b"x")
        assert found == f"{sentence}{key} because no identity-based policy allows the kms:Encrypt action"
    assert "explicit deny in an identity-based policy" in denied(refuser.encrypt, KeyId=whole, Plaintext=b"x")


def test_a_foreign_key_that_is_shut_looks_like_one_that_does_not_exist(server: Proxy, admin: Any) -> None:
    guest, closed = kms_of(server, "guest"), new_key(admin)
    absent = closed[:-12] + "0" * 12
    alias = f"alias/{uuid.uuid4().hex}"
    admin.create_alias(AliasName=alias, TargetKeyId=closed)
    prefix = f"arn:aws:kms:us-east-1:{MAIN}:"
    for call, params, action in (
        (guest.describe_key, {}, "kms:DescribeKey"),
        (guest.encrypt, {"Plaintext": b"x"}, "kms:Encrypt"),
        (guest.generate_data_key, {"KeySpec": "AES_256"}, "kms:GenerateDataKey"),
        (guest.get_key_policy, {}, "kms:GetKeyPolicy"),
    ):
        assert denied(call, KeyId=closed, **params) == denied(call, KeyId=absent, **params) == foreign("guest", action)
    assert denied(guest.describe_key, KeyId=prefix + alias) == denied(guest.describe_key, KeyId=f"{prefix}alias/none")
    blob = bytearray(admin.encrypt(KeyId=closed, Plaintext=b"x")["CiphertextBlob"])
    assert denied(guest.decrypt, CiphertextBlob=bytes(blob)) == HIDDEN
    blob[2] ^= 1
    assert denied(guest.decrypt, CiphertextBlob=bytes(blob)) == HIDDEN
    for key in (closed, absent):
        assert refused(guest.list_aliases, KeyId=key)[0] == "AccessDeniedException"


def test_the_operations_that_aws_lets_across_accounts(server: Proxy, admin: Any) -> None:
    key, guest = shared(admin, root_of(OTHER)), kms_of(server, "guest")
    assert guest.describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"] == MAIN
    blob = guest.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert guest.decrypt(CiphertextBlob=blob)["KeyId"] == key
    assert guest.decrypt(CiphertextBlob=blob, KeyId=key)["Plaintext"] == b"x"
    mine = new_key(guest)
    moved = guest.re_encrypt(CiphertextBlob=blob, DestinationKeyId=mine)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, mine)
    assert guest.generate_data_key(KeyId=key, KeySpec="AES_256")["KeyId"] == key
    assert guest.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256")["KeyId"] == key


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("cancel_key_deletion", {}),
        ("disable_key", {}),
        ("enable_key", {}),
        ("get_key_policy", {}),
        ("list_key_policies", {}),
        ("list_resource_tags", {}),
        ("put_key_policy", {"Policy": key_policy()}),
        ("schedule_key_deletion", {}),
        ("tag_resource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("untag_resource", {"TagKeys": ["a"]}),
        ("update_key_description", {"Description": "x"}),
        ("create_alias", {"AliasName": "alias/foreign"}),
        ("list_aliases", {}),
    ],
)
def test_the_operations_that_stay_within_an_account_whatever_policies_say(
    server: Proxy, admin: Any, operation: str, params: dict[str, Any]
) -> None:
    key, guest = shared(admin, root_of(OTHER)), kms_of(server, "guest")
    member = "TargetKeyId" if operation == "create_alias" else "KeyId"
    assert refused(getattr(guest, operation), **{member: key}, **params)[0] == "AccessDeniedException"
    assert admin.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_lists_hold_only_the_callers_own(server: Proxy, admin: Any) -> None:
    key, guest = shared(admin, root_of(OTHER)), kms_of(server, "guest")
    mine = new_key(guest)
    rows = [row["KeyArn"] for page in guest.get_paginator("list_keys").paginate() for row in page["Keys"]]
    assert mine in rows
    assert key not in rows
    alias = f"alias/{uuid.uuid4().hex}"
    admin.create_alias(AliasName=alias, TargetKeyId=key)
    assert alias not in {row["AliasName"] for row in guest.list_aliases(Limit=100)["Aliases"]}


def test_the_users_of_these_tests_are_what_they_should_be(server: Proxy) -> None:
    """GetCallerIdentity needs no permission: `plain` has none outside S3."""
    identity = server.client("sts", KEYS["plain"]).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (MAIN, user("plain"))
    assert server.client("sts", KEYS["guest"]).get_caller_identity()["Arn"] == user("guest", OTHER)
