"""restic, as Debian ships it: a repository on the proxy, restored, thinned out, and checked to the last byte."""

import json
from pathlib import Path

import pytest
from conftest import Served
from testkit.clients import Client, contents, make_tree, restic, sizes
from testkit.proxy import ALICE, BOB


@pytest.fixture
def client(served: Served, keyed_bucket: str, tmp_path: Path) -> Client:
    return restic(served.proxy, ALICE, tmp_path / "home", keyed_bucket)


def stored(served: Served, bucket: str) -> int:
    """How many bytes a client sees there."""
    rows = served.s3().list_objects_v2(Bucket=bucket)["Contents"]
    return sum(row["Size"] for row in rows)


def test_a_tree_is_backed_up_restored_thinned_out_and_checked_byte_by_byte(
    served: Served, client: Client, keyed_bucket: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    first = make_tree(source, seed=4)
    client.run("init")
    client.run("backup", str(source))
    (source / "empty").write_text("no longer")
    (source / "large.bin").unlink()
    second = contents(source)
    again = json.loads(client.run("backup", "--json", str(source)).stdout.splitlines()[-1])
    assert (again["files_new"], again["files_changed"], again["data_blobs"]) == (0, 1, 1)
    old, new = (row["id"] for row in json.loads(client.run("snapshots", "--json").stdout))
    client.run("restore", old, "--target", str(tmp_path / "old"))
    assert contents(tmp_path / "old" / source.relative_to("/")) == first
    before = stored(served, keyed_bucket)
    assert before > sum(sizes(tmp_path / "old").values())
    assert served.leaks(before) == []
    client.run("forget", "--keep-last=1", "--prune", "--max-unused=0")
    assert stored(served, keyed_bucket) < before // 2
    client.run("check", "--read-data")
    client.run("restore", new, "--target", str(tmp_path / "new"))
    assert contents(tmp_path / "new" / source.relative_to("/")) == second


def test_who_may_not_use_the_key_cannot_open_the_repository(served: Served, keyed_bucket: str, tmp_path: Path) -> None:
    mine = restic(served.proxy, ALICE, tmp_path / "alice", keyed_bucket)
    mine.run("init")
    assert mine.run("snapshots", "--json").stdout.strip() in ("null", "[]")
    bob = restic(served.proxy, BOB, tmp_path / "bob", keyed_bucket)
    said = bob.first_complaint("snapshots", said="returned error|Fatal")
    assert said is not None
    assert "user/bob is not authorized to perform: kms:Decrypt" in said


def test_a_changed_bit_at_the_store_is_refused_by_the_proxy(
    served: Served, client: Client, keyed_bucket: str, tree: Path
) -> None:
    client.run("init")
    client.run("backup", str(tree))
    assert served.corrupt(keyed_bucket) >= 1
    said = client.first_complaint("check", "--read-data", said="returned error|Fatal|does not match")
    assert said is not None
    assert "does not match" not in said, "restic saw other bytes than it had stored"
