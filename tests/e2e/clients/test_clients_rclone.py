"""rclone, as Debian ships it: trees both ways, compared by checksum, by parts, copied at the server, and listed."""

import json
import os
from pathlib import Path

import pytest
from conftest import Served
from testkit.clients import LARGE, Client, contents, make_tree, rclone, sha256, sizes
from testkit.proxy import ALICE, BOB, CAROL

MOVED = ("--checksum", "-v")


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Client:
    return rclone(served.proxy, ALICE, tmp_path / "home")


def default_key(served: Served, bucket: str) -> str:
    """The key that a bucket encrypts under by default."""
    (rule,) = served.s3().get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return str(rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"])


def moved(said: str) -> list[str]:
    """What a run says that it copied, changed or removed."""
    acts = (": Copied", ": Deleted", ": Updated", ": Removed", ": Moved")
    return [line for line in said.splitlines() if any(act in line for act in acts)]


def test_a_tree_goes_up_and_comes_back_and_a_second_sync_moves_nothing(
    served: Served, client: Client, bucket: str, tree: Path, tmp_path: Path
) -> None:
    remote, back = f"proxy:{bucket}/tree", tmp_path / "back"
    assert len(moved(client.run("sync", *MOVED, str(tree), remote).stderr)) == len(contents(tree))
    assert moved(client.run("sync", *MOVED, str(tree), remote).stderr) == []
    # by date too: rclone keeps it to the nanosecond in metadata of its own
    assert moved(client.run("sync", "-v", str(tree), remote).stderr) == []
    client.run("sync", *MOVED, remote, str(back))
    assert contents(back) == contents(tree)
    assert moved(client.run("sync", *MOVED, remote, str(back)).stderr) == []
    assert "9 matching files" in client.run("check", str(tree), remote).stderr
    assert "9 matching files" in client.run("check", "--download", str(tree), remote).stderr
    assert served.leaks(sum(sizes(tree).values())) == []
    # the twin: one byte of one file, and the size the same
    with (back / "deep/megabyte.bin").open("r+b") as file:
        file.write(b"?")
    differing = client.run("check", "--download", str(back), remote, check=False)
    assert differing.returncode == 1
    assert "1 differences found" in differing.stderr


def test_a_change_that_keeps_size_and_date_is_seen_by_checksum(
    served: Served, client: Client, plain_bucket: str, keyed_bucket: str, tmp_path: Path
) -> None:
    """rclone takes an ETag for an MD5 if it looks like one, and keeps an MD5 of its own if told of `aws:kms`.

    Where no ETag is an MD5 (a store that makes its own), and rclone is told nothing, it compares sizes: not tried here.
    """
    pairs = [(rclone(served.proxy, ALICE, tmp_path / "told", key=default_key(served, keyed_bucket)), keyed_bucket)]
    if served.backend is None:
        pairs.append((client, plain_bucket))
    for number, (one, there) in enumerate(pairs):
        top, remote = tmp_path / f"tree {number}", f"proxy:{there}/tree"
        make_tree(top, seed=8, large=9_000_000)
        one.run("sync", "--checksum", str(top), remote)
        for name in ("deep/segment.bin", "large.bin"):
            stamp = (top / name).stat().st_mtime_ns
            with (top / name).open("r+b") as file:
                file.write(b"?")
            os.utime(top / name, ns=(stamp, stamp))
        (top / "empty").unlink()
        assert one.run("check", str(top), remote, check=False).returncode == 1
        assert len(moved(one.run("sync", *MOVED, str(top), remote).stderr)) == 3
        assert "8 matching files" in one.run("check", str(top), remote).stderr
        one.run("sync", *MOVED, remote, str(tmp_path / f"back {number}"))
        assert contents(tmp_path / f"back {number}") == contents(top)


def test_a_listing_tells_true_sizes_dates_and_hashes(client: Client, bucket: str, tree: Path) -> None:
    client.run("copy", str(tree), f"proxy:{bucket}")
    listed = json.loads(client.run("lsjson", "-R", "--files-only", "--metadata", f"proxy:{bucket}").stdout)
    assert {row["Path"]: row["Size"] for row in listed} == sizes(tree)
    for row in listed:
        digits = f"{(tree / row['Path']).stat().st_mtime_ns % 10**9:09}"
        assert [row["ModTime"][20:29], row["Metadata"]["mtime"][20:-1].ljust(9, "0")] == [digits, digits]
    total = json.loads(client.run("size", "--json", f"proxy:{bucket}").stdout)
    assert (total["count"], total["bytes"]) == (len(sizes(tree)), sum(sizes(tree).values()))
    # of an object in parts rclone keeps the MD5 itself; --download asks the proxy for the bytes
    there = client.run("hashsum", "sha256", "--download", f"proxy:{bucket}").stdout
    assert {line[66:]: line[:64] for line in there.splitlines()} == contents(tree)


def test_a_large_object_is_read_in_part_and_copied_in_parts_at_the_server(
    served: Served, client: Client, bucket: str, tree: Path, tmp_path: Path
) -> None:
    whole, remote = (tree / "large.bin").read_bytes(), f"proxy:{bucket}/large.bin"
    client.run("copyto", str(tree / "large.bin"), remote)
    head = served.s3().head_object(Bucket=bucket, Key="large.bin")
    assert head["ETag"].endswith('-4"')
    tail = client.run("hashsum", "sha256", "--download", remote).stdout
    assert tail.startswith(sha256(whole))
    copied = client.run("copyto", "-v", remote, f"proxy:{bucket}/copy.bin").stderr
    assert "Copied (server-side copy)" in copied
    client.run("copyto", f"proxy:{bucket}/copy.bin", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == whole
    assert served.s3().head_object(Bucket=bucket, Key="copy.bin")["ContentLength"] == LARGE


def test_a_stream_of_unknown_length_is_stored_and_renamed(client: Client, keyed_bucket: str) -> None:
    client.run("rcat", f"proxy:{keyed_bucket}/a/stream", text="of unknown length")
    client.run("moveto", f"proxy:{keyed_bucket}/a/stream", f"proxy:{keyed_bucket}/b/stream")
    assert client.run("cat", f"proxy:{keyed_bucket}/b/stream").stdout == "of unknown length"
    assert client.run("cat", "--offset", "3", "--count", "7", f"proxy:{keyed_bucket}/b/stream").stdout == "unknown"
    assert client.run("lsf", "-R", "--files-only", f"proxy:{keyed_bucket}").stdout.split() == ["b/stream"]
    client.run("purge", f"proxy:{keyed_bucket}/b")
    assert client.run("lsf", "-R", f"proxy:{keyed_bucket}").stdout == ""


def test_who_may_not_use_the_key_gets_no_file(served: Served, keyed_bucket: str, tree: Path, tmp_path: Path) -> None:
    mine = rclone(served.proxy, ALICE, tmp_path / "alice")
    mine.run("copy", str(tree / "deep"), f"proxy:{keyed_bucket}")
    bob = rclone(served.proxy, BOB, tmp_path / "bob")
    refused = bob.run("copy", f"proxy:{keyed_bucket}", str(tmp_path / "stolen"), check=False)
    assert refused.returncode != 0
    assert "AccessDenied" in refused.stderr
    assert contents(tmp_path / "stolen") == {}
    # sizes are no secret to who may list
    assert bob.run("lsf", "-R", "--files-only", f"proxy:{keyed_bucket}").stdout.count("\n") == 6
    carol = rclone(served.proxy, CAROL, tmp_path / "carol")
    assert "AccessDenied" in carol.run("lsf", f"proxy:{keyed_bucket}", check=False).stderr


def test_a_changed_bit_at_the_store_lets_nothing_through(
    served: Served, client: Client, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    client.run("copy", str(tree), f"proxy:{keyed_bucket}")
    assert served.corrupt(keyed_bucket) >= 2
    done = client.run("copy", f"proxy:{keyed_bucket}", str(tmp_path / "back"), check=False)
    assert done.returncode != 0
    assert contents(tmp_path / "back") == {
        name: digest for name, digest in contents(tree).items() if name not in ("large.bin", "deep/megabyte.bin")
    }
