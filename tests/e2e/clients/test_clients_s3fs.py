"""s3fs, fsspec's S3 file system (what pandas and Dask open s3:// with), on the botocore it insists on."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Served
from testkit.clients import LARGE, S3fs, contents, s3fs, sha256, sizes
from testkit.proxy import ALICE, BOB, CAROL, Credential

PROGRAM = Path(__file__).with_name("s3fs_program.py")


@pytest.fixture
def fs(served: Served, s3fs_python: Path, tmp_path: Path) -> S3fs:
    return _for(ALICE, served, s3fs_python, tmp_path)


def _for(who: Credential, served: Served, python: Path, tmp_path: Path) -> S3fs:
    return s3fs(served.proxy, who, tmp_path / f"home-{who.access_key_id}", python, PROGRAM)


def failed(answer: Any) -> str | None:
    """The exception's type, if it was one."""
    return answer.get("error") if isinstance(answer, dict) else None


def test_a_tree_goes_up_is_found_at_its_true_sizes_and_comes_back(
    served: Served, fs: S3fs, bucket: str, tree: Path, tmp_path: Path
) -> None:
    there, back = f"{bucket}/tree", tmp_path / "back"
    put, total, is_folder, got = fs.steps(
        ("put", f"{tree}/", there, {"recursive": True}),
        ("du", there),
        ("isdir", f"{there}/deep"),
        ("get", f"{there}/", str(back), {"recursive": True}),
    )
    assert [failed(one) for one in (put, total, is_folder, got)] == [None] * 4
    assert (total, is_folder) == (sum(sizes(tree).values()), True)
    assert contents(back) == contents(tree)
    rows = fs.step("find", there, {"detail": True})
    assert {name.removeprefix(f"{there}/"): row["size"] for name, row in rows.items()} == sizes(tree)
    assert served.leaks(sum(sizes(tree).values())) == []


def test_a_file_object_is_written_in_parts_and_read_from_anywhere(
    served: Served, fs: S3fs, keyed_bucket: str, tree: Path
) -> None:
    whole, path = (tree / "large.bin").read_bytes(), f"{keyed_bucket}/large"
    written, info, begin, middle, end, everything = fs.steps(
        ("write_in_blocks", path, str(tree / "large.bin")),
        ("info", path),
        ("read_at", path, 0, 100),
        ("read_at", path, 5 * 1024 * 1024 - 3, 70_000),
        ("read_at", path, -12_345, 20_000),
        ("cat_file", path),
    )
    assert (written, info["size"]) == (LARGE, LARGE)
    assert info["ETag"].endswith('-4"')
    assert begin == sha256(whole[:100])
    assert middle == sha256(whole[5 * 1024 * 1024 - 3 :][:70_000])
    assert end == sha256(whole[-12_345:])
    assert everything == sha256(whole)
    # one ETag, whoever asks in whatever way
    (row,) = fs.step("ls", keyed_bucket, {"detail": True})
    assert row["ETag"] == info["ETag"] == served.s3().head_object(Bucket=keyed_bucket, Key="large")["ETag"]


def test_objects_are_appended_to_joined_and_copied_by_the_server(
    served: Served, fs: S3fs, keyed_bucket: str, tree: Path
) -> None:
    whole, path = (tree / "large.bin").read_bytes(), f"{keyed_bucket}/large"
    answers = fs.steps(
        ("write_in_blocks", path, str(tree / "large.bin")),
        ("append", path, "and a tail"),
        ("copy", path, f"{keyed_bucket}/copy"),
        ("merge", f"{keyed_bucket}/joined", [path, f"{keyed_bucket}/copy"]),
        ("cat_file", f"{keyed_bucket}/joined"),
        ("info", f"{keyed_bucket}/joined"),
        ("mv", f"{keyed_bucket}/copy", f"{keyed_bucket}/moved"),
        ("exists", f"{keyed_bucket}/copy"),
        ("cat_file", f"{keyed_bucket}/moved"),
    )
    assert [failed(one) for one in answers] == [None] * len(answers)
    tailed = whole + b"and a tail"
    assert answers[4] == sha256(tailed * 2)
    assert answers[5]["size"] == 2 * len(tailed)
    assert (answers[7], answers[8]) == (False, sha256(tailed))
    assert served.leaks(4 * LARGE) == []


def test_metadata_of_its_own_comes_back_and_is_changed_in_place(served: Served, fs: S3fs, keyed_bucket: str) -> None:
    path = f"{keyed_bucket}/labelled"
    fs.steps(("touch", path, {"Metadata": {"colour": "blue", "maker": "s3fs"}}))
    before, _, after = fs.steps(
        ("metadata", path, {"refresh": True}),
        ("setxattr", path, {"colour": "red"}),
        ("metadata", path, {"refresh": True}),
    )
    assert before == {"colour": "blue", "maker": "s3fs"}
    assert after == {"colour": "red", "maker": "s3fs"}
    assert served.s3().head_object(Bucket=keyed_bucket, Key="labelled")["Metadata"] == after


def test_a_file_is_created_once_alone(fs: S3fs, keyed_bucket: str, tree: Path) -> None:
    path = f"{keyed_bucket}/once"
    first, second, kept = fs.steps(
        ("put_file", str(tree / "one byte.txt"), path, {"mode": "create"}),
        ("put_file", str(tree / "deep/segment.bin"), path, {"mode": "create"}),
        ("cat_file", path),
    )
    assert failed(first) is None
    assert failed(second) == "FileExistsError"
    assert kept == contents(tree)["one byte.txt"]


def test_who_may_not_use_the_key_gets_a_permission_error(
    served: Served, fs: S3fs, s3fs_python: Path, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    path = f"{keyed_bucket}/k"
    fs.step("put_file", str(tree / "deep/segment.bin"), path)
    bob, carol = (_for(who, served, s3fs_python, tmp_path) for who in (BOB, CAROL))
    whole, part, copied, info = bob.steps(
        ("cat_file", path), ("read_at", path, 5, 5), ("copy", path, f"{path}2"), ("info", path)
    )
    assert [failed(one) for one in (whole, part, copied)] == ["PermissionError"] * 3
    assert info["size"] == sizes(tree)["deep/segment.bin"]
    assert [failed(one) for one in carol.steps(("ls", keyed_bucket), ("cat_file", path))] == ["PermissionError"] * 2
    assert fs.step("cat_file", path) == contents(tree)["deep/segment.bin"]


def test_a_changed_bit_at_the_store_lets_nothing_through(
    served: Served, fs: S3fs, keyed_bucket: str, tree: Path
) -> None:
    path = f"{keyed_bucket}/m"
    put, before = fs.steps(("put_file", str(tree / "deep/megabyte.bin"), path), ("cat_file", path))
    assert failed(put) is None
    assert before == contents(tree)["deep/megabyte.bin"]
    assert served.corrupt(keyed_bucket) == 1
    middle, beginning = fs.steps(("read_at", path, 524_000, 1_000), ("cat_file", path, {"start": 0, "end": 100}))
    assert failed(middle) is not None
    assert beginning == sha256((tree / "deep/megabyte.bin").read_bytes()[:100])
