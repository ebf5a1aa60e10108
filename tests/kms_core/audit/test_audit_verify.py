"""`verify` walks the chain and names the place: for every kind of tampering, in the library and from the command."""

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kms_core.audit.event import AuditEvent
from kms_core.audit.journal import FileJournal, JournalError, verify
from kms_core.caller import Caller, CallerKind, RequestFacts

CALLER = Caller("111122223333", "arn:aws:iam::111122223333:root", CallerKind.ROOT, "111122223333", "AKIA")
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
FIRST, SECOND = "20260101.jsonl", "20260102.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of six events: four on one day, two on the next."""
    journal = FileJournal(tmp_path / "audit")
    for number in range(6):
        facts = RequestFacts(NOON + 86_400 * (number // 4), "us-east-1", "127.0.0.1", True, "tests", str(number))
        journal.append(AuditEvent("kms.amazonaws.com", f"E{number}", CALLER, facts, True))
    journal.close()
    return tmp_path / "audit"


def edit(path: Path, change: Callable[[list[bytes]], object]) -> None:
    """Change a file's lines in place."""
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def swap(lines: list[bytes], one: int, two: int) -> None:
    lines[one], lines[two] = lines[two], lines[one]


def replace(lines: list[bytes], number: int, old: bytes, new: bytes) -> None:
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)


def test_a_journal_that_nobody_touched_verifies(folder: Path) -> None:
    assert verify(folder) == 6


def test_an_empty_journal_verifies(tmp_path: Path) -> None:
    FileJournal(tmp_path).close()
    assert verify(tmp_path) == 0


@pytest.mark.parametrize(
    ("file", "change", "place"),
    [
        (FIRST, lambda lines: replace(lines, 1, b'"E1"', b'"E9"'), f"{FIRST} line 3"),
        (FIRST, lambda lines: replace(lines, 3, b'"E3"', b'"E9"'), f"{SECOND} line 1"),
        (SECOND, lambda lines: replace(lines, 1, b'"E5"', b'"E9"'), "record 6"),
        (FIRST, lambda lines: lines.pop(0), f"{FIRST} line 1"),
        (FIRST, lambda lines: lines.pop(2), f"{FIRST} line 3"),
        (FIRST, lambda lines: lines.pop(3), f"{SECOND} line 1"),
        (SECOND, lambda lines: lines.pop(1), "the end was cut off"),
        (SECOND, lambda lines: lines.clear(), "the end was cut off"),
        (FIRST, lambda lines: swap(lines, 1, 2), f"{FIRST} line 2"),
        (FIRST, lambda lines: lines.insert(2, lines[1]), f"{FIRST} line 3"),
        (SECOND, lambda lines: lines.append(lines[-1]), f"{SECOND} line 3"),
        (FIRST, lambda lines: lines.insert(1, b"\n"), f"{FIRST} line 2"),
        (FIRST, lambda lines: lines.insert(1, b"[]\n"), f"{FIRST} line 2"),
        (FIRST, lambda lines: lines.insert(1, b"null\n"), f"{FIRST} line 2"),
        (FIRST, lambda lines: replace(lines, 1, b'{"seq":2,', b'{"seq":2, '), f"{FIRST} line 3"),
        (FIRST, lambda lines: replace(lines, 1, b'"seq":2', b'"seq":3'), f"{FIRST} line 2"),
        (SECOND, lambda lines: replace(lines, 1, b"}\n", b"}"), "record 6"),
    ],
    ids=[
        "edited in the middle",
        "edited at a day's end",
        "edited at the very end",
        "first removed",
        "one removed",
        "a day's last removed",
        "the last removed",
        "the last day emptied",
        "two swapped",
        "one doubled",
        "the last doubled",
        "an empty line",
        "a list",
        "a null",
        "a space added",
        "a number changed",
        "the last newline removed",
    ],
)
def test_tampering_is_found_and_its_place_is_named(
    folder: Path, file: str, change: Callable[[list[bytes]], object], place: str
) -> None:
    edit(folder / file, change)
    with pytest.raises(JournalError, match=place):
        verify(folder)


def test_a_days_file_removed_or_renamed_is_found(folder: Path) -> None:
    (folder / FIRST).rename(folder / "20260103.jsonl")
    with pytest.raises(JournalError, match=f"{SECOND} line 1"):
        verify(folder)
    (folder / "20260103.jsonl").unlink()
    with pytest.raises(JournalError, match=f"{SECOND} line 1"):
        verify(folder)


@pytest.mark.parametrize(
    "content", [None, b"", b"ssepjrn1", bytes(65), b"ssepjrn2" + bytes(57)], ids=lambda content: repr(content)[:12]
)
def test_a_head_that_is_gone_or_no_head_is_found(folder: Path, content: bytes | None) -> None:
    (folder / "head").unlink()
    if content is not None:
        (folder / "head").write_bytes(content)
    with pytest.raises(JournalError):
        verify(folder)


@pytest.mark.parametrize(("seq", "last"), [(7, None), (6, bytes(32))], ids=["a later record", "another hash"])
def test_a_head_that_does_not_agree_with_the_last_line_is_found(folder: Path, seq: int, last: bytes | None) -> None:
    form = struct.Struct(">8sQQ32s8s")
    magic, _, length, present, day = form.unpack((folder / "head").read_bytes())
    (folder / "head").write_bytes(form.pack(magic, seq, length, present if last is None else last, day))
    with pytest.raises(JournalError, match=f"record {min(seq, 6)}"):
        verify(folder)


def audit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sseproxy", "audit", *words, "--data", str(folder.parent)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_counts_the_records_and_shows_the_events(folder: Path) -> None:
    done = audit(folder, "verify")
    assert (done.returncode, "6" in done.stdout) == (0, True)
    shown = audit(folder, "tail").stdout
    assert [name for name in ("E0", "E3", "E5") if name in shown] == ["E0", "E3", "E5"]


def test_the_command_fails_and_names_the_place(folder: Path) -> None:
    edit(folder / FIRST, lambda lines: replace(lines, 1, b'"E1"', b'"E9"'))
    done = audit(folder, "verify")
    assert done.returncode != 0
    assert f"{FIRST} line 3" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_events_are_read_without_the_chain(folder: Path) -> None:
    """`tail` shows what is there even if it does not verify; a torn last line is left out."""
    with (folder / SECOND).open("ab") as file:
        file.write(json.dumps({"seq": 7}).encode()[:5])
    assert "E5" in audit(folder, "tail").stdout
