"""AWS JSON 1.1 at its edges: bodies that are no JSON, hostile bodies, errors, results that break the model."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore import parsers
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_core.errors import (
    AccessDenied,
    AwsError,
    InternalError,
    InvalidCiphertext,
    NotFound,
    SerializationException,
    ValidationException,
)
from kms_core.wire import json11
from kms_core.wire.shapes import load_service

KMS = load_service("kms")
DESCRIBE = KMS.operations["DescribeKey"]
ENCRYPT = KMS.operations["Encrypt"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
NOTHING: Any = None
MEMBERS = [member.name for member in KMS.operations["CreateGrant"].input.members] + ["Other"]


def nested(depth: int) -> bytes:
    """A body `depth` levels deep, in a member that nobody reads."""
    return b'{"KeyId":"k","Other":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"KeyId":"k"',
        b'{"KeyId":"k"}}',
        b"KeyId=k",
        b"{'KeyId':'k'}",
        b'{"KeyId":"k\n"}',
        b'{"KeyId":NaN}',
        b'{"KeyId":"k","Other":Infinity}',
        b'{"KeyId":"\xff"}',
        b'{"KeyId":"\xed\xa0\x80"}',
        b'\xef\xbb\xbf{"KeyId":"k"}',
        '{"KeyId":"k"}'.encode("utf-16"),
        b'{"KeyId":"k","Other":' + b"1" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_is_refused_without_a_message(body: bytes) -> None:
    with pytest.raises(SerializationException) as caught:
        json11.parse(body, DESCRIBE)
    assert caught.value.message is None


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "Start of list found where not expected"),
        (b'"KeyId"', "Expected null"),
        (b"null", "Expected null"),
        (b"1", "Expected null"),
    ],
)
def test_a_body_that_is_no_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(SerializationException) as caught:
        json11.parse(body, DESCRIBE)
    assert caught.value.message == message


def test_of_duplicate_names_the_last_one_counts() -> None:
    assert json11.parse(b' {"KeyId":"a","KeyId":"b"} ', DESCRIBE) == {"KeyId": "b"}


def test_text_beyond_ascii_arrives_whole() -> None:
    assert json11.parse('{"KeyId":"ключ \\ud83d\\udd11 🔑"}'.encode(), DESCRIBE) == {"KeyId": "ключ 🔑 🔑"}


def test_a_body_as_deep_as_allowed_is_read_and_a_deeper_one_refused() -> None:
    assert json11.parse(nested(json11.MAX_DEPTH), DESCRIBE) == {"KeyId": "k"}
    with pytest.raises(SerializationException):
        json11.parse(nested(json11.MAX_DEPTH + 1), DESCRIBE)
    with pytest.raises(SerializationException):
        json11.parse(nested(100_000), DESCRIBE)


def test_brackets_inside_strings_and_in_a_row_are_not_depth() -> None:
    context = {"[{" * 100 + '"\\': "[" * 100}
    body = json.dumps({"KeyId": "k", "Plaintext": "QQ==", "EncryptionContext": context, "Other": [[], {}] * 50})
    assert json11.parse(body.encode(), ENCRYPT)["EncryptionContext"] == context


def test_an_unfinished_string_of_escapes_is_refused() -> None:
    with pytest.raises(SerializationException):
        json11.parse(b'{"KeyId":"' + b"[" * 40 + b'\\"' * 500_000, DESCRIBE)


@settings(deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_at_all_is_read_or_refused(body: bytes) -> None:
    try:
        json11.parse(body, KMS.operations["GenerateRandom"])
    except (SerializationException, ValidationException) as error:
        json.loads(json11.render_error(error))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_any_members_at_all_are_read_or_refused(params: dict[str, Any]) -> None:
    try:
        json11.parse(json.dumps(params).encode(), KMS.operations["CreateGrant"])
    except (SerializationException, ValidationException) as error:
        json.loads(json11.render_error(error))


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (NotFound("Invalid keyId 'x'"), {"__type": "NotFoundException", "message": "Invalid keyId 'x'"}),
        (ValidationException("bad \ud800"), {"__type": "ValidationException", "message": "bad \ud800"}),
        (AccessDenied("no"), {"__type": "AccessDeniedException", "Message": "no"}),
        (SerializationException("odd"), {"__type": "SerializationException", "Message": "odd"}),
        (SerializationException(), {"__type": "SerializationException"}),
        (InvalidCiphertext(), {"__type": "InvalidCiphertextException"}),
        (InternalError("kms_core.secret_room: broke"), {"__type": "KMSInternalException"}),
    ],
)
def test_an_error_is_what_botocore_reads(error: AwsError, body: dict[str, str]) -> None:
    rendered = json11.render_error(error)
    assert json.loads(rendered) == body
    response = {"status_code": error.status, "headers": {}, "body": rendered}
    parsed = parsers.create_parser("json").parse(response, NOTHING)["Error"]
    assert parsed == {"Code": error.code, "Message": body.get("message", body.get("Message", ""))}


def test_none_is_left_out_of_a_result() -> None:
    output = {"Plaintext": b"x", "KeyId": "k", "EncryptionAlgorithm": None}
    assert json11.render(KMS.operations["Decrypt"], output) == b'{"KeyId":"k","Plaintext":"eA=="}'


def test_an_operation_without_a_result_answers_an_empty_body() -> None:
    assert json11.render(KMS.operations["EnableKey"], {}) == b""


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("EnableKey", {"KeyId": "k"}),
        ("Decrypt", {"Other": 1}),
        ("Decrypt", {"Other": None}),
        ("Decrypt", {"KeyId": b"k"}),
        ("Decrypt", {"Plaintext": "x"}),
        ("ListKeys", {"Truncated": 1}),
        ("ListKeys", {"Keys": {}}),
        ("ListKeys", {"Keys": [{"Other": "x"}]}),
        ("ListKeys", {"Keys": [SimpleNamespace(KeyId="k")]}),
        ("GetKeyRotationStatus", {"RotationPeriodInDays": True}),
        ("GetKeyRotationStatus", {"NextRotationDate": "tomorrow"}),
    ],
)
def test_a_result_that_breaks_the_model_is_an_internal_error(name: str, output: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match=r"kms_core\.wire"):
        json11.render(KMS.operations[name], output)
