"""Several processes on one folder: each sees the others' commits, and an object is one writer's, whole."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contracts.store import BUCKET, put, read

from kms_core.clock import SystemClock
from sseproxy.store.contract import NoSuchBucket, NoSuchKey, Replaced
from sseproxy.store.filesystem import FilesystemStore

SIZES = (600, 180_000)
ROUNDS = 25


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[FilesystemStore, FilesystemStore]]:
    """Two stores on one folder, each with connections of its own, and a bucket."""
    stores = (FilesystemStore(tmp_path, clock=SystemClock()), FilesystemStore(tmp_path, clock=SystemClock()))
    await stores[0].create_bucket(BUCKET)
    yield stores
    for store in stores:
        await store.close()


async def write_often(store: FilesystemStore, letter: int) -> None:
    """Overwrite one key again and again with bodies of one letter, small and large in turns."""
    for number in range(ROUNDS):
        await put(store, "k", bytes((letter,)) * SIZES[number % 2])


def _other_process(root: Path, letter: int) -> None:
    async def live() -> None:
        store = FilesystemStore(root, clock=SystemClock())
        await asyncio.gather(write_often(store, letter), write_often(store, letter + 1))
        await store.close()

    asyncio.run(live())


async def test_a_key_that_two_processes_write_is_always_one_whole_body(tmp_path: Path) -> None:
    store = FilesystemStore(tmp_path, clock=SystemClock())
    await store.create_bucket(BUCKET)
    process = multiprocessing.get_context("spawn").Process(target=_other_process, args=(tmp_path, ord("c")))
    process.start()
    seen: set[int] = set()

    async def watch() -> None:
        while process.exitcode is None:
            try:
                body = await read(store, await store.stat(BUCKET, "k"))
            except (NoSuchKey, Replaced):
                continue
            assert len(body) in SIZES
            assert len(set(body)) == 1
            seen.add(body[0])

    watching = asyncio.create_task(watch())
    await asyncio.gather(write_often(store, ord("a")), write_often(store, ord("b")))
    await asyncio.to_thread(process.join)
    await watching
    assert process.exitcode == 0
    assert seen <= set(b"abcd")
    stat = await store.stat(BUCKET, "k")
    await store.close()
    assert len(list(tmp_path.glob("buckets/*/blobs/*/*"))) == (stat.size == max(SIZES))


async def test_a_commit_of_one_store_is_seen_by_the_other_at_once(
    pair: tuple[FilesystemStore, FilesystemStore],
) -> None:
    one, other = pair
    for number in range(5):
        await put(one, "k", b"%d" % number)
        stat = await other.stat(BUCKET, "k")
        assert await read(other, stat) == b"%d" % number
    await one.delete(BUCKET, ["k"])
    with pytest.raises(NoSuchKey):
        await other.stat(BUCKET, "k")


async def test_a_bucket_that_another_store_deleted_is_gone(pair: tuple[FilesystemStore, FilesystemStore]) -> None:
    one, other = pair
    await put(other, "k", b"x")
    await other.delete(BUCKET, ["k"])
    await one.delete_bucket(BUCKET)
    with pytest.raises(NoSuchBucket):
        await other.stat(BUCKET, "k")
    with pytest.raises(NoSuchBucket):
        await put(other, "k", b"x")


async def test_a_bucket_that_another_store_made_anew_is_a_new_one(
    pair: tuple[FilesystemStore, FilesystemStore],
) -> None:
    one, other = pair
    await put(other, "k", b"old")
    stat = await other.stat(BUCKET, "k")
    for number in range(3):
        await one.delete(BUCKET, ["k"])
        await one.delete_bucket(BUCKET)
        await one.create_bucket(BUCKET)
        with pytest.raises(NoSuchKey):
            await other.stat(BUCKET, "k")
        await put(other, "k", b"%d" % number)
        assert await read(one, await one.stat(BUCKET, "k")) == b"%d" % number
    with pytest.raises(Replaced):
        await read(other, stat)


async def test_of_deletion_and_commit_at_the_same_time_the_later_fails(
    pair: tuple[FilesystemStore, FilesystemStore],
) -> None:
    one, other = pair
    for number in range(10):
        await put(other, "warm", b"x")
        await other.delete(BUCKET, ["warm"])
        answers = await asyncio.gather(one.delete_bucket(BUCKET), put(other, "k", b"x"), return_exceptions=True)
        failures = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(failures) == 1, number
        if failures[0] is answers[0]:
            assert await read(one, await one.stat(BUCKET, "k")) == b"x"
            await one.delete(BUCKET, ["k"])
        else:
            assert isinstance(failures[0], NoSuchBucket)
            await one.create_bucket(BUCKET)
