"""The Query protocol at its edges: malformed names, errors, text that XML cannot hold."""

from typing import Any

import pytest
from botocore import parsers
from defusedxml import ElementTree
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_core.errors import (
    AccessDenied,
    AwsError,
    InternalError,
    SerializationException,
    ServiceUnavailable,
    ValidationException,
)
from kms_core.wire import query
from kms_core.wire.shapes import load_service

STS = load_service("sts")
IAM = load_service("iam")
ROLE = [("RoleArn", "arn:aws:iam::111122223333:role/r"), ("RoleSessionName", "me")]
POLICY = [("PolicyArn", "arn:aws:iam::111122223333:policy/p"), ("PolicyDocument", "{}")]
ASSUME = STS.operations["AssumeRole"]

NOTHING: Any = None
NAMES = st.lists(
    st.sampled_from(["Tags", "member", "entry", "1", "2", "01", "Key", "Value", "RoleArn", ""]), max_size=6
)
FORMS = st.lists(st.tuples(NAMES.map(".".join), st.text(max_size=5)), max_size=6)


def tag(number: int | str, key: str = "k") -> list[tuple[str, str]]:
    return [(f"Tags.member.{number}.Key", key), (f"Tags.member.{number}.Value", "v")]


def test_a_form_becomes_typed_parameters() -> None:
    form = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("X-Amz-Date", "20300101T000000Z"),
        *tag(2, "second"),
        *ROLE,
        ("DurationSeconds", "3600"),
        *tag(1, "first"),
        ("TransitiveTagKeys", ""),
    ]
    assert query.parse(form, ASSUME) == {
        "RoleArn": "arn:aws:iam::111122223333:role/r",
        "RoleSessionName": "me",
        "DurationSeconds": 3600,
        "Tags": [{"Key": "first", "Value": "v"}, {"Key": "second", "Value": "v"}],
        "TransitiveTagKeys": [],
    }


def test_the_eleventh_item_comes_after_the_second() -> None:
    form = [pair for number in range(1, 12) for pair in tag(number, f"k{number}")]
    tags = query.parse([*ROLE, *form], ASSUME)["Tags"]
    assert tags == [{"Key": f"k{number}", "Value": "v"} for number in range(1, 12)]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("false", False)])
def test_a_boolean_is_true_or_false(text: str, value: bool) -> None:
    assert (
        query.parse([("SetAsDefault", text), *POLICY], IAM.operations["CreatePolicyVersion"])["SetAsDefault"] is value
    )


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("a gap", tag(2)),
        ("a zero", tag(0)),
        ("a leading zero", [*tag("01")]),
        ("a number twice", [*tag(1), *tag("01")]),
        ("a digit of another script", tag("١")),
        ("no number", [("Tags.member.Key", "k")]),
        ("a list without its word", [("Tags.1.Key", "k"), ("Tags.1.Value", "v")]),
        ("a list with a word beside it", [*tag(1), ("Tags.other.1.Key", "k")]),
        ("a list that is text", [("Tags", "k=v")]),
        ("an item that is text", [("Tags.member.1", "k")]),
        ("an item that is text and a container", [*tag(1), ("Tags.member.1", "k")]),
        ("a container that is text too", [("Tags", ""), *tag(1)]),
        ("a name twice", [("RoleArn", "arn:aws:iam::111122223333:role/other")]),
        ("text that is a container", [("ExternalId.x", "e")]),
        ("a number that is a word", [("DurationSeconds", "3600s")]),
        ("a number that is empty", [("DurationSeconds", "")]),
        ("a number with a space", [("DurationSeconds", " 3600")]),
        ("a number with an underscore", [("DurationSeconds", "3_600")]),
        ("a number that is a fraction", [("DurationSeconds", "3600.0")]),
        ("a number with digits of another script", [("DurationSeconds", "٣٦٠٠")]),
        ("a number that is too long", [("DurationSeconds", "9" * 20)]),
        ("a name that is too deep", [(".".join("x" * 18), "y")]),
        ("a name of dots", [("." * 100_000, "y")]),
    ],
)
def test_a_malformed_form_is_refused(name: str, extra: list[tuple[str, str]]) -> None:
    assert query.parse(ROLE, ASSUME)
    with pytest.raises(SerializationException):
        query.parse([*ROLE, *extra], ASSUME)


@pytest.mark.parametrize("text", ["True", "1", "yes", ""])
def test_a_word_that_is_no_boolean_is_refused(text: str) -> None:
    with pytest.raises(SerializationException):
        query.parse([("SetAsDefault", text), *POLICY], IAM.operations["CreatePolicyVersion"])


@pytest.mark.parametrize(
    "entry",
    [
        [("Properties.entry.1.key", "k")],
        [("Properties.entry.1.value", "v")],
        [("Properties.entry.1", "v")],
        [("Properties.entry.1.key.x", "k"), ("Properties.entry.1.value", "v")],
        [("Properties.entry.1.key", "k"), ("Properties.entry.1.value", "v"), ("Properties.entry.1.x", "y")],
        [("Properties.1.key", "k"), ("Properties.1.value", "v")],
    ],
)
def test_a_map_entry_that_is_no_key_and_value_is_refused(entry: list[tuple[str, str]]) -> None:
    operation = IAM.operations["PutAccountProperties"]
    good = [("Properties.entry.1.key", "k"), ("Properties.entry.1.value", "v")]
    assert query.parse(good, operation) == {"Properties": {"k": "v"}}
    with pytest.raises(SerializationException):
        query.parse(entry, operation)


def test_a_broken_constraint_is_told_as_in_json() -> None:
    with pytest.raises(ValidationException) as caught:
        query.parse(ROLE[1:], ASSUME)
    assert caught.value.message == (
        "1 validation error detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null"
    )


@settings(deadline=None)
@given(FORMS)
def test_any_form_at_all_is_read_or_refused(form: list[tuple[str, str]]) -> None:
    try:
        query.parse(form, ASSUME)
    except (SerializationException, ValidationException) as error:
        ElementTree.fromstring(query.render_error(STS, error, "r"))


@pytest.mark.parametrize(
    ("error", "fault", "code"),
    [
        (ValidationException("a < b & c"), "Sender", "ValidationError"),
        (AccessDenied("no"), "Sender", "AccessDenied"),
        (SerializationException("odd"), "Sender", "MalformedInput"),
        (SerializationException(), "Sender", "MalformedInput"),
        (ServiceUnavailable("later"), "Receiver", "ServiceUnavailable"),
    ],
)
def test_an_error_is_what_botocore_reads(error: AwsError, fault: str, code: str) -> None:
    body = query.render_error(STS, error, "request-1")
    response = {"status_code": error.status, "headers": {}, "body": body}
    parsed = parsers.create_parser("query").parse(response, NOTHING)
    told = {} if error.message is None else {"Message": error.message}
    assert parsed["Error"] == {"Type": fault, "Code": code, **told}
    assert parsed["ResponseMetadata"]["RequestId"] == "request-1"
    assert ElementTree.fromstring(body).tag == "{https://sts.amazonaws.com/doc/2011-06-15/}ErrorResponse"


def test_what_an_internal_error_says_stays_inside() -> None:
    body = query.render_error(STS, InternalError("kms_core.secret_room: broke"), "r")
    assert b"secret_room" not in body
    assert b"<Type>Receiver</Type><Code>InternalFailure</Code>" in body


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_survives_xml_but_for_what_xml_cannot_hold(text: str) -> None:
    body = query.render(STS, STS.operations["GetCallerIdentity"], {"UserId": text}, "r")
    found = ElementTree.fromstring(body).findtext(".//{*}UserId") or ""
    allowed = "".join(
        letter
        if letter in "\t\n\r" or " " <= letter <= "\ud7ff" or "\ue000" <= letter <= "\ufffd" or letter > "\uffff"
        else "\ufffd"
        for letter in text
    )
    assert found == allowed


def test_an_operation_without_a_result_answers_its_metadata_only() -> None:
    body = query.render(IAM, IAM.operations["DeleteUser"], {}, "r")
    assert body == (
        b'<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DeleteUserResponse>"
    )


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("DeleteUser", {"UserName": "x"}),
        ("GetUser", {"Other": "x"}),
        ("GetUser", {"User": {"Other": "x"}}),
        ("GetUser", {"User": {"UserName": 1}}),
        ("GetUser", {"User": {"CreateDate": "today"}}),
    ],
)
def test_a_result_that_breaks_the_model_is_an_internal_error(name: str, output: dict[str, Any]) -> None:
    with pytest.raises(InternalError, match=r"kms_core\.wire"):
        query.render(IAM, IAM.operations[name], output, "r")
