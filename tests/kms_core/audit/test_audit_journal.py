"""The journal as it is written: one chain through threads, processes, days and crashes."""

import errno
import hashlib
import json
import multiprocessing
import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kms_core.audit.event import AuditEvent
from kms_core.audit.journal import FileJournal, JournalError, read_events, verify
from kms_core.caller import Caller, CallerKind, RequestFacts

CALLER = Caller("111122223333", "arn:aws:iam::111122223333:user/alice", CallerKind.USER, "AIDAALICE", "AKIA", "alice")
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
DAY = 86_400.0
Open = Callable[[], FileJournal]


def event(name: str = "Encrypt", at: float = NOON) -> AuditEvent:
    facts = RequestFacts(at, "us-east-1", "127.0.0.1", False, "tests", f"request-{name}")
    return AuditEvent("kms.amazonaws.com", name, CALLER, facts, True, event_id=f"event-{name}")


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[Open]:
    opened: list[FileJournal] = []

    def open_one() -> FileJournal:
        opened.append(FileJournal(tmp_path))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


def lines(folder: Path, day: str = "20260101") -> list[bytes]:
    return (folder / f"{day}.jsonl").read_bytes().splitlines(keepends=True)


def names(folder: Path) -> list[object]:
    return [one["eventName"] for one in read_events(folder)]


def test_each_line_names_its_number_and_the_hash_of_the_line_before_it(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    for number in range(5):
        journal.append(event(f"E{number}"))
    before = bytes(32).hex()
    for number, line in enumerate(lines(tmp_path), 1):
        record = json.loads(line)
        assert list(record) == ["seq", "prev", "event"]
        assert (record["seq"], record["prev"]) == (number, before)
        before = hashlib.sha256(line).hexdigest()
    assert names(tmp_path) == [f"E{number}" for number in range(5)]
    assert verify(tmp_path) == 5


def test_what_is_appended_is_with_the_operating_system_when_append_returns(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    for number in range(3):
        journal.append(event(f"E{number}"))
        assert len(lines(tmp_path)) == number + 1


def test_several_events_of_one_append_stand_together_and_in_order(open_journal: Open, tmp_path: Path) -> None:
    one, two = open_journal(), open_journal()
    threads = [
        threading.Thread(target=lambda j=journal: [j.append(event("A"), event("B"), event("C")) for _ in range(20)])
        for journal in (one, two, one)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert names(tmp_path) == ["A", "B", "C"] * 60
    assert verify(tmp_path) == 180


def _append_many(folder: Path, mark: str, count: int) -> None:
    journal = FileJournal(folder)
    for number in range(count):
        journal.append(event(f"{mark}{number}", NOON + DAY * (number // (count // 2))))
    journal.close()


def test_processes_that_write_at_once_make_one_chain_over_two_days(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_append_many, args=(tmp_path, mark, 60)) for mark in "xyz"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert verify(tmp_path) == 180
    for mark in "xyz":
        mine = [name for name in names(tmp_path) if str(name).startswith(mark)]
        assert mine == [f"{mark}{number}" for number in range(60)]
    assert len(lines(tmp_path, "20260102")) >= 90


def test_a_journal_that_is_opened_again_goes_on_with_the_chain(tmp_path: Path) -> None:
    for number in range(4):
        journal = FileJournal(tmp_path)
        journal.append(event(f"E{number}"))
        journal.close()
    assert names(tmp_path) == ["E0", "E1", "E2", "E3"]
    assert verify(tmp_path) == 4


def test_a_new_day_begins_a_new_file_and_goes_on_with_the_chain(open_journal: Open, tmp_path: Path) -> None:
    journal = open_journal()
    for number in range(4):
        journal.append(event(f"E{number}", NOON + number * DAY))
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [f"2026010{n}.jsonl" for n in range(1, 5)]
    assert json.loads(lines(tmp_path, "20260104")[0])["seq"] == 4
    assert verify(tmp_path) == 4


def test_a_call_that_began_yesterday_is_written_today(open_journal: Open, tmp_path: Path) -> None:
    """Files are walked in the order of their names, so an older one never grows again."""
    journal = open_journal()
    journal.append(event("today", NOON + DAY))
    journal.append(event("late", NOON))
    assert not (tmp_path / "20260101.jsonl").exists()
    assert names(tmp_path) == ["today", "late"]
    assert verify(tmp_path) == 2


def test_two_journals_on_one_folder_follow_each_others_days(open_journal: Open, tmp_path: Path) -> None:
    one, two = open_journal(), open_journal()
    one.append(event("a"))
    two.append(event("b", NOON + DAY))
    one.append(event("c", NOON + DAY))
    two.append(event("d", NOON))
    assert names(tmp_path) == ["a", "b", "c", "d"]
    assert verify(tmp_path) == 4


# Crashes


def test_a_torn_last_line_is_dropped_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append(event("kept"))
    journal.close()
    with (tmp_path / "20260101.jsonl").open("ab") as file:
        file.write(b'{"seq":2,"prev":"00')
    journal = FileJournal(tmp_path)
    journal.append(event("next"))
    journal.close()
    assert names(tmp_path) == ["kept", "next"]
    assert verify(tmp_path) == 2


def test_a_whole_line_whose_head_was_not_written_is_taken_up(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append(event("one"))
    head = (tmp_path / "head").read_bytes()
    journal.append(event("two"))
    journal.close()
    (tmp_path / "head").write_bytes(head)  # died between the line and its head
    assert verify(tmp_path) == 2
    journal = FileJournal(tmp_path)
    journal.append(event("three"))
    journal.close()
    assert names(tmp_path) == ["one", "two", "three"]
    assert verify(tmp_path) == 3


@pytest.mark.parametrize("torn", [False, True], ids=["a whole line", "a torn line"])
def test_a_neighbour_that_died_in_the_middle_does_not_stop_the_others(
    open_journal: Open, tmp_path: Path, torn: bool
) -> None:
    journal = open_journal()
    journal.append(event("one"))
    last = hashlib.sha256(lines(tmp_path)[-1]).hexdigest()
    line = json.dumps({"seq": 2, "prev": last, "event": {"eventName": "neighbour"}}).encode() + b"\n"
    with (tmp_path / "20260101.jsonl").open("ab") as file:
        file.write(line[:-9] if torn else line)
    journal.append(event("mine"))
    assert names(tmp_path) == (["one", "mine"] if torn else ["one", "neighbour", "mine"])
    assert verify(tmp_path) == (2 if torn else 3)


@pytest.mark.parametrize("torn", [False, True], ids=["a whole line", "a torn line"])
@pytest.mark.parametrize("reopened", [False, True], ids=["a neighbour died", "this process died"])
def test_a_death_within_the_first_line_of_a_day_does_not_stop_the_journal(
    tmp_path: Path, torn: bool, reopened: bool
) -> None:
    journal = FileJournal(tmp_path)
    journal.append(event("yesterday"))
    last = hashlib.sha256(lines(tmp_path)[-1]).hexdigest()
    line = json.dumps({"seq": 2, "prev": last, "event": {"eventName": "first"}}).encode() + b"\n"
    (tmp_path / "20260102.jsonl").write_bytes(line[:-9] if torn else line)
    if reopened:
        journal.close()
        journal = FileJournal(tmp_path)
    try:
        journal.append(event("second", NOON + DAY))
    finally:
        journal.close()
    assert names(tmp_path) == (["yesterday", "second"] if torn else ["yesterday", "first", "second"])
    assert verify(tmp_path) == (2 if torn else 3)


@pytest.mark.parametrize("reopened", [False, True], ids=["under a running journal", "between two runs"])
@pytest.mark.parametrize("left", [0, 1, 2, None], ids=["all", "two", "one", "the file"])
def test_a_journal_that_lost_lines_goes_on_and_its_gap_is_named(
    tmp_path: Path, left: int | None, reopened: bool
) -> None:
    """A power failure, or somebody's hand: the calls that follow are recorded, and the numbers don't close the gap."""
    journal, path = FileJournal(tmp_path), tmp_path / "20260101.jsonl"
    journal.append(event("E1"))
    journal.append(event("E2"))
    journal.append(event("E3"))
    if reopened:
        journal.close()
    if left is None and reopened:
        path.unlink()
    else:
        os.truncate(path, len(b"".join(lines(tmp_path)[: left or 0])))
    if reopened:
        journal = FileJournal(tmp_path)
    journal.append(event("after"))
    journal.close()
    assert names(tmp_path) == [*["E1", "E2"][: left or 0], "after"]
    with pytest.raises(JournalError, match=f"is record 4, but record {(left or 0) + 1} is due"):
        verify(tmp_path)


def test_an_event_after_a_line_that_was_cut_off_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    """Half a line is what a power failure leaves: it must not take the next event with it."""
    journal = FileJournal(tmp_path)
    journal.append(event("one"))
    os.truncate(tmp_path / "20260101.jsonl", 10)
    journal.append(event("two"))
    journal.close()
    last = lines(tmp_path)[-1]
    assert last.startswith(b'{"seq":2,')
    assert json.loads(last)["event"]["eventName"] == "two"
    with pytest.raises(JournalError, match=r"20260101\.jsonl line 1"):
        verify(tmp_path)


def _fill(folder: Path, pipe: "multiprocessing.connection.Connection") -> None:
    """A process whose files may not grow beyond a few lines: what a full disk looks like."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = FileJournal(folder)
    journal.append(event("fits"))
    size = (folder / "20260101.jsonl").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    try:
        journal.append(event("does not fit"))
    except JournalError as problem:
        cause = problem.__cause__
        pipe.send((str(problem), cause.errno if isinstance(cause, OSError) else None))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.append(event("fits again"))
    journal.close()
    pipe.send("done")


def test_a_full_disk_fails_the_call_and_leaves_no_half_a_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_fill, args=(tmp_path, theirs))
    process.start()
    text, number = ours.recv()
    assert "cannot be written" in text
    assert number in (None, errno.EFBIG, errno.ENOSPC)
    assert ours.recv() == "done"
    process.join(60)
    assert names(tmp_path) == ["fits", "fits again"]
    assert verify(tmp_path) == 2


def test_a_closed_journal_refuses_an_event(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path)
    journal.append(event("one"))
    journal.close()
    with pytest.raises(JournalError):
        journal.append(event("two"))
    assert verify(tmp_path) == 1


def test_only_its_owner_can_read_the_journal(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "audit", "always")
    journal.append(event())
    journal.close()
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "audit").iterdir()} == {0o600}
