"""AWS's sentences for broken constraints, word by word; each bad value beside the good one at its edge."""

import base64
import unicodedata
from typing import Any

import pytest
from botocore.loaders import Loader

from kms_core.errors import SerializationException, ValidationException
from kms_core.wire.constraints import Pattern
from kms_core.wire.shapes import load_service

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ACCOUNT = "111122223333"
GRANT_OPERATIONS = ", ".join(Loader().load_service_model("kms", "service-2")["shapes"]["GrantOperation"]["enum"])


def blob(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def grant(**changed: Any) -> dict[str, Any]:
    return {"KeyId": KEY, "GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:root", "Operations": ["Decrypt"], **changed}


def tags(*pairs: tuple[Any, Any]) -> dict[str, Any]:
    return {"KeyId": KEY, "Tags": [{"TagKey": key, "TagValue": value} for key, value in pairs]}


def breaks(constraint: str) -> str:
    return f"failed to satisfy constraint: {constraint}"


NOT_NULL = breaks("Member must not be null")

REFUSED: list[tuple[str, str, dict[str, Any], list[str]]] = [
    (
        "kms",
        "GenerateRandom",
        {"NumberOfBytes": 0},
        ["Value '0' at 'numberOfBytes' " + breaks("Member must have value greater than or equal to 1")],
    ),
    (
        "kms",
        "GenerateRandom",
        {"NumberOfBytes": 1025},
        ["Value '1025' at 'numberOfBytes' " + breaks("Member must have value less than or equal to 1024")],
    ),
    (
        "kms",
        "Encrypt",
        {"KeyId": KEY, "Plaintext": blob(4097)},
        ["Value at 'plaintext' " + breaks("Member must have length less than or equal to 4096")],
    ),
    (
        "kms",
        "Encrypt",
        {"KeyId": KEY, "Plaintext": ""},
        ["Value at 'plaintext' " + breaks("Member must have length greater than or equal to 1")],
    ),
    (
        "kms",
        "Decrypt",
        {"CiphertextBlob": blob(6145)},
        ["Value at 'ciphertextBlob' " + breaks("Member must have length less than or equal to 6144")],
    ),
    ("kms", "DescribeKey", {}, [f"Value null at 'keyId' {NOT_NULL}"]),
    ("kms", "DescribeKey", {"KeyId": None}, [f"Value null at 'keyId' {NOT_NULL}"]),
    ("kms", "Encrypt", {}, [f"Value null at 'keyId' {NOT_NULL}", f"Value null at 'plaintext' {NOT_NULL}"]),
    (
        "kms",
        "GenerateDataKey",
        {"KeyId": KEY, "KeySpec": "AES_512"},
        ["Value 'AES_512' at 'keySpec' " + breaks("Member must satisfy enum value set: [AES_256, AES_128]")],
    ),
    (
        "kms",
        "CreateAlias",
        {"AliasName": "alias/a b", "TargetKeyId": KEY},
        [
            "Value 'alias/a b' at 'aliasName' "
            + breaks("Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$")
        ],
    ),
    (
        "kms",
        "CreateAlias",
        {"AliasName": "alias/a\n", "TargetKeyId": KEY},
        [
            "Value 'alias/a\n' at 'aliasName' "
            + breaks("Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$")
        ],
    ),
    (
        "kms",
        "CreateAlias",
        {"AliasName": "", "TargetKeyId": KEY},
        [
            "Value '' at 'aliasName' " + breaks("Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"),
            "Value '' at 'aliasName' " + breaks("Member must have length greater than or equal to 1"),
        ],
    ),
    (
        "kms",
        "CreateAlias",
        {"AliasName": "!" * 257, "TargetKeyId": KEY},
        [f"Value '{'!' * 257}' at 'aliasName' " + breaks("Member must have length less than or equal to 256")],
    ),
    (
        "kms",
        "TagResource",
        tags(("a", "b"), ("k" * 129, None)),
        [
            f"Value '{'k' * 129}' at 'tags.2.member.tagKey' "
            + breaks("Member must have length less than or equal to 128"),
            f"Value null at 'tags.2.member.tagValue' {NOT_NULL}",
        ],
    ),
    ("kms", "TagResource", {"KeyId": KEY, "Tags": [None]}, [f"Value null at 'tags.1.member' {NOT_NULL}"]),
    (
        "kms",
        "CreateGrant",
        grant(Operations=["Decrypt", "Steal"]),
        [
            "Value '[Decrypt, Steal]' at 'operations' "
            + breaks(
                f"Member must satisfy constraint: [Member must satisfy enum value set: [{GRANT_OPERATIONS}], "
                "Member must not be null]"
            )
        ],
    ),
    (
        "kms",
        "CreateGrant",
        grant(GrantTokens=["ok", None]),
        [
            "Value '[ok, null]' at 'grantTokens' "
            + breaks(
                "Member must satisfy constraint: [Member must have length less than or equal to 8192, "
                "Member must have length greater than or equal to 1, Member must not be null]"
            )
        ],
    ),
    (
        "kms",
        "CreateGrant",
        grant(GrantTokens=["t"] * 11),
        [
            f"Value '[{', '.join(['t'] * 11)}]' at 'grantTokens' "
            + breaks("Member must have length less than or equal to 10")
        ],
    ),
    (
        "kms",
        "CreateGrant",
        grant(Constraints={"EncryptionContextEquals": {"a": "b", "c": None}}),
        [
            "Value '{a=b, c=null}' at 'constraints.encryptionContextEquals' "
            + breaks("Map value must satisfy constraint: [Member must not be null]")
        ],
    ),
    (
        "kms",
        "ConnectCustomKeyStore",
        {"CustomKeyStoreId": ""},
        ["Value '' at 'customKeyStoreId' " + breaks("Member must have length greater than or equal to 1")],
    ),
    (
        "kms",
        "UpdateCustomKeyStore",
        {"CustomKeyStoreId": "cks", "KeyStorePassword": "secret"},
        ["Value at 'keyStorePassword' " + breaks("Member must have length greater than or equal to 7")],
    ),
    (
        "iam",
        "SimulateCustomPolicy",
        {"PolicyInputList": ["{}", "\x07"], "ActionNames": ["s3:GetObject"]},
        [
            "Value '[{}, \x07]' at 'policyInputList' "
            + breaks(
                "Member must satisfy constraint: [Member must have length less than or equal to 131072, "
                "Member must have length greater than or equal to 1, "
                r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+, "
                "Member must not be null]"
            )
        ],
    ),
    (
        "sts",
        "AssumeRole",
        {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "RoleSessionName": "a b", "Tags": [{"Key": "k!", "Value": ""}]},
        [
            "Value 'a b' at 'roleSessionName' "
            + breaks(r"Member must satisfy regular expression pattern: [\w+=,.@-]*"),
            "Value 'k!' at 'tags.1.member.key' "
            + breaks(r"Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+"),
        ],
    ),
]

ACCEPTED: list[tuple[str, str, dict[str, Any]]] = [
    ("kms", "GenerateRandom", {"NumberOfBytes": 1}),
    ("kms", "GenerateRandom", {"NumberOfBytes": 1024}),
    ("kms", "GenerateRandom", {}),
    ("kms", "Encrypt", {"KeyId": KEY, "Plaintext": blob(4096)}),
    ("kms", "Encrypt", {"KeyId": KEY, "Plaintext": blob(1), "EncryptionContext": {"": "", "a": "b"}}),
    ("kms", "Decrypt", {"CiphertextBlob": blob(6144)}),
    ("kms", "GenerateDataKey", {"KeyId": KEY, "KeySpec": "AES_128"}),
    ("kms", "CreateAlias", {"AliasName": "alias/a-b", "TargetKeyId": KEY}),
    ("kms", "CreateAlias", {"AliasName": "a" * 256, "TargetKeyId": KEY}),
    ("kms", "TagResource", tags(("a", "b"), ("k" * 128, ""))),
    ("kms", "CreateGrant", grant(Operations=GRANT_OPERATIONS.split(", "), GrantTokens=["t"] * 10)),
    ("kms", "CreateGrant", grant(Constraints={"EncryptionContextEquals": {"a": "b"}})),
    ("sts", "AssumeRole", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "RoleSessionName": "a@b"}),
    (
        "sts",
        "AssumeRole",
        {"RoleArn": "a" * 20, "RoleSessionName": "me", "Tags": [{"Key": "Größe 5\u2003_", "Value": "½"}]},
    ),
]

MISPLACED: list[tuple[str, dict[str, Any], str]] = [
    ("GenerateRandom", {"NumberOfBytes": "1"}, "STRING_VALUE can not be converted to an Integer"),
    ("GenerateRandom", {"NumberOfBytes": True}, "TRUE_VALUE can not be converted to an Integer"),
    ("GenerateRandom", {"NumberOfBytes": False}, "FALSE_VALUE can not be converted to an Integer"),
    ("GenerateRandom", {"NumberOfBytes": float("inf")}, "NUMBER_VALUE can not be converted to an Integer"),
    ("GenerateRandom", {"NumberOfBytes": [1]}, "Start of list found where not expected"),
    ("GenerateRandom", {"NumberOfBytes": {}}, "Start of structure or map found where not expected."),
    ("DescribeKey", {"KeyId": 1}, "NUMBER_VALUE can not be converted to a String"),
    ("DescribeKey", {"KeyId": 1.5}, "NUMBER_VALUE can not be converted to a String"),
    ("DescribeKey", {"KeyId": True}, "TRUE_VALUE can not be converted to a String"),
    ("DescribeKey", {"KeyId": [KEY]}, "Start of list found where not expected"),
    ("DescribeKey", {"KeyId": "\ud800"}, "STRING_VALUE can not be converted to a String"),
    ("DescribeKey", {"KeyId": KEY, "GrantTokens": "t"}, "Expected list or null"),
    ("DescribeKey", {"KeyId": KEY, "GrantTokens": {}}, "Start of structure or map found where not expected."),
    ("DescribeKey", {"KeyId": KEY, "GrantTokens": [1]}, "NUMBER_VALUE can not be converted to a String"),
    ("CreateGrant", grant(Constraints="c"), "Expected null"),
    ("CreateGrant", grant(Constraints=[]), "Start of list found where not expected"),
    ("CreateGrant", grant(DryRun="false"), "STRING_VALUE can not be converted to a Boolean"),
    ("CreateGrant", grant(DryRun=0), "NUMBER_VALUE can not be converted to a Boolean"),
    ("Encrypt", {"KeyId": KEY, "Plaintext": 1}, "NUMBER_VALUE can not be converted to a Blob"),
    (
        "Encrypt",
        {"KeyId": KEY, "Plaintext": "AA", "EncryptionContext": {}},
        "STRING_VALUE can not be converted to a Blob",
    ),
    ("Encrypt", {"KeyId": KEY, "Plaintext": blob(1), "EncryptionContext": "a=b"}, "Expected map or null"),
    (
        "Encrypt",
        {"KeyId": KEY, "Plaintext": blob(1), "EncryptionContext": []},
        "Start of list found where not expected",
    ),
    (
        "Encrypt",
        {"KeyId": KEY, "Plaintext": blob(1), "EncryptionContext": {"\udfff": "b"}},
        "STRING_VALUE can not be converted to a String",
    ),
    (
        "Encrypt",
        {"KeyId": KEY, "Plaintext": blob(1), "EncryptionContext": {"a": 1}},
        "NUMBER_VALUE can not be converted to a String",
    ),
    ("ImportKeyMaterial", {"ValidTo": "2030-01-01"}, "STRING_VALUE can not be converted to a Timestamp"),
    ("ImportKeyMaterial", {"ValidTo": True}, "TRUE_VALUE can not be converted to a Timestamp"),
    ("ImportKeyMaterial", {"ValidTo": float("inf")}, "NUMBER_VALUE can not be converted to a Timestamp"),
    ("ImportKeyMaterial", {"ValidTo": 10**400}, "NUMBER_VALUE can not be converted to a Timestamp"),
    ("ImportKeyMaterial", {"ValidTo": 253_402_300_800}, "NUMBER_VALUE can not be converted to a Timestamp"),
]


@pytest.mark.parametrize(("service", "name", "params", "sentences"), REFUSED)
def test_a_broken_constraint_is_told_in_the_words_of_aws(
    service: str, name: str, params: dict[str, Any], sentences: list[str]
) -> None:
    with pytest.raises(ValidationException) as caught:
        load_service(service).operations[name].validate(params)
    count = f"{len(sentences)} validation error{'s' if len(sentences) > 1 else ''} detected: "
    assert caught.value.message == count + "; ".join(sentences)


@pytest.mark.parametrize(("service", "name", "params"), ACCEPTED)
def test_a_value_at_the_edge_is_accepted(service: str, name: str, params: dict[str, Any]) -> None:
    assert load_service(service).operations[name].validate(params).keys() == params.keys()


@pytest.mark.parametrize(("name", "params", "message"), MISPLACED)
def test_a_value_of_the_wrong_type_is_refused_in_the_words_of_aws(
    name: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(SerializationException) as caught:
        load_service("kms").operations[name].validate(params)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "encoded", ["QQ", "QQ=", "QR==", "Q=Q=", "QQ==QQ==", "QQ==\n", " QQ==", "QUI-", "QUI_", "Ä", "===="]
)
def test_base64_that_is_not_canonical_is_refused_and_not_repeated(encoded: str) -> None:
    with pytest.raises(SerializationException) as caught:
        load_service("kms").operations["Decrypt"].validate({"CiphertextBlob": encoded})
    assert caught.value.message == "STRING_VALUE can not be converted to a Blob"


@pytest.mark.parametrize("data", [b"A", b"AB", b"ABC", b"\xfb\xff\xfe"])
def test_canonical_base64_becomes_bytes(data: bytes) -> None:
    params = {"CiphertextBlob": base64.b64encode(data).decode()}
    assert load_service("kms").operations["Decrypt"].validate(params) == {"CiphertextBlob": data}


def test_null_counts_as_absent_and_unknown_members_are_ignored() -> None:
    params: dict[str, Any] = {"Other": [[[]]], "GrantTokens": None, "KeyId": KEY}
    assert load_service("kms").operations["DescribeKey"].validate(params) == {"KeyId": KEY}


def test_a_fraction_is_cut_off() -> None:
    assert load_service("kms").operations["GenerateRandom"].validate({"NumberOfBytes": 1.9}) == {"NumberOfBytes": 1}


def test_members_come_back_in_the_order_of_the_model() -> None:
    params: dict[str, Any] = {"GrantTokens": [], "Plaintext": blob(1), "KeyId": KEY}
    assert list(load_service("kms").operations["Encrypt"].validate(params)) == ["KeyId", "Plaintext", "GrantTokens"]


def test_no_more_than_ten_violations_are_reported() -> None:
    with pytest.raises(ValidationException) as caught:
        load_service("kms").operations["TagResource"].validate(tags(*[("", "")] * 11))
    assert caught.value.message is not None
    assert caught.value.message.startswith("10 validation errors detected: ")
    assert caught.value.message.count("failed to satisfy") == 10


@pytest.mark.parametrize(("number", "limit"), [(2**31, "less than or equal to 2147483647"), (-(2**31) - 1, "greater")])
def test_a_number_without_limits_of_its_own_has_those_of_its_type(number: int, limit: str) -> None:
    operation = load_service("iam").operations["GetRoleTemplateVersion"]
    with pytest.raises(ValidationException, match=f"at 'minorVersion' .* value {limit}"):
        operation.validate({"MinorVersion": number})


def test_the_classes_of_unicode_patterns_are_exact() -> None:
    pattern = Pattern(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+")
    for point in range(0x110000):
        letter = chr(point)
        expected = unicodedata.category(letter)[0] in "LZN" or letter in "_.:/=+-@"
        assert bool(pattern.matches(letter)) is expected, hex(point)


@pytest.mark.parametrize("text", ["ä", "٣", "\u00a0"])
def test_letters_digits_and_spaces_of_other_scripts_are_none_for_java(text: str) -> None:
    assert Pattern(r"[\w\d\s]").matches("a")
    assert not Pattern(r"[\w\d\s]").matches(text)


def test_java_pairs_of_surrogates_stand_for_one_character() -> None:
    pattern = Pattern(r"[\uD800\uDC00-\uDBFF\uDFFF]")
    assert pattern.matches("\U0001f511")
    assert not pattern.matches("\ue000")
