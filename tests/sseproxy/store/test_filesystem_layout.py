"""What lies on the disk: where bodies go, what is refused, what a damaged folder answers."""

import os
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from contracts.store import BUCKET, joined, make_body, put, put_part, read

from kms_core.clock import SystemClock
from sseproxy.store.contract import NoSuchBucket, StoredHeaders, StoreFailure
from sseproxy.store.filesystem import FilesystemStore

LIMIT = 1000
HEADERS_NONE = StoredHeaders("", (), ())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStore]:
    made = FilesystemStore(tmp_path, clock=SystemClock(), inline_limit=LIMIT)
    await made.create_bucket(BUCKET)
    yield made
    await made.close()


def blobs(root: Path) -> list[Path]:
    """All blob files."""
    return list(root.glob("buckets/*/blobs/*/*"))


async def test_a_body_up_to_the_limit_is_no_file_and_one_byte_more_is(store: FilesystemStore, tmp_path: Path) -> None:
    await put(store, "inline", make_body(LIMIT))
    assert blobs(tmp_path) == []
    await put(store, "file", make_body(LIMIT + 1))
    (blob,) = blobs(tmp_path)
    assert blob.read_bytes() == make_body(LIMIT + 1)
    assert blob.parent.name == blob.name[:2]


async def test_no_key_becomes_a_file_name(store: FilesystemStore, tmp_path: Path) -> None:
    for key in ("../../../outside", "/outside", "outside"):
        await put(store, key, make_body(LIMIT + 1))
    assert [path for path in tmp_path.parent.rglob("*outside*") if path.is_file()] == []
    assert len(blobs(tmp_path)) == 3


async def test_an_overwritten_or_deleted_body_takes_its_file_with_it(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, clock=SystemClock(), inline_limit=LIMIT)
    await store.create_bucket(BUCKET)
    for seed in range(3):
        await put(store, "k", make_body(LIMIT + 1, seed))
    await put(store, "gone", make_body(LIMIT + 1))
    await store.delete(BUCKET, ["gone"])
    await store.close()
    (blob,) = blobs(tmp_path)
    assert blob.read_bytes() == make_body(LIMIT + 1, 2)


async def test_the_parts_of_an_object_are_not_copied(store: FilesystemStore, tmp_path: Path) -> None:
    upload = await store.create_upload(BUCKET, "k", HEADERS_NONE)
    part = await put_part(store, "k", upload, 1, make_body(5000))
    (file,) = blobs(tmp_path)
    inode = file.stat().st_ino
    await store.complete_upload(BUCKET, "k", upload, HEADERS_NONE, [(part.place, 5000)], b"", "e-1", None)
    (file,) = blobs(tmp_path)
    assert (file.name, file.stat().st_ino) == (part.place, inode)


async def test_an_object_of_more_parts_than_are_opened_at_once_is_read_whole(store: FilesystemStore) -> None:
    upload = await store.create_upload(BUCKET, "k", HEADERS_NONE)
    bodies = [make_body(20, seed) for seed in range(300)]
    parts = [((await put_part(store, "k", upload, n, body)).place, 20) for n, body in enumerate(bodies, 1)]
    await store.complete_upload(BUCKET, "k", upload, HEADERS_NONE, parts, b"tail", "e-1", None)
    stat = await store.stat(BUCKET, "k")
    whole = b"".join(bodies) + b"tail"
    assert await read(store, stat) == whole
    assert await joined(store.open(stat, 5_111, 5_999)) == whole[5_111:6_000]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../x", "AB", "ab", "x" * 64, "a\x00b", "abc\n", "äöü"])
async def test_a_name_that_no_bucket_can_have_is_refused(store: FilesystemStore, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NoSuchBucket):
        await store.create_bucket(name)
    with pytest.raises(NoSuchBucket):
        await store.stat(name, "k")
    assert sorted(tmp_path.rglob("*")) == before


async def test_a_schema_from_the_future_is_refused(store: FilesystemStore, tmp_path: Path) -> None:
    await store.create_bucket("future")
    db = sqlite3.connect(tmp_path / "buckets/future/index.sqlite")
    db.execute("PRAGMA user_version = 2")
    db.close()
    with pytest.raises(StoreFailure, match="schema 2"):
        await store.stat("future", "k")


async def test_an_index_that_is_no_database_is_a_failure(store: FilesystemStore, tmp_path: Path) -> None:
    await store.create_bucket("broken")
    (tmp_path / "buckets/broken/index.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreFailure):
        await store.stat("broken", "k")


async def test_a_blob_that_was_cut_or_lost_is_a_failure_and_not_a_short_body(
    store: FilesystemStore, tmp_path: Path
) -> None:
    await put(store, "k", make_body(3_000_000))
    (blob,) = blobs(tmp_path)
    stat = await store.stat(BUCKET, "k")
    with blob.open("r+b") as file:
        file.truncate(2_999_999)
    with pytest.raises(StoreFailure):
        await read(store, stat)
    assert await joined(store.open(stat, 0, 9)) == make_body(3_000_000)[:10]
    blob.unlink()
    with pytest.raises(StoreFailure):
        await read(store, stat)


async def test_a_read_that_is_given_up_closes_its_files(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, clock=SystemClock())
    await store.create_bucket(BUCKET)
    await put(store, "k", make_body(5_000_000))
    stat = await store.stat(BUCKET, "k")
    blocks = store.open(stat, 0, stat.size - 1)
    await anext(blocks)
    assert isinstance(blocks, AsyncGenerator)
    await blocks.aclose()
    await store.close()
    assert [fd for fd in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(fd)] == []
