"""Attacks on what the key service hands out: ciphertext blobs edited, renamed and put into other contexts."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from attacks.collisions import collide
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.proxy import ALICE, OTHER_ROOT, ROOT, Proxy

from kms_core.crypto.blob import open_blob, seal_blob
from kms_core.crypto.secret import Secret
from kms_core.errors import InvalidCiphertext

TEXT = b"a secret of 27 bytes or so"
CONTEXT = {"tenant": "a", "purpose": "payroll"}
ID, MATERIAL, SALT, BODY = slice(2, 18), slice(18, 26), slice(26, 58), slice(58, -48)


@pytest.fixture(scope="module")
def kms(proxy: Proxy) -> Any:
    """The key service, for somebody who may use every key of the account."""
    return proxy.client("kms", ALICE)


@pytest.fixture(scope="module")
def key(kms: Any) -> str:
    """A key's id."""
    return str(kms.create_key()["KeyMetadata"]["KeyId"])


@pytest.fixture(scope="module")
def blob(kms: Any, key: str) -> bytes:
    """A ciphertext that opens."""
    made = bytes(kms.encrypt(KeyId=key, Plaintext=TEXT, EncryptionContext=CONTEXT)["CiphertextBlob"])
    assert kms.decrypt(CiphertextBlob=made, EncryptionContext=CONTEXT)["Plaintext"] == TEXT
    return made


def refusal(call: Callable[..., Any], **named: Any) -> tuple[str, str]:
    """Code and message of a call that must fail with 400."""
    with pytest.raises(ClientError) as caught:
        call(**named)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return response["Error"]["Code"], response["Error"].get("Message", "")


def replaced(data: bytes, where: slice, value: bytes) -> bytes:
    """The same bytes with a field replaced."""
    edited = bytearray(data)
    assert len(edited[where]) == len(value)
    edited[where] = value
    return bytes(edited)


def test_a_blob_that_names_another_key_is_refused(kms: Any, key: str, blob: bytes) -> None:
    """Attack 52: by InvalidCiphertext if the key is found by the blob, by IncorrectKey if the request names one."""
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    edited = replaced(blob, ID, uuid.UUID(other).bytes)
    assert refusal(kms.decrypt, CiphertextBlob=edited, EncryptionContext=CONTEXT)[0] == "InvalidCiphertextException"
    named = {"CiphertextBlob": edited, "EncryptionContext": CONTEXT}
    assert refusal(kms.decrypt, **named, KeyId=other)[0] == "InvalidCiphertextException"
    assert refusal(kms.decrypt, **named, KeyId=key)[0] == "IncorrectKeyException"
    assert (
        refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=other)[0] == "IncorrectKeyException"
    )
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, KeyId=key)["Plaintext"] == TEXT


def test_a_blob_that_names_another_material_is_refused(kms: Any, blob: bytes) -> None:
    """Attack 52: one that the key has not, and one of another key."""
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    theirs = kms.encrypt(KeyId=other, Plaintext=TEXT, EncryptionContext=CONTEXT)["CiphertextBlob"]
    for material in (bytes(8), b"\xff" * 8, theirs[MATERIAL]):
        edited = replaced(blob, MATERIAL, material)
        assert refusal(kms.decrypt, CiphertextBlob=edited, EncryptionContext=CONTEXT)[0] == "InvalidCiphertextException"
    both = replaced(replaced(blob, MATERIAL, theirs[MATERIAL]), ID, theirs[ID])
    assert refusal(kms.decrypt, CiphertextBlob=both, EncryptionContext=CONTEXT)[0] == "InvalidCiphertextException"
    assert kms.decrypt(CiphertextBlob=theirs, EncryptionContext=CONTEXT)["Plaintext"] == TEXT


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"tenant": "a"},
        {"tenant": "b", "purpose": "payroll"},
        {"Tenant": "a", "purpose": "payroll"},
        {"tenant": "a", "purpose": "payroll", "more": ""},
        {"tenant": "apurpose", "": "payroll"},
        {"tenantap": "urpose", "payrol": "l"},
        {"tenant": "payroll", "purpose": "a"},
        {"tenant": "a ", "purpose": "payroll"},
    ],
    ids=repr,
)
def test_a_blob_in_another_context_is_refused(kms: Any, key: str, blob: bytes, context: dict[str, str]) -> None:
    """Attacks 19 and 52, for Decrypt and ReEncrypt. The order of the pairs is no part of the context."""
    assert refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=context)[0].startswith(("Invalid", "Validation"))
    moved = {"CiphertextBlob": blob, "DestinationKeyId": key}
    assert refusal(kms.re_encrypt, **moved, SourceEncryptionContext=context)[0].startswith(("Invalid", "Validation"))
    turned = dict(reversed(CONTEXT.items()))
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=turned)["Plaintext"] == TEXT


def test_a_data_key_of_one_object_opens_for_no_other(kms: Any, key: str) -> None:
    """Attack 19, as S3 uses it: the object's ARN is the context."""
    arns = ["arn:aws:s3:::b/a", "arn:aws:s3:::b/b", "arn:aws:s3:::b"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"aws:s3:arn": arns[0]})
    for arn in arns[1:]:
        named = {"CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": {"aws:s3:arn": arn}}
        assert refusal(kms.decrypt, **named)[0] == "InvalidCiphertextException"
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"aws:s3:arn": arns[0]})
    assert opened["Plaintext"] == made["Plaintext"]


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 131), bits=st.integers(1, 255))
def test_any_edited_byte_of_a_blob_is_refused(kms: Any, blob: bytes, at: int, bits: int) -> None:
    """Attack 52, wherever the edit is; and the answer has no hint of what was wrong."""
    at %= len(blob)
    edited = blob[:at] + bytes((blob[at] ^ bits,)) + blob[at + 1 :]
    code, message = refusal(kms.decrypt, CiphertextBlob=edited, EncryptionContext=CONTEXT)
    if (at, bits) == (
        1,
        1,
    ) or ID.start <= at < ID.stop:  # a key that is not there: the same words as for another account's
        assert code == "AccessDeniedException"
        assert message.startswith("The ciphertext refers to a customer master key that does not exist")
    else:
        assert (code, message) in (("InvalidCiphertextException", ""), ("InvalidCiphertextException", "None"))


@pytest.mark.parametrize("length", [0, 1, 57, 58, 105, 106, 130])
def test_a_blob_cut_or_lengthened_is_refused(kms: Any, blob: bytes, length: int) -> None:
    """Attack 52."""
    # what shifts the key's id names a key that is not there
    codes = ("InvalidCiphertextException", "ValidationException", "AccessDeniedException")
    for edited in (blob[:length] or b"\0", blob[:length] + blob[length + 1 :], blob[:length] + b"\0" + blob[length:]):
        assert refusal(kms.decrypt, CiphertextBlob=edited, EncryptionContext=CONTEXT)[0] in codes
    assert refusal(kms.decrypt, CiphertextBlob=blob + b"\0", EncryptionContext=CONTEXT)[0] in codes


def test_two_blobs_of_one_plaintext_share_nothing(kms: Any, key: str, blob: bytes) -> None:
    """What 52 rests on: a salt, and so a key, for each blob; halves of two blobs make none."""
    other = kms.encrypt(KeyId=key, Plaintext=TEXT, EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert other[SALT] != blob[SALT]
    assert other[BODY] != blob[BODY]
    for field in (SALT, BODY, slice(-48, -32), slice(-32, None)):
        edited = replaced(blob, field, other[field])
        assert refusal(kms.decrypt, CiphertextBlob=edited, EncryptionContext=CONTEXT)[0] == "InvalidCiphertextException"


def test_a_blob_that_gcm_opens_under_two_materials_is_refused_for_one_of_them() -> None:
    """Attack 18 at the key service: the commitment is compared before anything is opened."""
    materials = [Secret(bytes((seed,)) * 32) for seed in (1, 2)]
    draft = seal_blob(
        key_id=str(uuid.UUID(int=7)),
        material_id="ab" * 32,
        material=materials[0],
        context=b"",
        plaintext=Secret(bytes(32)),
        salt=bytes(range(32)),
    )
    head = draft[: SALT.stop]
    derived = [HKDF(SHA256(), 64, head[SALT], b"ssep/kms/v1").derive(one.reveal()) for one in materials]
    body = collide((derived[0][:32], derived[1][:32]), bytes(12), head, blocks=2)
    plaintexts = [AESGCM(one[:32]).decrypt(bytes(12), body, head) for one in derived]
    assert plaintexts[0] != plaintexts[1], "AES-GCM alone opens it under both"
    for mine, other in ((0, 1), (1, 0)):
        forged = head + body + derived[mine][32:]
        assert open_blob(forged, material=materials[mine], context=b"").reveal() == plaintexts[mine]
        with pytest.raises(InvalidCiphertext):
            open_blob(forged, material=materials[other], context=b"")


def test_a_blob_of_another_account_looks_like_one_of_a_key_that_is_not_there(
    proxy: Proxy, kms: Any, blob: bytes
) -> None:
    """Attacks 32 and 52: a stranger learns nothing from trying."""
    stranger = proxy.client("kms", OTHER_ROOT)
    absent = replaced(blob, ID, uuid.uuid4().bytes)
    told = [refusal(stranger.decrypt, CiphertextBlob=one, EncryptionContext=CONTEXT) for one in (blob, absent)]
    assert told[0] == told[1]
    assert told[0][0] == "AccessDeniedException"
    assert proxy.client("kms", ROOT).decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == TEXT
