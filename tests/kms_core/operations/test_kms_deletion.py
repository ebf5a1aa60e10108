"""What time does to a key that waits for its deletion. `Kms.call` is handed the time, so a test is the clock."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from kms_core.audit.journal import FileJournal, JournalError, read_events
from kms_core.caller import Caller, CallerKind, RequestFacts
from kms_core.crypto.root import HeldRoot
from kms_core.crypto.secret import Secret
from kms_core.errors import AccessDenied, AwsError, InvalidState, NotFound, ServiceUnavailable
from kms_core.keystore import schema
from kms_core.keystore.sql import SqliteDatabase, sqlite_engine
from kms_core.keystore.topics import ACCOUNTS, KEYS, TOPICS
from kms_core.keystore.upgrade import KMS_CORE, upgrade
from kms_core.service import Kms

ACCOUNT, DAY, NOW = "111122223333", 86_400.0, 1_767_268_800.0
ROOT = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", CallerKind.ROOT, ACCOUNT, "AKIA")
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    engine = sqlite_engine(tmp_path / "control.sqlite", writing=True)
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
    engine.dispose()
    made = SqliteDatabase(tmp_path / "control.sqlite", TOPICS)
    with made.begin() as transaction:
        transaction.connection.execute(insert(schema.account).values(id=ACCOUNT, name="main", created=NOW))
        transaction.changed(ACCOUNTS, ACCOUNT)
    yield made
    made.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FileJournal]:
    made = FileJournal(tmp_path / "audit")
    yield made
    with suppress(OSError):  # some tests have closed it already
        made.close()


@pytest.fixture
def call(database: SqliteDatabase, journal: FileJournal) -> Call:
    kms = Kms(database, HeldRoot(Secret(bytes(32))), journal)

    def ask(name: str, at: float = NOW, region: str = "us-east-1", /, **params: object) -> dict[str, Any]:
        facts = RequestFacts(at, region, "127.0.0.1", True, "tests", "request")
        return dict(kms.call("kms", name, params, ROOT, facts))

    return ask


@pytest.fixture
def doomed(call: Call) -> str:
    """A key with an alias, to be deleted seven days from now."""
    key: str = call("CreateKey")["KeyMetadata"]["Arn"]
    call("CreateAlias", AliasName="alias/doomed", TargetKeyId=key)
    call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    return key


def test_until_the_date_the_key_is_described_listed_and_can_be_called_back(call: Call, doomed: str) -> None:
    last = NOW + 7 * DAY - 1
    metadata = call("DescribeKey", last, KeyId=doomed)["KeyMetadata"]
    assert (metadata["KeyState"], metadata["DeletionDate"]) == ("PendingDeletion", NOW + 7 * DAY)
    assert [row["KeyArn"] for row in call("ListKeys", last)["Keys"]] == [doomed]
    call("CancelKeyDeletion", last, KeyId=doomed)
    after = call("DescribeKey", NOW + 8 * DAY, KeyId=doomed)["KeyMetadata"]
    assert (after["KeyState"], "DeletionDate" in after) == ("Disabled", False)


@pytest.mark.parametrize("late", [0.0, 1.0, 365 * DAY])
@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("DescribeKey", {}),
        ("CancelKeyDeletion", {}),
        ("EnableKey", {}),
        ("Encrypt", {"Plaintext": b"x"}),
        ("GetKeyPolicy", {}),
        ("ListResourceTags", {}),
    ],
)
def test_from_the_date_on_there_is_no_such_key(
    call: Call, doomed: str, operation: str, params: dict[str, object], late: float
) -> None:
    with pytest.raises(NotFound) as refusal:
        call(operation, NOW + 7 * DAY + late, KeyId=doomed, **params)
    assert refusal.value.message == f"Key '{doomed}' does not exist"
    assert call("ListKeys", NOW + 7 * DAY + late)["Keys"] == []


def test_from_the_date_on_nothing_that_it_encrypted_opens(call: Call) -> None:
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    blob = call("Encrypt", KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    call("ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
    with pytest.raises(InvalidState):
        call("Decrypt", NOW + 7 * DAY - 1, CiphertextBlob=blob)
    with pytest.raises(AccessDenied, match="does not exist"):
        call("Decrypt", NOW + 7 * DAY, CiphertextBlob=blob)


def test_from_the_date_on_the_alias_leads_nowhere(call: Call, doomed: str) -> None:
    with pytest.raises(NotFound, match="alias/doomed is not found"):
        call("DescribeKey", NOW + 7 * DAY, KeyId="alias/doomed")


def test_a_deleted_keys_alias_is_deleted_with_it(call: Call, doomed: str) -> None:
    """KMS developer guide, "Delete an alias": deleting a KMS key deletes all aliases associated with it."""
    later = NOW + 8 * DAY
    assert call("ListAliases", later)["Aliases"] == []
    key = call("CreateKey", later)["KeyMetadata"]["Arn"]
    call("CreateAlias", later, AliasName="alias/doomed", TargetKeyId=key)
    assert call("DescribeKey", later, KeyId="alias/doomed")["KeyMetadata"]["Arn"] == key


@pytest.mark.parametrize(
    ("given", "days"), [({}, 30), ({"PendingWindowInDays": 7}, 7), ({"PendingWindowInDays": 30}, 30)]
)
def test_the_window_is_thirty_days_unless_the_caller_says_otherwise(
    call: Call, given: dict[str, object], days: int
) -> None:
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    answer = call("ScheduleKeyDeletion", NOW + 5, KeyId=key, **given)
    assert answer == {
        "KeyId": key,
        "DeletionDate": NOW + 5 + days * DAY,
        "KeyState": "PendingDeletion",
        "PendingWindowInDays": days,
    }


def test_a_key_belongs_to_its_region(call: Call, doomed: str) -> None:
    with pytest.raises(NotFound, match="Invalid arn us-east-1"):
        call("DescribeKey", NOW, "eu-west-1", KeyId=doomed)
    with pytest.raises(NotFound, match="arn:aws:kms:eu-west-1"):
        call("DescribeKey", NOW, "eu-west-1", KeyId=doomed.rpartition("/")[2])
    assert call("ListKeys", NOW, "eu-west-1")["Keys"] == []


# The event before the effect


def test_a_write_whose_event_cannot_be_written_does_not_happen(
    call: Call, journal: FileJournal, database: SqliteDatabase, doomed: str
) -> None:
    before = dict(database.snapshot().all(KEYS))
    journal.close()
    for name, params in (
        ("CreateKey", {}),
        ("CancelKeyDeletion", {"KeyId": doomed}),
        ("TagResource", {"KeyId": doomed, "Tags": []}),
        ("DeleteAlias", {"AliasName": "alias/doomed"}),
    ):
        with pytest.raises(ServiceUnavailable):
            call(name, **params)
    assert dict(database.snapshot().all(KEYS)) == before


def test_a_read_whose_event_cannot_be_written_hands_nothing_out(call: Call, journal: FileJournal) -> None:
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    journal.close()
    with pytest.raises(ServiceUnavailable) as refusal:
        call("GenerateDataKey", KeyId=key, KeySpec="AES_256")
    assert isinstance(refusal.value.__cause__, JournalError)


def test_an_impossible_state_is_an_internal_error_and_an_event(
    call: Call, database: SqliteDatabase, tmp_path: Path
) -> None:
    """Key material that does not open under the root: the caller learns nothing, the journal has the call."""
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    with database.begin() as transaction:
        transaction.connection.execute(schema.material.update().values(sealed=b"\x01" + bytes(80)))
        transaction.changed(KEYS, key)
    with pytest.raises(AwsError) as refusal:
        call("Encrypt", KeyId=key, Plaintext=b"the plaintext")
    assert (refusal.value.code, refusal.value.status) == ("KMSInternalException", 500)
    last = list(read_events(tmp_path / "audit"))[-1]
    assert (last["eventName"], last["errorCode"]) == ("Encrypt", "KMSInternalException")


def test_a_database_that_cannot_be_written_is_an_aws_error_with_an_event(
    call: Call, database: SqliteDatabase, tmp_path: Path
) -> None:
    """`Kms.call` promises an AwsError and nothing else."""
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    with database.begin() as transaction:
        transaction.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON change BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(AwsError):
        call("DisableKey", KeyId=key)
    last = list(read_events(tmp_path / "audit"))[-1]
    assert (last["eventName"], "errorCode" in last) == ("DisableKey", True)
    assert call("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"


def test_a_commit_that_fails_is_an_aws_error_and_corrects_its_event(
    call: Call, database: SqliteDatabase, tmp_path: Path
) -> None:
    """The event of a write is in the journal before its commit; if that fails, a second record says so."""
    key = call("CreateKey")["KeyMetadata"]["Arn"]
    with database.begin() as transaction:
        connection = transaction.connection
        connection.exec_driver_sql(
            "CREATE TABLE late (id INTEGER REFERENCES kms_key (arn) DEFERRABLE INITIALLY DEFERRED)"
        )
        connection.exec_driver_sql("CREATE TRIGGER late AFTER INSERT ON change BEGIN INSERT INTO late VALUES (1); END")
    with pytest.raises(AwsError):
        call("DisableKey", KeyId=key)
    events = [event for event in read_events(tmp_path / "audit") if event["eventName"] == "DisableKey"]
    assert "errorCode" in events[-1]
    assert call("DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
