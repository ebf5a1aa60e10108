"""The embedded store when its process dies (SIGKILL, at every step), when the disk fails, when a caller gives up."""

import asyncio
import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from contracts.store import BUCKET, HEADERS, make_body, put, put_part, read

from kms_core.clock import SystemClock
from sseproxy.store.contract import BucketExists, NoSuchBucket, NoSuchKey, OutOfSpace, StoreError, StoreFailure
from sseproxy.store.filesystem import FilesystemStore

LARGE = 2_500_000
OLD, NEW = make_body(LARGE, 1), make_body(LARGE, 2)

Failpoint = Callable[[str], None]
Deed = Callable[[FilesystemStore], Coroutine[object, object, object]]


def open_store(root: Path, failpoint: Failpoint = lambda step: None) -> FilesystemStore:
    """A store on `root`."""
    return FilesystemStore(root, clock=SystemClock(), failpoint=failpoint)


def blobs_on_disk(root: Path) -> set[str]:
    """The names of all blob files."""
    return {file.name for file in root.glob("buckets/*/blobs/*/*")}


@pytest.fixture
async def root(tmp_path: Path) -> Path:
    """A folder with a bucket, closed."""
    store = open_store(tmp_path)
    await store.create_bucket(BUCKET)
    await store.close()
    return tmp_path


@pytest.fixture
async def reopened(root: Path) -> AsyncIterator[Callable[[], FilesystemStore]]:
    """Opens stores on the folder, and closes them at the end."""
    made: list[FilesystemStore] = []

    def reopen() -> FilesystemStore:
        made.append(open_store(root))
        return made[-1]

    yield reopen
    for store in made:
        await store.close()


async def overwrite(store: FilesystemStore) -> None:
    await put(store, "k", NEW)


async def make_bucket(store: FilesystemStore) -> None:
    await store.create_bucket("another")


async def drop_bucket(store: FilesystemStore) -> None:
    await store.delete_bucket(BUCKET)


def _victim(root: Path, step: str, deed: Deed) -> None:
    def failpoint(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async def live() -> None:
        store = open_store(root, failpoint)
        await deed(store)
        await store.close()

    asyncio.run(live())


def die_at(root: Path, step: str, deed: Deed) -> None:
    """Do `deed` in a process that is killed when the store reaches `step`."""
    process = multiprocessing.get_context("spawn").Process(target=_victim, args=(root, step, deed))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "survivor"),
    [
        ("blob written", OLD),
        ("blob synced", OLD),
        ("blob folder synced", OLD),
        ("rows written", OLD),
        ("rows committed", NEW),
        ("blob set aside", NEW),
    ],
)
async def test_an_overwrite_killed_at_any_step_leaves_one_version_whole(
    root: Path, reopened: Callable[[], FilesystemStore], step: str, survivor: bytes
) -> None:
    store = open_store(root)
    await put(store, "k", OLD)
    await store.close()
    die_at(root, step, overwrite)

    store = reopened()
    assert await read(store, await store.stat(BUCKET, "k")) == survivor
    assert await store.sweep(BUCKET, ()) == (0 if step == "blob set aside" else 1)
    assert len(blobs_on_disk(root)) == 1
    await store.sweep(BUCKET, ())
    await store.close()
    assert list((root / "trash").iterdir()) == []

    store = reopened()
    assert await read(store, await store.stat(BUCKET, "k")) == survivor


@pytest.mark.parametrize("step", ["blob written", "blob synced", "blob folder synced", "rows written"])
async def test_a_new_object_killed_before_its_commit_is_never_seen(
    root: Path, reopened: Callable[[], FilesystemStore], step: str
) -> None:
    die_at(root, step, overwrite)
    store = reopened()
    with pytest.raises(NoSuchKey):
        await store.stat(BUCKET, "k")
    assert (await store.list(BUCKET, "", "", "", 10)).rows == ()
    assert await store.sweep(BUCKET, ()) == 1
    assert blobs_on_disk(root) == set()


@pytest.mark.parametrize("step", ["rows written", "rows committed"])
async def test_a_completion_killed_at_its_commit_can_be_repeated(
    root: Path, reopened: Callable[[], FilesystemStore], step: str
) -> None:
    store = open_store(root)
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    part = await put_part(store, "k", upload, 1, OLD)
    await store.close()
    die_at(root, step, Completion(upload, part.place))

    store = reopened()
    await Completion(upload, part.place)(store)
    assert await read(store, await store.stat(BUCKET, "k")) == OLD + b"tail"
    # A tail that was synced and then lost its process is all that can be left over.
    assert await store.sweep(BUCKET, ()) == (1 if step == "rows written" else 0)
    assert await read(store, await store.stat(BUCKET, "k")) == OLD + b"tail"


class Completion:
    """Completes an upload of one part; a class, so that another process can be told to do it."""

    def __init__(self, upload: str, place: str) -> None:
        self.upload = upload
        self.place = place

    async def __call__(self, store: FilesystemStore) -> None:
        parts = [(self.place, LARGE)]
        await store.complete_upload(BUCKET, "k", self.upload, HEADERS, parts, b"tail", "e-1", None)


async def test_a_bucket_killed_before_it_was_placed_can_be_made(
    root: Path, reopened: Callable[[], FilesystemStore]
) -> None:
    die_at(root, "bucket drafted", make_bucket)
    store = reopened()
    with pytest.raises(NoSuchBucket):
        await store.stat("another", "k")
    await store.create_bucket("another")
    await store.sweep("another", ())
    assert list((root / "trash").iterdir()) == []


async def test_a_bucket_killed_after_it_was_placed_is_whole(
    root: Path, reopened: Callable[[], FilesystemStore]
) -> None:
    die_at(root, "bucket placed", make_bucket)
    store = reopened()
    with pytest.raises(BucketExists):
        await store.create_bucket("another")
    assert (await store.list("another", "", "", "", 10)).rows == ()


@pytest.mark.parametrize("step", ["rows committed", "bucket buried"])
async def test_a_bucket_whose_deletion_was_killed_is_gone_and_can_be_made_again(
    root: Path, reopened: Callable[[], FilesystemStore], step: str
) -> None:
    other = reopened()
    with pytest.raises(NoSuchKey):
        await other.stat(BUCKET, "k")
    die_at(root, step, drop_bucket)
    with pytest.raises(NoSuchBucket):
        await put(other, "k", b"x")
    store = reopened()
    with pytest.raises(NoSuchBucket):
        await store.list(BUCKET, "", "", "", 10)
    await store.create_bucket(BUCKET)
    await put(other, "k", b"x")
    assert await read(store, await store.stat(BUCKET, "k")) == b"x"
    await store.sweep(BUCKET, ())
    assert list((root / "trash").iterdir()) == []


def _writer(root: Path, answers: Connection) -> None:
    async def live() -> None:
        store = open_store(root)

        async def write(lane: int) -> None:
            for number in range(10_000):
                key = f"{lane}/{number}"
                await put(store, key, make_body(200_000 if number % 2 else 500, lane))
                answers.send(key)

        await asyncio.gather(*(write(lane) for lane in range(4)))

    asyncio.run(live())


async def test_whatever_was_acknowledged_is_there_after_a_kill(
    root: Path, reopened: Callable[[], FilesystemStore]
) -> None:
    context = multiprocessing.get_context("spawn")
    answers, far_end = context.Pipe(duplex=False)
    process = context.Process(target=_writer, args=(root, far_end))
    process.start()
    far_end.close()
    acknowledged = [answers.recv() for _ in range(60)]
    process.kill()
    process.join()
    while True:
        try:
            acknowledged.append(answers.recv())
        except EOFError:
            break
    answers.close()

    store = reopened()
    await store.sweep(BUCKET, ())
    for key in acknowledged:
        lane, number = key.split("/")
        body = await read(store, await store.stat(BUCKET, key))
        assert body == make_body(200_000 if int(number) % 2 else 500, int(lane))


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, OutOfSpace), (errno.EIO, StoreFailure)])
@pytest.mark.parametrize("step", ["blob written", "blob synced", "blob folder synced"])
async def test_a_disk_that_fails_under_a_blob_leaves_the_old_object_and_no_file(
    root: Path, step: str, number: int, error: type[StoreError]
) -> None:
    failing = False

    def failpoint(reached: str) -> None:
        if failing and reached == step:
            raise OSError(number, os.strerror(number))

    store = open_store(root, failpoint)
    await put(store, "k", OLD)
    before = blobs_on_disk(root)
    failing = True
    with pytest.raises(error):
        await put(store, "k", NEW)
    failing = False
    assert await read(store, await store.stat(BUCKET, "k")) == OLD
    assert blobs_on_disk(root) == before
    await put(store, "k", NEW)
    await store.close()


async def test_a_transaction_that_fails_fails_all_of_its_commits_and_no_later_one(root: Path) -> None:
    failing = False

    def failpoint(reached: str) -> None:
        if failing and reached == "rows written":
            raise OSError(errno.ENOSPC, "no room")

    store = open_store(root, failpoint)
    await put(store, "k", b"old")
    failing = True
    answers = await asyncio.gather(*(put(store, key, b"new") for key in ("k", "l", "m")), return_exceptions=True)
    assert all(isinstance(answer, OutOfSpace) for answer in answers)
    failing = False
    assert [row.key for row in (await store.list(BUCKET, "", "", "", 10)).rows] == ["k"]
    assert await read(store, await store.stat(BUCKET, "k")) == b"old"
    await put(store, "k", b"newer")
    await store.close()


@pytest.mark.parametrize("step", ["blob written", "blob folder synced", "rows written"])
async def test_a_commit_whose_caller_gave_up_runs_to_its_end(root: Path, step: str) -> None:
    reached_it, go_on = threading.Event(), threading.Event()

    def failpoint(reached: str) -> None:
        if reached == step:
            reached_it.set()
            go_on.wait()

    store = open_store(root, failpoint)
    stage = await store.stage(BUCKET, "k", HEADERS, LARGE)
    await stage.write(NEW)
    commit = asyncio.create_task(stage.commit("e-1"))
    await asyncio.to_thread(reached_it.wait)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    abort = asyncio.create_task(stage.abort())
    go_on.set()
    await abort
    await store.close()

    store = open_store(root)
    assert await read(store, await store.stat(BUCKET, "k")) == NEW
    assert await store.sweep(BUCKET, ()) == 0
    await store.close()


@pytest.mark.parametrize("turns", range(6))
async def test_a_write_that_was_cancelled_can_only_be_aborted(root: Path, turns: int) -> None:
    store = open_store(root)
    body = make_body(8 << 20)
    stage = await store.stage(BUCKET, "k", HEADERS, len(body))
    writing = asyncio.create_task(stage.write(body))
    for _ in range(turns):
        await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with pytest.raises(StoreFailure):
        await stage.commit("e-1")
    await stage.abort()
    assert blobs_on_disk(root) == set()
    with pytest.raises(NoSuchKey):
        await store.stat(BUCKET, "k")
    await store.close()
