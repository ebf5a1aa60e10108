"""s3cmd, as Debian ships it: it signs its own way, sends parts of 15 MiB, and keeps file attributes as metadata."""

from pathlib import Path

import pytest
from conftest import Served
from testkit.clients import LARGE, Client, contents, s3cmd, sizes
from testkit.proxy import ALICE, BOB, CAROL

FORBIDDEN = 77
"""s3cmd's exit status for a 403 (EX_ACCESSDENIED)."""


@pytest.fixture
def client(served: Served, tmp_path: Path) -> Client:
    return s3cmd(served.proxy, ALICE, tmp_path / "home")


def listed(client: Client, bucket: str) -> dict[str, int]:
    """Name and size, as `ls` tells them."""
    lines = client.run("ls", "--recursive", f"s3://{bucket}").stdout.splitlines()
    rows = [line.split(maxsplit=3) for line in lines]
    return {uri.removeprefix(f"s3://{bucket}/"): int(size) for _, _, size, uri in rows}


def told(client: Client, uri: str) -> dict[str, str]:
    """What `info` says of an object."""
    lines = client.run("info", uri).stdout.splitlines()[1:]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_a_tree_goes_up_and_comes_back_and_a_second_sync_moves_nothing(
    served: Served, client: Client, bucket: str, tree: Path, tmp_path: Path
) -> None:
    up = client.run("sync", f"{tree}/", f"s3://{bucket}/").stdout
    assert up.count("upload: ") >= len(contents(tree))
    assert "upload: " not in client.run("sync", f"{tree}/", f"s3://{bucket}/").stdout
    assert listed(client, bucket) == sizes(tree)
    back = tmp_path / "back"
    back.mkdir()
    assert client.run("sync", f"s3://{bucket}/", f"{back}/").stdout.count("download: ") == len(contents(tree))
    assert contents(back) == contents(tree)
    assert int((back / "large.bin").stat().st_mtime) == int((tree / "large.bin").stat().st_mtime)
    assert "download: " not in client.run("sync", f"s3://{bucket}/", f"{back}/").stdout
    assert served.leaks(sum(sizes(tree).values())) == []
    # the twin: a byte changed under the same size, and a file gone, on this side
    with (back / "deep/segment.bin").open("r+b") as file:
        file.write(b"?")
    (back / "empty").unlink()
    again = client.run("sync", "--delete-removed", f"{back}/", f"s3://{bucket}/").stdout
    assert (again.count("upload: "), again.count("delete: ")) == (1, 1)
    assert listed(client, bucket) == sizes(back)


def test_a_file_above_15_mib_goes_in_parts_and_its_own_attributes_come_back(
    served: Served, client: Client, bucket: str, tree: Path, tmp_path: Path
) -> None:
    client.run("put", str(tree / "large.bin"), f"s3://{bucket}/large.bin")
    head = served.s3().head_object(Bucket=bucket, Key="large.bin")
    assert (head["ContentLength"], head["ETag"][-3:]) == (LARGE, '-2"')
    info = told(client, f"s3://{bucket}/large.bin")
    assert (info["File size"], info["SSE"]) == (str(LARGE), head["ServerSideEncryption"])
    assert f"mtime:{int((tree / 'large.bin').stat().st_mtime)}" in info["x-amz-meta-s3cmd-attrs"]
    assert info["x-amz-meta-s3cmd-attrs"] == head["Metadata"]["s3cmd-attrs"]
    client.run("get", f"s3://{bucket}/large.bin", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tree / "large.bin").read_bytes()


def test_an_interrupted_get_is_continued_where_it_stopped(
    client: Client, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    whole, half = (tree / "deep/megabyte.bin").read_bytes(), tmp_path / "half"
    client.run("put", str(tree / "deep/megabyte.bin"), f"s3://{keyed_bucket}/m")
    half.write_bytes(whole[:300_001])
    client.run("get", "--continue", f"s3://{keyed_bucket}/m", str(half))
    assert half.read_bytes() == whole


def test_objects_are_copied_moved_changed_and_removed(client: Client, keyed_bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "näme +1.txt"
    file.write_text("moved about")
    client.run("put", str(file), f"s3://{keyed_bucket}/a/")
    client.run("cp", f"s3://{keyed_bucket}/a/näme +1.txt", f"s3://{keyed_bucket}/b")
    client.run("mv", f"s3://{keyed_bucket}/b", f"s3://{keyed_bucket}/c")
    client.run("modify", "--add-header=x-amz-meta-colour:blue", f"s3://{keyed_bucket}/c")
    info = told(client, f"s3://{keyed_bucket}/c")
    assert (info["x-amz-meta-colour"], info["MIME type"], info["File size"]) == ("blue", "text/plain", "11")
    assert listed(client, keyed_bucket) == {"a/näme +1.txt": 11, "c": 11}
    assert client.run("get", f"s3://{keyed_bucket}/c", "-").stdout == "moved about"
    client.run("del", f"s3://{keyed_bucket}/c")
    assert client.run("get", f"s3://{keyed_bucket}/c", "-", check=False).returncode != 0
    client.run("del", "--recursive", "--force", f"s3://{keyed_bucket}")
    assert listed(client, keyed_bucket) == {}


def test_a_key_asked_for_by_option_is_the_one_used(served: Served, client: Client, plain_bucket: str) -> None:
    key = served.proxy.client("kms", ALICE).create_key()["KeyMetadata"]["Arn"]
    words = ("put", "--server-side-encryption", f"--server-side-encryption-kms-id={key}")
    client.run(*words, "-", f"s3://{plain_bucket}/k", text="under that key")
    head = served.s3().head_object(Bucket=plain_bucket, Key="k")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    served.proxy.client("kms", ALICE).disable_key(KeyId=key)
    refused = client.run("get", f"s3://{plain_bucket}/k", "-", check=False)
    assert refused.returncode != 0
    assert "KMS.DisabledException" in refused.stderr
    assert refused.stdout == ""


def test_who_may_not_use_the_key_gets_no_byte(
    served: Served, client: Client, keyed_bucket: str, tmp_path: Path
) -> None:
    client.run("put", "-", f"s3://{keyed_bucket}/k", text="not for bob")
    for who in (BOB, CAROL):
        other = s3cmd(served.proxy, who, tmp_path / who.access_key_id)
        refused = other.run("get", f"s3://{keyed_bucket}/k", str(tmp_path / "stolen"), check=False)
        assert refused.returncode == FORBIDDEN, refused.stderr
        assert not (tmp_path / "stolen").exists() or (tmp_path / "stolen").read_bytes() == b""
    assert client.run("get", f"s3://{keyed_bucket}/k", "-").stdout == "not for bob"


def test_a_changed_bit_at_the_store_lets_nothing_through(
    served: Served, client: Client, keyed_bucket: str, tree: Path, tmp_path: Path
) -> None:
    client.run("put", str(tree / "deep/megabyte.bin"), f"s3://{keyed_bucket}/m")
    assert served.corrupt(keyed_bucket) == 1
    done = client.run("get", f"s3://{keyed_bucket}/m", str(tmp_path / "back"), check=False)
    assert done.returncode != 0
    left = (tmp_path / "back").read_bytes() if (tmp_path / "back").exists() else b""
    assert (tree / "deep/megabyte.bin").read_bytes().startswith(left)
    assert len(left) < sizes(tree)["deep/megabyte.bin"] // 2 + 65_536
