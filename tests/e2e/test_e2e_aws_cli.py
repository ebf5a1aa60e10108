"""The stock AWS CLI with its default settings: it copies, synchronises, moves, removes, and all bytes come back."""

import os
import random
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.proxy import ALICE, BOB, CAROL, Proxy

LARGE = 100 * 1024 * 1024
FILES = 300


@pytest.fixture
def mine(proxy: Proxy) -> Iterator[str]:
    """A bucket that the CLI has made, and that it takes away with everything in it."""
    name = f"s3://cli-{uuid.uuid4().hex[:16]}"
    proxy.aws("s3", "mb", name, who=ALICE)
    yield name
    proxy.aws("s3", "rb", "--force", name, who=ALICE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 small files and one of 100 MiB, last changed an hour ago."""
    top, chance = tmp_path_factory.mktemp("tree"), random.Random(1)
    for number in range(FILES):
        file = top / f"folder {number % 7}" / f"Datei-{number:03}+ü.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(chance.randbytes(chance.choice([0, 1, 1000, 65_536, 70_000])))
    with (top / "large.bin").open("wb") as out:
        for _ in range(LARGE >> 20):
            out.write(chance.randbytes(1 << 20))
    before = time.time() - 3600
    for file in top.rglob("*"):
        os.utime(file, (before, before))
    return top


def contents(top: Path) -> dict[str, bytes]:
    return {str(file.relative_to(top)): file.read_bytes() for file in top.rglob("*") if file.is_file()}


def test_a_tree_is_synchronised_up_and_down_byte_by_byte(proxy: Proxy, mine: str, tree: Path, tmp_path: Path) -> None:
    up = proxy.aws("s3", "sync", "--no-progress", str(tree), f"{mine}/tree", who=ALICE).stdout
    assert up.count("upload: ") == FILES + 1
    assert proxy.aws("s3", "sync", "--no-progress", str(tree), f"{mine}/tree", who=ALICE).stdout == ""
    down = proxy.aws("s3", "sync", "--no-progress", f"{mine}/tree", str(tmp_path), who=ALICE).stdout
    assert down.count("download: ") == FILES + 1
    assert contents(tmp_path) == contents(tree)
    assert proxy.aws("s3", "sync", "--no-progress", f"{mine}/tree", str(tmp_path), who=ALICE).stdout == ""
    # the twin: one file changed, one gone, and a sync moves these alone
    (tmp_path / "large.bin").unlink()
    (tmp_path / "folder 0" / "new.bin").write_bytes(b"new")
    again = proxy.aws("s3", "sync", "--no-progress", "--delete", str(tmp_path), f"{mine}/tree", who=ALICE).stdout
    assert sorted(line.split(": ")[0] for line in again.splitlines()) == ["delete", "upload"]


def test_a_large_file_goes_up_by_parts_under_a_key_and_comes_back(
    proxy: Proxy, mine: str, tree: Path, tmp_path: Path
) -> None:
    key = proxy.client("kms", ALICE).create_key()["KeyMetadata"]["Arn"]
    encrypted = ("--sse", "aws:kms", "--sse-kms-key-id", key)
    proxy.aws("s3", "cp", "--no-progress", *encrypted, str(tree / "large.bin"), f"{mine}/large.bin", who=ALICE)
    name = mine.removeprefix("s3://")
    head = proxy.client("s3", ALICE).head_object(Bucket=name, Key="large.bin")
    assert (head["SSEKMSKeyId"], head["ContentLength"], head["ETag"][-4:]) == (key, LARGE, '-13"')
    proxy.aws("s3", "cp", "--no-progress", f"{mine}/large.bin", str(tmp_path / "back"), who=ALICE)
    assert (tmp_path / "back").read_bytes() == (tree / "large.bin").read_bytes()
    denied = proxy.aws("s3", "cp", f"{mine}/large.bin", str(tmp_path / "denied"), who=BOB, check=False)
    assert denied.returncode == 1
    assert "AccessDenied" in denied.stderr
    assert not (tmp_path / "denied").exists()


def test_a_file_is_moved_and_a_tree_removed(proxy: Proxy, mine: str, tmp_path: Path) -> None:
    file = tmp_path / "file ä+b.txt"
    file.write_bytes(b"moved")
    proxy.aws("s3", "mv", str(file), f"{mine}/a/", who=ALICE)
    assert not file.exists()
    proxy.aws("s3", "mv", f"{mine}/a/file ä+b.txt", f"{mine}/b/c", who=ALICE)
    listed = proxy.aws("s3", "ls", "--recursive", mine, who=ALICE).stdout.split()
    assert listed[2:] == ["5", "b/c"]
    proxy.aws("s3", "cp", f"{mine}/b/c", f"{mine}/b/d", who=ALICE)
    assert proxy.aws("s3", "cp", f"{mine}/b/d", "-", who=ALICE).stdout == "moved"
    assert proxy.aws("s3", "rb", mine, who=ALICE, check=False).returncode == 1
    assert proxy.aws("s3", "rm", "--recursive", f"{mine}/b", who=ALICE).stdout.count("delete: ") == 2
    assert proxy.aws("s3", "ls", "--recursive", mine, who=ALICE, check=False).stdout == ""


def test_who_may_nothing_is_told_so(proxy: Proxy, mine: str) -> None:
    for words in (("ls", mine), ("rb", mine), ("rm", f"{mine}/x"), ("mb", f"s3://cli-{uuid.uuid4().hex}")):
        done = proxy.aws("s3", *words, who=CAROL, check=False)
        assert done.returncode != 0
        assert "AccessDenied" in done.stderr


def fetched(url: str) -> tuple[int, bytes]:
    """Status and body of a GET by nobody in particular."""
    try:
        with urllib.request.urlopen(url) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def test_a_presigned_url_is_fetched_by_anybody_and_by_nobody_once_edited(proxy: Proxy, tmp_path: Path) -> None:
    file, bucket = tmp_path / "shared", f"s3://cli-{uuid.uuid4().hex[:16]}"
    file.write_bytes(b"shared" * 100)
    region = ("--region", "eu-central-1")  # where the CLI signs URLs with version 4 by default
    proxy.aws("s3", "mb", bucket, *region, who=ALICE)
    proxy.aws("s3", "cp", "--sse", "aws:kms", str(file), f"{bucket}/shared ü", *region, who=ALICE)
    url = proxy.aws("s3", "presign", f"{bucket}/shared ü", *region, who=ALICE).stdout.strip()
    assert fetched(url) == (200, file.read_bytes())
    for old, new in (("shared%20", "other%20"), ("Expires=3600", "Expires=3601"), ("host", "host%3Brange")):
        assert old in url
        status, body = fetched(url.replace(old, new))
        assert status in (400, 403)
        assert file.read_bytes() not in body
    status, body = fetched(url + "&versionId=null")
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)
    proxy.aws("s3", "rb", "--force", bucket, *region, who=ALICE)


def test_a_url_signed_with_version_2_is_refused_with_the_remedy(proxy: Proxy, mine: str) -> None:
    """What `aws s3 presign` makes in us-east-1 unless it is told otherwise."""
    url = proxy.aws("s3", "presign", f"{mine}/absent", who=ALICE).stdout.strip()
    assert "AWSAccessKeyId=" in url
    status, body = fetched(url)
    assert status == 400
    assert b"Please use AWS4-HMAC-SHA256." in body
