"""What every `ObjectStore` must do, as tests: a store's test module makes a subclass, and gives it the fixture `store`.

Bodies are of two sizes, because stores keep small and large ones differently: some hundred bytes, and some MiB.
"""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from sseproxy.store.contract import (
    BucketExists,
    BucketNotEmpty,
    Committed,
    Expectation,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    ObjectStat,
    ObjectStore,
    PreconditionFailed,
    Replaced,
    StoredHeaders,
    StoredPart,
    StoreFailure,
    Unsupported,
)

BUCKET = "contract-bucket"
HEADERS = StoredHeaders("ZW52ZWxvcGU", (("content-type", "text/plain"),), (("colour", "blue"), ("empty", "")))
NEW_HEADERS = StoredHeaders("bmV3", (("content-type", "binary/octet-stream"),), ())
SIZES = pytest.mark.parametrize("size", [424, 3_500_000], ids=["small", "large"])
PART = 5_242_880


def make_body(size: int, seed: int = 0) -> bytes:
    """Bytes that look random, the same each time."""
    return random.Random(seed).randbytes(size)


async def put(
    store: ObjectStore, key: str, body: bytes, expect: Expectation | None = None, headers: StoredHeaders = HEADERS
) -> Committed:
    """Store `body` in blocks of 64 KiB from a buffer that is used again and again, as the cipher does."""
    stage = await store.stage(BUCKET, key, headers, len(body), expect)
    buffer = bytearray(65_536)
    for at in range(0, len(body), len(buffer)):
        piece = body[at : at + len(buffer)]
        buffer[: len(piece)] = piece
        await stage.write(memoryview(buffer)[: len(piece)])
    return await stage.commit(f"{random.Random(body).getrandbits(64):x}-1")


async def put_part(store: ObjectStore, key: str, upload: str, number: int, body: bytes) -> StoredPart:
    """Upload a part."""
    stage = await store.stage_part(BUCKET, key, upload, number, len(body))
    await stage.write(body)
    return await stage.commit(f"part{number}-1")


async def read(store: ObjectStore, stat: ObjectStat) -> bytes:
    """A whole body."""
    return await joined(store.open(stat, 0, stat.size - 1))


async def joined(blocks: AsyncIterator[bytes]) -> bytes:
    """All blocks in one, none of them over 1 MiB."""
    got = [block async for block in blocks]
    assert all(0 < len(block) <= 1 << 20 for block in got)
    return b"".join(got)


async def keys_of(store: ObjectStore) -> list[str]:
    """Every key in the bucket."""
    return [row.key for row in (await store.list(BUCKET, "", "", "", 1000)).rows]


class StoreContract:
    """The suite. `store` has no bucket yet.

    An S3 server may be unable to keep some keys, or may list in another order: a subclass says so, and the store then
    refuses those keys; it never stores one under another name.
    """

    keeps_every_key = True
    lists_in_byte_order = True

    async def put_if_kept(self, store: ObjectStore, key: str) -> bool:
        """Store a key under itself; whether the store can. One that it refuses names nothing."""
        try:
            await put(store, key, key.encode())
        except Unsupported:
            assert not self.keeps_every_key
            with pytest.raises(NoSuchKey):
                await store.stat(BUCKET, key)
            return False
        return True

    @pytest.fixture(autouse=True)
    async def _bucket(self, store: ObjectStore) -> None:
        await store.create_bucket(BUCKET)

    async def test_a_bucket_exists_once(self, store: ObjectStore) -> None:
        with pytest.raises(BucketExists):
            await store.create_bucket(BUCKET)

    async def test_a_bucket_that_was_never_made_is_refused_everywhere(self, store: ObjectStore) -> None:
        for attempt in (
            store.stat("nowhere", "k"),
            store.stage("nowhere", "k", HEADERS, 1),
            store.delete("nowhere", ["k"]),
            store.list("nowhere", "", "", "", 1),
            store.create_upload("nowhere", "k", HEADERS),
            store.stage_part("nowhere", "k", "u", 1, 1),
            store.delete_bucket("nowhere"),
        ):
            with pytest.raises(NoSuchBucket):
                await attempt

    async def test_a_bucket_with_an_object_is_not_deleted(self, store: ObjectStore) -> None:
        await put(store, "k", b"x")
        with pytest.raises(BucketNotEmpty):
            await store.delete_bucket(BUCKET)
        assert await keys_of(store) == ["k"]

    async def test_an_emptied_bucket_is_deleted_and_can_be_made_again(self, store: ObjectStore) -> None:
        await put(store, "k", b"x")
        stat = await store.stat(BUCKET, "k")
        await store.delete(BUCKET, ["k"])
        await store.delete_bucket(BUCKET)
        with pytest.raises(NoSuchBucket):
            await store.stat(BUCKET, "k")
        await store.create_bucket(BUCKET)
        await put(store, "k", b"y")
        with pytest.raises(Replaced):
            await read(store, stat)
        assert await read(store, await store.stat(BUCKET, "k")) == b"y"

    @SIZES
    async def test_a_body_staged_before_its_bucket_was_deleted_does_not_land(
        self, store: ObjectStore, size: int
    ) -> None:
        body = make_body(size)
        stage = await store.stage(BUCKET, "k", HEADERS, size)
        await stage.write(body[:100])
        await store.delete_bucket(BUCKET)
        await store.create_bucket(BUCKET)
        await stage.write(body[100:])
        with pytest.raises(NoSuchBucket):
            await stage.commit("e-1")
        await stage.abort()
        assert await keys_of(store) == []
        assert await store.sweep(BUCKET, ()) == 0

    @pytest.mark.parametrize("turns", range(6))
    async def test_of_a_deletion_and_a_commit_that_race_the_later_fails(self, store: ObjectStore, turns: int) -> None:
        async def put_late() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)
            await put(store, "k", b"x")

        # The first call keeps a store that groups its commits busy, so that the two others meet in one group.
        answers = await asyncio.gather(
            store.delete(BUCKET, ["nothing"]), store.delete_bucket(BUCKET), put_late(), return_exceptions=True
        )
        assert answers[0] is None
        if answers[1] is None:
            assert isinstance(answers[2], NoSuchBucket)
        else:
            assert isinstance(answers[1], BucketNotEmpty)
            assert answers[2] is None
            assert await keys_of(store) == ["k"]

    @SIZES
    async def test_what_was_committed_is_read_back(self, store: ObjectStore, size: int) -> None:
        body = make_body(size)
        committed = await put(store, "a/key", body)
        stat = await store.stat(BUCKET, "a/key")
        assert (stat.key, stat.size, stat.version, stat.headers) == ("a/key", size, committed.version, HEADERS)
        assert stat.etag == committed.etag
        assert await read(store, stat) == body

    async def test_the_etag_is_the_one_given_where_the_store_keeps_it(self, store: ObjectStore) -> None:
        stage = await store.stage(BUCKET, "k", HEADERS, 1)
        await stage.write(b"x")
        committed = await stage.commit("given-1")
        assert (committed.etag == "given-1") is store.keeps_etags
        assert (await store.stat(BUCKET, "k")).etag == committed.etag

    @SIZES
    async def test_a_range_has_exactly_its_bytes(self, store: ObjectStore, size: int) -> None:
        body = make_body(size)
        await put(store, "k", body)
        stat = await store.stat(BUCKET, "k")
        for first, last in ((0, 0), (1, 17), (size // 3, size // 2), (size - 1, size - 1)):
            assert await joined(store.open(stat, first, last)) == body[first : last + 1]

    @SIZES
    async def test_a_range_past_the_end_fails(self, store: ObjectStore, size: int) -> None:
        await put(store, "k", make_body(size))
        with pytest.raises(StoreFailure):
            await joined(store.open(await store.stat(BUCKET, "k"), 0, size))

    @SIZES
    async def test_an_overwrite_replaces_the_whole_object(self, store: ObjectStore, size: int) -> None:
        await put(store, "k", make_body(size, 1))
        old = await store.stat(BUCKET, "k")
        await put(store, "k", make_body(size, 2), headers=NEW_HEADERS)
        with pytest.raises(Replaced):
            await read(store, old)
        new = await store.stat(BUCKET, "k")
        assert new.headers == NEW_HEADERS
        assert await read(store, new) == make_body(size, 2)

    @SIZES
    async def test_a_read_that_has_begun_sees_its_version_to_the_end(self, store: ObjectStore, size: int) -> None:
        await put(store, "k", make_body(size, 1))
        stat = await store.stat(BUCKET, "k")
        blocks = store.open(stat, 0, size - 1)
        got = [await anext(blocks)]
        await put(store, "k", make_body(size, 2))
        await store.delete(BUCKET, ["k"])
        got += [block async for block in blocks]
        assert b"".join(got) == make_body(size, 1)

    @SIZES
    async def test_a_body_that_was_aborted_is_never_seen(self, store: ObjectStore, size: int) -> None:
        stage = await store.stage(BUCKET, "k", HEADERS, size)
        await stage.write(make_body(size))
        await stage.abort()
        await stage.abort()
        with pytest.raises(NoSuchKey):
            await store.stat(BUCKET, "k")
        assert await store.sweep(BUCKET, ()) == 0

    @SIZES
    async def test_a_body_is_not_visible_before_its_commit(self, store: ObjectStore, size: int) -> None:
        stage = await store.stage(BUCKET, "k", HEADERS, size)
        await stage.write(make_body(size))
        assert await keys_of(store) == []
        await stage.commit("e-1")
        assert await keys_of(store) == ["k"]

    @SIZES
    async def test_a_body_with_a_byte_missing_is_refused(self, store: ObjectStore, size: int) -> None:
        stage = await store.stage(BUCKET, "k", HEADERS, size)
        await stage.write(make_body(size - 1))
        with pytest.raises(StoreFailure):
            await stage.commit("e-1")
        await stage.abort()
        assert await keys_of(store) == []

    @SIZES
    async def test_a_body_with_a_byte_too_many_is_refused(self, store: ObjectStore, size: int) -> None:
        stage = await store.stage(BUCKET, "k", HEADERS, size)
        with pytest.raises(StoreFailure):
            await stage.write(make_body(size + 1))
        await stage.abort()
        assert await keys_of(store) == []

    @SIZES
    async def test_absent_lets_the_first_writer_in_and_not_the_second(self, store: ObjectStore, size: int) -> None:
        await put(store, "k", make_body(size, 1), Expectation(absent=True))
        with pytest.raises(PreconditionFailed):
            await put(store, "k", make_body(size, 2), Expectation(absent=True))
        assert await read(store, await store.stat(BUCKET, "k")) == make_body(size, 1)
        assert await store.sweep(BUCKET, ()) == 0

    async def test_of_many_writers_that_expect_no_object_one_wins(self, store: ObjectStore) -> None:
        answers = await asyncio.gather(
            *(put(store, "k", make_body(500, seed), Expectation(absent=True)) for seed in range(20)),
            return_exceptions=True,
        )
        winners = [seed for seed, answer in enumerate(answers) if isinstance(answer, Committed)]
        assert len(winners) == 1
        assert sum(isinstance(answer, PreconditionFailed) for answer in answers) == 19
        assert await read(store, await store.stat(BUCKET, "k")) == make_body(500, winners[0])

    async def test_an_etag_is_expected_and_met(self, store: ObjectStore) -> None:
        first = await put(store, "k", b"one")
        second = await put(store, "k", b"two", Expectation(etag=first.etag))
        with pytest.raises(PreconditionFailed):
            await put(store, "k", b"three", Expectation(etag=first.etag))
        assert (await store.stat(BUCKET, "k")).etag == second.etag

    async def test_an_etag_expected_of_no_object_is_no_such_key(self, store: ObjectStore) -> None:
        with pytest.raises(NoSuchKey):
            await put(store, "k", b"x", Expectation(etag="e-1"))
        assert await keys_of(store) == []

    @SIZES
    async def test_a_deleted_object_is_gone_and_deleting_it_again_succeeds(self, store: ObjectStore, size: int) -> None:
        await put(store, "k", make_body(size))
        await put(store, "other", b"x")
        stat = await store.stat(BUCKET, "k")
        await store.delete(BUCKET, ["k", "never was"])
        await store.delete(BUCKET, ["k"])
        with pytest.raises(NoSuchKey):
            await store.stat(BUCKET, "k")
        with pytest.raises(Replaced):
            await read(store, stat)
        assert await keys_of(store) == ["other"]

    async def test_a_version_that_is_not_there_is_no_such_key(self, store: ObjectStore) -> None:
        committed = await put(store, "k", b"x")
        assert (await store.stat(BUCKET, "k", committed.version)).size == 1
        with pytest.raises(NoSuchKey):
            await store.stat(BUCKET, "k", "another")

    async def test_keys_are_kept_as_they_are(self, store: ObjectStore) -> None:
        keys = ["../../etc/passwd", "/", "//", "a//b", "a/./b", "é", "日本", "\U0001f600", "a b+c%20", "x" * 1024]
        kept = [key for key in keys if await self.put_if_kept(store, key)]
        assert kept == keys or not self.keeps_every_key
        assert {"é", "日本", "\U0001f600", "a b+c%20"} <= set(kept)
        for key in kept:
            assert await read(store, await store.stat(BUCKET, key)) == key.encode()
        found = await keys_of(store)
        assert sorted(found) == sorted(kept)
        assert found == sorted(kept, key=str.encode) or not self.lists_in_byte_order

    async def test_a_listing_is_in_the_order_of_utf8_bytes(self, store: ObjectStore) -> None:
        # U+FFFD sorts after U+1F600 in UTF-16, before it in UTF-8.
        for key in ("\U0001f600", "\ufffd", "b", "a"):
            await put(store, key, b"x")
        assert await keys_of(store) == ["a", "b", "\ufffd", "\U0001f600"]

    async def test_a_listing_says_what_stat_says(self, store: ObjectStore) -> None:
        await put(store, "k", make_body(1000))
        (row,) = (await store.list(BUCKET, "", "", "", 10)).rows
        stat = await store.stat(BUCKET, "k")
        assert (row.key, row.prefix, row.size, row.etag) == ("k", False, 1000, stat.etag)
        assert int(row.modified) == int(stat.modified)

    async def test_pages_follow_each_other_without_gap_or_overlap(self, store: ObjectStore) -> None:
        names = [f"k{number:02}" for number in range(10)]
        for name in names:
            await put(store, name, b"x")
        got: list[str] = []
        after, truncated = "", True
        while truncated:
            page = await store.list(BUCKET, "", "", after, 3)
            got += [row.key for row in page.rows]
            after, truncated = got[-1], page.truncated
        assert got == names

    async def test_a_page_that_ends_with_the_last_key_is_not_truncated(self, store: ObjectStore) -> None:
        for name in ("a", "b"):
            await put(store, name, b"x")
        assert not (await store.list(BUCKET, "", "", "", 2)).truncated
        assert (await store.list(BUCKET, "", "", "", 1)).truncated

    async def test_a_delimiter_rolls_keys_up_once_and_a_mark_within_skips_them(self, store: ObjectStore) -> None:
        for key in ("a/1", "a/2", "b", "c/3/4", "d"):
            await put(store, key, b"x")
        folder = await self.put_if_kept(store, "c/")

        async def rows(prefix: str, after: str, *, inclusive: bool = False) -> list[tuple[str, bool]]:
            page = await store.list(BUCKET, prefix, "/", after, 10, inclusive=inclusive)
            return [(row.key, row.prefix) for row in page.rows]

        assert await rows("", "") == [("a/", True), ("b", False), ("c/", True), ("d", False)]
        assert await rows("", "a/1") == [("b", False), ("c/", True), ("d", False)]
        assert await rows("", "a/") == [("b", False), ("c/", True), ("d", False)]
        assert await rows("", "b", inclusive=True) == [("b", False), ("c/", True), ("d", False)]
        assert await rows("c/", "") == [*([("c/", False)] if folder else []), ("c/3/", True)]
        assert await rows("a/", "a/1") == [("a/2", False)]

    async def test_an_upload_becomes_an_object_of_its_parts_in_order_and_the_tail(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        bodies = [make_body(PART, 1), make_body(PART + 7, 2)]
        second = await put_part(store, "k", upload, 2, bodies[1])
        first = await put_part(store, "k", upload, 1, bodies[0])
        assert await keys_of(store) == []
        parts = [(first.place, PART), (second.place, PART + 7)]
        committed = await store.complete_upload(BUCKET, "k", upload, HEADERS, parts, b"tail", "whole-2", None)
        stat = await store.stat(BUCKET, "k")
        assert (stat.etag, stat.size, stat.headers) == (committed.etag, 2 * PART + 11, HEADERS)
        assert await read(store, stat) == bodies[0] + bodies[1] + b"tail"
        assert await joined(store.open(stat, PART - 3, 2 * PART + 8)) == bodies[0][-3:] + bodies[1] + b"ta"
        assert await store.sweep(BUCKET, ()) == 0
        assert await read(store, stat) == bodies[0] + bodies[1] + b"tail"

    async def test_completing_again_gives_the_same_answer_while_the_object_stands(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        parts = [(part.place, 4)]
        alone = Expectation(absent=True)
        first = await store.complete_upload(BUCKET, "k", upload, HEADERS, parts, b"tail", "e-1", alone)
        again = await store.complete_upload(BUCKET, "k", upload, HEADERS, parts, b"tail", "e-1", alone)
        assert again == first
        assert await store.sweep(BUCKET, ()) == 0
        assert await read(store, await store.stat(BUCKET, "k")) == b"parttail"

    async def test_an_upload_whose_part_was_discarded_is_no_such_upload(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        assert await joined(store.open_part(BUCKET, part.place, 1, 2)) == b"ar"
        await store.discard_parts(BUCKET, [part.place, part.place])
        with pytest.raises(NoSuchUpload):
            await store.complete_upload(BUCKET, "k", upload, HEADERS, [(part.place, 4)], b"tail", "e-1", None)
        with pytest.raises(NoSuchUpload):
            await joined(store.open_part(BUCKET, part.place, 0, 3))
        assert await keys_of(store) == []
        assert await store.sweep(BUCKET, ()) == 0

    async def test_a_part_of_another_length_than_completed_is_no_such_upload(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        with pytest.raises(NoSuchUpload):
            await store.complete_upload(BUCKET, "k", upload, HEADERS, [(part.place, 5)], b"", "e-1", None)

    async def test_a_failed_completion_has_destroyed_nothing(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        await put(store, "k", b"standing")
        parts = [(part.place, 4)]
        with pytest.raises(PreconditionFailed):
            await store.complete_upload(BUCKET, "k", upload, HEADERS, parts, b"", "e-1", Expectation(absent=True))
        assert await read(store, await store.stat(BUCKET, "k")) == b"standing"
        await store.complete_upload(BUCKET, "k", upload, HEADERS, parts, b"", "e-1", None)
        assert await read(store, await store.stat(BUCKET, "k")) == b"part"

    async def test_discarding_the_parts_of_an_object_leaves_it_whole(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        await store.complete_upload(BUCKET, "k", upload, HEADERS, [(part.place, 4)], b"", "e-1", None)
        await store.discard_parts(BUCKET, [part.place])
        assert await read(store, await store.stat(BUCKET, "k")) == b"part"

    async def test_a_sweep_drops_parts_that_nobody_keeps(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        kept = await put_part(store, "k", upload, 1, b"kept")
        lost = await put_part(store, "k", upload, 2, b"lost")
        await put(store, "object", make_body(3_500_000))
        assert await store.sweep(BUCKET, {kept.place}) == 1
        assert await joined(store.open_part(BUCKET, kept.place, 0, 3)) == b"kept"
        with pytest.raises(NoSuchUpload):
            await joined(store.open_part(BUCKET, lost.place, 0, 3))
        assert len(await read(store, await store.stat(BUCKET, "object"))) == 3_500_000

    async def test_an_upload_in_progress_does_not_keep_a_bucket(self, store: ObjectStore) -> None:
        upload = await store.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(store, "k", upload, 1, b"part")
        await store.delete_bucket(BUCKET)
        await store.create_bucket(BUCKET)
        with pytest.raises(NoSuchUpload):
            await store.complete_upload(BUCKET, "k", upload, HEADERS, [(part.place, 4)], b"", "e-1", None)

    async def test_a_place_that_the_store_never_gave_names_nothing(self, store: ObjectStore) -> None:
        for place in ("", "..", "../../index.sqlite", "0" * 32, "/etc/passwd"):
            with pytest.raises(NoSuchUpload):
                await joined(store.open_part(BUCKET, place, 0, 0))
            await store.discard_parts(BUCKET, [place])
