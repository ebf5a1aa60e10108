"""Events in CloudTrail's documented shape: golden records for each kind of caller and outcome."""

from dataclasses import replace
from typing import Any

import pytest

from kms_core.audit.event import AuditEvent, Resource, as_cloudtrail, timestamp
from kms_core.caller import ANONYMOUS, Caller, CallerKind, RequestFacts, service_caller

ACCOUNT, OWNER = "111122223333", "444455556666"
ALICE = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", CallerKind.USER, "AIDAALICE", "AKIAALICE", "alice")
ROOT = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", CallerKind.ROOT, ACCOUNT, "AKIAROOT")
FACTS = RequestFacts(1_767_268_800.999, "us-east-1", "192.0.2.7", True, "aws-cli/1.40", "request")
KEY = f"arn:aws:kms:us-east-1:{OWNER}:key/k"

# CloudTrail user guide, "CloudTrail record contents for management, data, and network activity events"
MANDATORY = ("eventTime", "eventVersion", "userIdentity", "eventSource", "eventName", "awsRegion", "sourceIPAddress")
PRESENT = (*MANDATORY, "userAgent", "requestParameters", "responseElements", "eventID", "eventType", "eventCategory")


def record(**changes: Any) -> dict[str, Any]:
    event = AuditEvent("kms.amazonaws.com", "Decrypt", ALICE, FACTS, True, event_id="event")
    return dict(as_cloudtrail(replace(event, **changes)))


def test_a_users_call_has_the_record_that_was_written_down() -> None:
    made = record(
        parameters={"encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        additional={"keyMaterialId": "m"},
        resources=[Resource(OWNER, "AWS::KMS::Key", KEY)],
    )
    assert made == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAALICE",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333",
            "accessKeyId": "AKIAALICE",
            "userName": "alice",
        },
        "eventTime": "2026-01-01T12:00:00Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli/1.40",
        "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT"},
        "responseElements": None,
        "additionalEventData": {"keyMaterialId": "m"},
        "requestID": "request",
        "eventID": "event",
        "readOnly": True,
        "resources": [{"accountId": OWNER, "type": "AWS::KMS::Key", "ARN": KEY}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "eventCategory": "Management",
    }


@pytest.mark.parametrize("caller", [ALICE, ROOT, ANONYMOUS, service_caller("s3.amazonaws.com")])
def test_every_documented_field_is_there_for_every_caller(caller: Caller) -> None:
    assert [name for name in PRESENT if name not in record(caller=caller)] == []


def test_a_root_user_has_no_user_name() -> None:
    identity = record(caller=ROOT)["userIdentity"]
    assert identity == {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:root",
        "accountId": ACCOUNT,
        "accessKeyId": "AKIAROOT",
    }


def test_a_service_is_named_by_what_it_is() -> None:
    identity = record(caller=service_caller("s3.amazonaws.com"))["userIdentity"]
    assert identity == {"type": "AWSService", "invokedBy": "s3.amazonaws.com"}


def test_nobody_is_an_anonymous_account() -> None:
    identity = record(caller=ANONYMOUS)["userIdentity"]
    assert identity == {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}


def test_through_a_service_the_identity_stays_the_users_and_the_address_is_hidden() -> None:
    made = record(facts=replace(FACTS, via_service="s3.us-east-1.amazonaws.com"))
    assert made["userIdentity"]["arn"] == ALICE.arn
    assert made["userIdentity"]["invokedBy"] == made["sourceIPAddress"] == made["userAgent"] == "AWS Internal"


def test_a_failure_has_a_code_and_a_message_and_a_success_has_neither() -> None:
    failed = record(error_code="AccessDenied", error_message="User: x is not authorized")
    assert (failed["errorCode"], failed["errorMessage"]) == ("AccessDenied", "User: x is not authorized")
    assert "errorMessage" not in record(error_code="InvalidCiphertextException")
    assert not {"errorCode", "errorMessage"} & record().keys()


def test_what_there_is_nothing_of_is_left_out_and_parameters_are_null() -> None:
    made = record()
    assert (made["requestParameters"], made["responseElements"]) == (None, None)
    assert not {"additionalEventData", "resources"} & made.keys()


def test_a_data_event_is_no_management_event() -> None:
    made = record(management=False)
    assert (made["managementEvent"], made["eventCategory"]) == (False, "Data")


def test_the_recipient_may_be_another_account_than_the_callers() -> None:
    assert record(recipient=OWNER)["recipientAccountId"] == OWNER


def test_every_event_has_an_id_of_its_own() -> None:
    events = [AuditEvent("kms.amazonaws.com", "Decrypt", ALICE, FACTS, True) for _ in range(2)]
    assert len({as_cloudtrail(event)["eventID"] for event in events}) == 2


@pytest.mark.parametrize(
    ("at", "text"), [(0.0, "1970-01-01T00:00:00Z"), (951_782_400.5, "2000-02-29T00:00:00Z"), (0.999, timestamp(0))]
)
def test_times_are_utc_to_the_second(at: float, text: str) -> None:
    assert timestamp(at) == text
