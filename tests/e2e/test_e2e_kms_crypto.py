"""Encrypt, Decrypt, ReEncrypt, data keys and random bytes over a real socket: answers, refusals and their words."""

import json
import sqlite3
from typing import Any

import pytest
from testkit.kms_calls import json_call, new_key, post, refused
from testkit.proxy import ALICE, Proxy

CONTEXT = {"purpose": "test", "Ünï": "ç"}
DRY_RUN = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
INVALID = ("InvalidCiphertextException", "")
INCORRECT = (
    "IncorrectKeyException",
    "The key ID in the request does not identify a CMK that can perform this operation.",
)
HIDDEN = (
    "AccessDeniedException",
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
    "or you are not allowed to access.",
)
CONSTRAINT = "1 validation error detected: Value{} at '{}' failed to satisfy constraint: Member must {}"


@pytest.fixture
def kms(proxy: Proxy) -> Any:
    return proxy.client("kms", ALICE)


@pytest.fixture
def key(kms: Any) -> str:
    return new_key(kms)


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def material(kms: Any, key: str) -> str:
    found: str = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    return found


@pytest.mark.parametrize("plaintext", [b"\x00", b"x" * 4096, bytes(range(256))], ids=len)
def test_what_was_encrypted_decrypts_with_exactly_the_members_that_aws_gives(
    kms: Any, key: str, plaintext: bytes
) -> None:
    sealed = plain(kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=CONTEXT))
    blob = sealed.pop("CiphertextBlob")
    assert sealed == {"KeyId": key, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    assert len(blob) == len(plaintext) + 106
    assert plaintext[:16] not in blob or len(plaintext) == 1
    assert plain(kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)) == {
        "KeyId": key,
        "Plaintext": plaintext,
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "KeyMaterialId": material(kms, key),
    }


def test_the_same_plaintext_never_gives_the_same_ciphertext(kms: Any, key: str) -> None:
    assert len({kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"] for _ in range(10)}) == 10


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"purpose": "test"},
        {**CONTEXT, "more": "1"},
        {**CONTEXT, "purpose": "TEST"},
        {"PURPOSE": "test", "Ünï": "ç"},
    ],
)
def test_another_encryption_context_is_an_invalid_ciphertext_without_a_word(
    kms: Any, key: str, context: dict[str, str]
) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    for named in ({}, {"KeyId": key}):
        assert refused(kms.decrypt, CiphertextBlob=blob, EncryptionContext=context, **named) == INVALID
    assert (
        refused(kms.re_encrypt, CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=key) == INVALID
    )


@pytest.mark.parametrize("place", [0, 1, 18, 25, 26, 57, 58, 74, 75, 106])
def test_a_tampered_ciphertext_is_refused_without_a_word(kms: Any, key: str, place: int) -> None:
    blob = bytearray(kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    blob[place] ^= 2
    assert refused(kms.decrypt, CiphertextBlob=bytes(blob), KeyId=key) == INVALID


@pytest.mark.parametrize("blob", [b"x", b"\x01", b"x" * 200, b"\x01\x02" + bytes(200)], ids=len)
def test_bytes_that_are_no_ciphertext_are_refused_without_a_word(kms: Any, blob: bytes) -> None:
    assert refused(kms.decrypt, CiphertextBlob=blob) == INVALID


def test_a_ciphertext_of_a_key_that_does_not_exist_looks_like_one_of_a_foreign_key(kms: Any, key: str) -> None:
    blob = bytearray(kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"])
    blob[2:18] = bytes(16)
    assert refused(kms.decrypt, CiphertextBlob=bytes(blob)) == HIDDEN


def test_a_ciphertext_spliced_under_another_keys_name_does_not_open(kms: Any, key: str) -> None:
    one, two = (bytearray(kms.encrypt(KeyId=k, Plaintext=b"x")["CiphertextBlob"]) for k in (key, new_key(kms)))
    assert refused(kms.decrypt, CiphertextBlob=bytes(two[:18] + one[18:])) == INVALID
    assert refused(kms.decrypt, CiphertextBlob=bytes(two[:26] + one[26:])) == INVALID


def test_naming_the_wrong_key_is_an_incorrect_key(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    other = new_key(kms)
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId=other) == INCORRECT
    assert refused(kms.re_encrypt, CiphertextBlob=blob, SourceKeyId=other, DestinationKeyId=key) == INCORRECT
    assert refused(kms.decrypt, CiphertextBlob=blob, KeyId="fake-key-id")[0] == "NotFoundException"


def test_reencrypt_moves_a_plaintext_to_another_key_and_context(kms: Any, key: str) -> None:
    target = new_key(kms)
    blob = kms.encrypt(KeyId=key, Plaintext=b"the plaintext", EncryptionContext=CONTEXT)["CiphertextBlob"]
    moved = plain(
        kms.re_encrypt(
            CiphertextBlob=blob,
            SourceEncryptionContext=CONTEXT,
            DestinationKeyId=target,
            DestinationEncryptionContext={"new": "context"},
        )
    )
    new = moved.pop("CiphertextBlob")
    assert moved == {
        "SourceKeyId": key,
        "KeyId": target,
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "SourceKeyMaterialId": material(kms, key),
        "DestinationKeyMaterialId": material(kms, target),
    }
    assert kms.decrypt(CiphertextBlob=new, EncryptionContext={"new": "context"})["Plaintext"] == b"the plaintext"
    assert refused(kms.decrypt, CiphertextBlob=new, EncryptionContext=CONTEXT) == INVALID


# Data keys


@pytest.mark.parametrize(
    ("size", "length"),
    [
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"NumberOfBytes": 1}, 1),
        ({"NumberOfBytes": 1024}, 1024),
    ],
    ids=str,
)
def test_a_data_key_comes_in_the_clear_and_wrapped(kms: Any, key: str, size: dict[str, Any], length: int) -> None:
    made = plain(kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **size))
    assert set(made) == {"CiphertextBlob", "Plaintext", "KeyId", "KeyMaterialId"}
    assert (len(made["Plaintext"]), made["KeyId"], made["KeyMaterialId"]) == (length, key, material(kms, key))
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    assert refused(kms.decrypt, CiphertextBlob=made["CiphertextBlob"]) == INVALID


def test_a_data_key_without_plaintext_has_none(kms: Any, key: str) -> None:
    made = plain(kms.generate_data_key_without_plaintext(KeyId=key, KeySpec="AES_256"))
    assert set(made) == {"CiphertextBlob", "KeyId", "KeyMaterialId"}
    assert len(kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"]) == 32


@pytest.mark.parametrize("operation", ["generate_data_key", "generate_data_key_without_plaintext"])
@pytest.mark.parametrize("size", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}], ids=["neither", "both"])
@pytest.mark.parametrize("dry_run", [{}, {"DryRun": True}], ids=["in earnest", "dry"])
def test_a_data_key_needs_exactly_one_word_on_its_size(
    kms: Any, key: str, operation: str, size: dict[str, Any], dry_run: dict[str, bool]
) -> None:
    assert refused(getattr(kms, operation), KeyId=key, **size, **dry_run)[0] == "ValidationException"


@pytest.mark.parametrize("number", [1, 12, 44, 91, 1024])
def test_random_bytes_come_as_many_as_were_asked_for(kms: Any, number: int) -> None:
    answers = [plain(kms.generate_random(NumberOfBytes=number)) for _ in range(2)]
    assert [set(answer) for answer in answers] == [{"Plaintext"}] * 2
    assert len(answers[0]["Plaintext"]) == number
    assert number == 1 or answers[0] != answers[1]


# What the model refuses, in AWS's words (LocalStack's recordings where they have the case)


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("GenerateRandom", {}, "NumberOfBytes is required."),
        (
            "GenerateRandom",
            {"NumberOfBytes": 0},
            CONSTRAINT.format(" '0'", "numberOfBytes", "have value greater than or equal to 1"),
        ),
        (
            "GenerateRandom",
            {"NumberOfBytes": 1025},
            CONSTRAINT.format(" '1025'", "numberOfBytes", "have value less than or equal to 1024"),
        ),
        (
            "Encrypt",
            {"KeyId": "k", "Plaintext": "eHh4" * 1366},
            CONSTRAINT.format("", "plaintext", "have length less than or equal to 4096"),
        ),
        (
            "Encrypt",
            {"KeyId": "k", "Plaintext": ""},
            CONSTRAINT.format("", "plaintext", "have length greater than or equal to 1"),
        ),
        (
            "Decrypt",
            {"CiphertextBlob": "eHh4" * 2049},
            CONSTRAINT.format("", "ciphertextBlob", "have length less than or equal to 6144"),
        ),
        ("DescribeKey", {}, CONSTRAINT.format(" null", "keyId", "not be null")),
        (
            "Encrypt",
            {},
            "2 validation errors detected: "
            "Value null at 'keyId' failed to satisfy constraint: Member must not be null; "
            "Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
        ),
        (
            "GenerateDataKey",
            {"KeyId": "k", "KeySpec": "AES_512"},
            CONSTRAINT.format(" 'AES_512'", "keySpec", "satisfy enum value set: [AES_256, AES_128]"),
        ),
    ],
)
def test_a_value_that_breaks_the_model_is_refused_in_awss_words(
    proxy: Proxy, operation: str, params: dict[str, Any], message: str
) -> None:
    answer = post(proxy, json.dumps(params).encode(), json_call(operation))
    assert (answer.status, answer.json) == (400, {"__type": "ValidationException", "message": message})


def test_an_algorithm_that_the_key_has_not_is_refused(kms: Any, key: str) -> None:
    refusal = (
        "InvalidKeyUsageException",
        "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    )
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    algorithm = "RSAES_OAEP_SHA_256"
    assert refused(kms.encrypt, KeyId=key, Plaintext=b"x", EncryptionAlgorithm=algorithm) == refusal
    assert refused(kms.decrypt, KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm=algorithm)[0] == refusal[0]


def test_a_grant_token_that_no_grant_gave_is_refused(kms: Any, key: str) -> None:
    """KMS API reference, every cryptographic operation: InvalidGrantTokenException."""
    for call, params in (
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.describe_key, {"KeyId": key}),
    ):
        assert refused(call, GrantTokens=["no grant gave this"], **params)[0] == "InvalidGrantTokenException"


# DryRun


def dry_calls(kms: Any, key: str) -> list[tuple[Any, dict[str, Any]]]:
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    return [
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key, "KeySpec": "AES_256"}),
    ]


def test_a_dry_run_that_would_succeed_says_so_and_does_nothing(kms: Any, key: str) -> None:
    for call, params in dry_calls(kms, key):
        assert refused(call, DryRun=True, **params) == DRY_RUN
        call(DryRun=False, **params)


def test_a_dry_run_that_would_fail_fails_as_the_call_would(kms: Any, key: str) -> None:
    calls = dry_calls(kms, key)
    kms.disable_key(KeyId=key)
    for call, params in calls:
        assert refused(call, DryRun=True, **params) == ("DisabledException", f"{key} is disabled.")


# At rest


def test_key_material_lies_only_sealed_in_the_control_database(proxy: Proxy, kms: Any, key: str) -> None:
    """The root key opens the material; neither it nor an access key's secret stands in the database or the journal."""
    kms.encrypt(KeyId=key, Plaintext=b"x")
    raw = sqlite3.connect(f"file:{proxy.data / 'control.sqlite'}?mode=ro", uri=True)
    sealed = raw.execute("SELECT sealed FROM kms_material WHERE key_arn = ?", (key,)).fetchall()
    raw.close()
    assert [len(row[0]) for row in sealed] == [1 + 32 + 32 + 16]
    root = (
        next(path for path in proxy.data.iterdir() if path.is_file() and path.stat().st_size == 65).read_text().strip()
    )
    stored = b"".join(path.read_bytes() for path in proxy.data.rglob("control.sqlite*"))
    assert bytes.fromhex(root) not in stored
    assert root.encode() not in stored
    assert ALICE.secret.encode() not in stored
    assert len(stored) > 10_000
