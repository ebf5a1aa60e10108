"""Aliases and tags over a real socket: made, moved, listed, removed; limits, and who wins a race."""

import threading
import uuid
from typing import Any

import pytest
from testkit.kms_calls import new_key, refused
from testkit.proxy import ALICE, MAIN, OTHER_ROOT, Proxy

PREFIX = f"arn:aws:kms:us-east-1:{MAIN}:"
NO_PREFIX = (
    "ValidationException",
    'Alias must start with the prefix "alias/". Please see '
    "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
)
RESERVED = ("TagException", "Tags beginning with aws: are reserved")


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


@pytest.fixture
def key(kms: Any) -> str:
    return new_key(kms)


def fresh() -> str:
    return f"alias/{uuid.uuid4().hex}"


def aliases_of(kms: Any, key: str) -> list[str]:
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 100})
    return [row["AliasName"] for page in pages for row in page["Aliases"]]


def tags_of(kms: Any, key: str) -> dict[str, str]:
    return {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]}


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"TagKey": name, "TagValue": value} for name, value in pairs.items()]


# Aliases


def test_an_alias_is_listed_with_exactly_the_members_that_aws_gives(kms: Any, key: str) -> None:
    name = fresh()
    kms.create_alias(AliasName=name, TargetKeyId=key)
    (row,) = kms.list_aliases(KeyId=key)["Aliases"]
    assert row.pop("CreationDate") == row.pop("LastUpdatedDate")
    assert row == {"AliasName": name, "AliasArn": PREFIX + name, "TargetKeyId": key.rpartition("/")[2]}


def test_an_alias_moves_to_another_key_and_what_it_encrypted_still_opens(kms: Any, key: str) -> None:
    name, other = fresh(), new_key(kms)
    kms.create_alias(AliasName=name, TargetKeyId=key)
    blob = kms.encrypt(KeyId=name, Plaintext=b"x")["CiphertextBlob"]
    kms.update_alias(AliasName=name, TargetKeyId=other)
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == other
    assert (aliases_of(kms, key), aliases_of(kms, other)) == ([], [name])
    assert kms.decrypt(CiphertextBlob=blob)["KeyId"] == key
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId=name)[0] == "IncorrectKeyException"
    (row,) = kms.list_aliases(KeyId=other)["Aliases"]
    assert row["LastUpdatedDate"] > row["CreationDate"]


def test_a_deleted_alias_leads_nowhere_and_its_key_stays(kms: Any, key: str) -> None:
    name = fresh()
    kms.create_alias(AliasName=name, TargetKeyId=key)
    kms.delete_alias(AliasName=name)
    not_found = ("NotFoundException", f"Alias {PREFIX}{name} is not found.")
    assert refused(kms.describe_key, KeyId=name) == not_found
    assert refused(kms.delete_alias, AliasName=name) == not_found
    assert refused(kms.update_alias, AliasName=name, TargetKeyId=key) == not_found
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_an_alias_exists_once_in_an_account_and_region(proxy: Proxy, kms: Any, key: str) -> None:
    name = fresh()
    kms.create_alias(AliasName=name, TargetKeyId=key)
    exists = ("AlreadyExistsException", f"An alias with the name {PREFIX}{name} already exists")
    assert refused(kms.create_alias, AliasName=name, TargetKeyId=key) == exists
    assert refused(kms.create_alias, AliasName=name, TargetKeyId=new_key(kms)) == exists
    for elsewhere in (proxy.client("kms", OTHER_ROOT), proxy.client("kms", ALICE, region="eu-west-1")):
        theirs = new_key(elsewhere)
        elsewhere.create_alias(AliasName=name, TargetKeyId=theirs)
        assert elsewhere.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == theirs
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key


@pytest.mark.parametrize("operation", ["create_alias", "update_alias", "delete_alias"])
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no-prefix", NO_PREFIX[0]),
        ("Alias/upper", NO_PREFIX[0]),
        ("alias/aws/mine", "NotAuthorizedException"),
        ("alias/aws/s3", "NotAuthorizedException"),
        ("alias/", "InvalidAliasNameException"),
        ("alias/a b", "ValidationException"),
        ("alias/ü", "ValidationException"),
        (f"alias/{'x' * 251}", "ValidationException"),
    ],
    ids=lambda value: value[:20],
)
def test_a_name_that_may_not_be_is_refused(kms: Any, key: str, operation: str, name: str, code: str) -> None:
    target = {} if operation == "delete_alias" else {"TargetKeyId": key}
    found = refused(getattr(kms, operation), AliasName=name, **target)
    assert found[0] == code
    assert name not in ("no-prefix", "Alias/upper") or found == NO_PREFIX
    assert aliases_of(kms, key) == []


def test_a_name_of_256_characters_may_be(kms: Any, key: str) -> None:
    name = f"alias/{uuid.uuid4().hex}/".ljust(256, "x")
    kms.create_alias(AliasName=name, TargetKeyId=key)
    assert kms.describe_key(KeyId=PREFIX + name)["KeyMetadata"]["Arn"] == key


def test_the_fifty_first_alias_of_a_key_is_refused_and_pages_hold_each_once(kms: Any, key: str) -> None:
    names = sorted(fresh() for _ in range(50))
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)
    assert refused(kms.create_alias, AliasName=fresh(), TargetKeyId=key)[0] == "LimitExceededException"
    assert aliases_of(kms, key) == names
    pages = kms.get_paginator("list_aliases").paginate(KeyId=key, PaginationConfig={"PageSize": 7})
    assert [row["AliasName"] for page in pages for row in page["Aliases"]] == names


def test_of_many_that_make_the_same_alias_at_once_one_wins(proxy: Proxy, kms: Any) -> None:
    name, keys = fresh(), [new_key(kms) for _ in range(6)]
    clients, outcomes = [proxy.client("kms", ALICE) for _ in keys], []

    def make(client: Any, key: str) -> None:
        try:
            client.create_alias(AliasName=name, TargetKeyId=key)
            outcomes.append(key)
        except client.exceptions.AlreadyExistsException:
            outcomes.append("lost")

    threads = [threading.Thread(target=make, args=pair) for pair in zip(clients, keys, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcomes)[1:] == ["lost"] * 5
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == sorted(outcomes)[0]


def test_an_alias_of_another_accounts_key_cannot_be_made(proxy: Proxy, kms: Any) -> None:
    theirs = new_key(proxy.client("kms", OTHER_ROOT))
    assert refused(kms.create_alias, AliasName=fresh(), TargetKeyId=theirs)[0] == "AccessDeniedException"


# Tags


def test_tags_are_added_changed_and_removed(kms: Any) -> None:
    key = new_key(kms, Tags=tags(tag1="value1", tag2="value2"))
    assert tags_of(kms, key) == {"tag1": "value1", "tag2": "value2"}
    kms.tag_resource(KeyId=key, Tags=tags(tag2="updated", tag3=""))
    assert tags_of(kms, key) == {"tag1": "value1", "tag2": "updated", "tag3": ""}
    kms.untag_resource(KeyId=key, TagKeys=["tag1", "never there"])
    assert tags_of(kms, key) == {"tag2": "updated", "tag3": ""}
    kms.untag_resource(KeyId=key, TagKeys=["tag2", "tag3"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == []


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (tags(a="1") * 2, ("TagException", "Duplicate tag keys")),
        ([{"TagKey": f"tag{n}", "TagValue": ""} for n in range(51)], ("TagException", "Too many tags")),
        ([{"TagKey": "aws:key1", "TagValue": ""}], RESERVED),
        ([{"TagKey": "AWS:key1", "TagValue": ""}], RESERVED),
        (
            [{"TagKey": "a" * 129, "TagValue": ""}],
            (
                "ValidationException",
                f"1 validation error detected: Value '{'a' * 129}' at 'tags.1.member.tagKey' failed to satisfy "
                "constraint: Member must have length less than or equal to 128",
            ),
        ),
        (
            [{"TagKey": "a", "TagValue": "v" * 257}],
            (
                "ValidationException",
                f"1 validation error detected: Value '{'v' * 257}' at 'tags.1.member.tagValue' failed to satisfy "
                "constraint: Member must have length less than or equal to 256",
            ),
        ),
    ],
    ids=["duplicate", "too many", "aws:", "AWS:", "long key", "long value"],
)
def test_tags_that_may_not_be_are_refused_in_awss_words(
    kms: Any, key: str, given: list[dict[str, str]], refusal: tuple[str, str]
) -> None:
    """LocalStack's recordings of AWS."""
    assert refused(kms.tag_resource, KeyId=key, Tags=given) == refusal
    assert refused(kms.create_key, Tags=given) == refusal
    assert tags_of(kms, key) == {}


def test_fifty_tags_may_be_and_a_fifty_first_may_not_be_added(kms: Any, key: str) -> None:
    fifty = {f"tag{n:02}": str(n) for n in range(50)}
    kms.tag_resource(KeyId=key, Tags=tags(**fifty))
    assert refused(kms.tag_resource, KeyId=key, Tags=tags(more=""))[0] == "TagException"
    kms.tag_resource(KeyId=key, Tags=tags(tag00="changed"))
    pages = list(kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 20}))
    assert [len(page["Tags"]) for page in pages] == [20, 20, 10]
    assert {t["TagKey"]: t["TagValue"] for page in pages for t in page["Tags"]} == {**fifty, "tag00": "changed"}
