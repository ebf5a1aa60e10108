"""The `s3` store on real servers, beyond the contract: what each server can do, and what then lies at the backend.

The backend is looked at with a client of its own, past the store.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from contracts.store import BUCKET, HEADERS, joined, make_body, put, put_part, read
from testkit import minio, seaweed
from testkit.s3_backend import Backend
from testkit.s3_stores import capabilities_of, store_on

from sseproxy.store.contract import (
    BucketNotEmpty,
    Committed,
    Expectation,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    PreconditionFailed,
    StoredHeaders,
    StoredPart,
    StoreFailure,
    Unsupported,
)
from sseproxy.store.s3 import Capabilities, S3Store
from sseproxy.store.s3.capabilities import MIN_PART, Order
from sseproxy.store.s3.names import KeyShape

SERVERS = [
    "seaweedfs",
    pytest.param("minio", marks=pytest.mark.skipif(not minio.is_there(), reason=minio.MISSING)),
]


@pytest.fixture(scope="module", params=SERVERS)
def backend(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    data = tmp_path_factory.mktemp(request.param) / "data"
    if request.param == "minio":
        with minio.running(data) as server:
            yield server
    else:
        with seaweed.running(data) as weed:
            yield weed.backend


@dataclass
class Raw:
    """The backend past the store."""

    backend: Backend
    prefix: str

    def head(self, key: str) -> dict[str, object]:
        found: dict[str, object] = self.backend.client().head_object(Bucket=self.prefix + BUCKET, Key=key)
        return found

    def keys(self, bucket: str = BUCKET) -> list[str]:
        found = self.backend.client().list_objects_v2(Bucket=self.prefix + bucket)
        return [row["Key"] for row in found.get("Contents", ())]

    def uploads(self) -> int:
        return len(self.backend.client().list_multipart_uploads(Bucket=self.prefix + BUCKET).get("Uploads", ()))


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[S3Store]:
    async with store_on(backend, await capabilities_of(backend), max_put=12_000_000) as made:
        await made.create_bucket(BUCKET)
        yield made


@pytest.fixture
def raw(backend: Backend, store: S3Store) -> Raw:
    return Raw(backend, store.prefix)


async def complete(
    store: S3Store, upload: str, parts: list[tuple[StoredPart, int]], tail: bytes, highest: int, **more: Expectation
) -> Committed:
    places = [(part.place, size) for part, size in parts]
    expect = more.get("expect")
    return await store.complete_upload(BUCKET, "k", upload, HEADERS, places, tail, None, expect, highest=highest)


async def test_the_table_says_what_the_server_does(backend: Backend) -> None:
    able = await capabilities_of(backend)
    both = {KeyShape.EMPTY_SEGMENT, KeyShape.DOT_SEGMENT, KeyShape.LONG_SEGMENT}
    folds = {KeyShape.BACKSLASH, KeyShape.TRAILING_SLASH} if backend.name == "seaweedfs" else set()
    assert able == Capabilities(
        server=able.server,
        put_if_absent=True,
        put_if_match=True,
        complete_if_absent=True,
        complete_if_match=True,
        read_if_match=True,
        checks_crc32c=True,
        keeps_redirect=False,
        copy_keeps_etag=True,
        copy_keeps_date=False,
        complete_again=backend.name == "seaweedfs",
        versions=False,
        minimum_part=MIN_PART,
        order=Order.SEGMENTS if backend.name == "seaweedfs" else Order.BYTES,
        refused_keys=frozenset(both | folds),
    )
    assert dict(able.rows())["put if absent"] == "yes"


async def test_asking_leaves_nothing_at_the_server(backend: Backend) -> None:
    async with store_on(backend) as asking:
        await asking.capabilities()
        client, scratch = backend.client(), asking.prefix + "ssep-scratch"
        assert "Contents" not in client.list_objects_v2(Bucket=scratch)
        assert "Uploads" not in client.list_multipart_uploads(Bucket=scratch)


async def test_the_backend_has_the_key_the_headers_and_its_own_etag(store: S3Store, raw: Raw) -> None:
    lying = StoredHeaders(
        "ZW52ZWxvcGU",
        (("content-type", "a/b"), ("content-encoding", "gzip"), ("expires", "Wed, 21 Oct 2015 07:28:00 GMT")),
        (("encoded", "=?UTF-8?B?w6k=?="), ("odd", "=?UTF-8?B??="), ("spaces", "a  b"), ("void", "")),
    )
    committed = await put(store, "a b/é+%", b"ciphertext", headers=lying)
    found = raw.head("a b/é+%")
    assert (found["ContentType"], found["ContentEncoding"]) == ("a/b", "gzip")
    assert found["Metadata"]["ssep"] == "ZW52ZWxvcGU"  # type: ignore[index]
    assert committed.etag == str(found["ETag"]).strip('"') + "-1"
    stat = await store.stat(BUCKET, "a b/é+%")
    assert (stat.headers, stat.etag) == (lying, committed.etag)
    assert await read(store, stat) == b"ciphertext"


async def test_an_object_that_is_not_ours_has_no_envelope(store: S3Store, raw: Raw) -> None:
    raw.backend.client().put_object(Bucket=raw.prefix + BUCKET, Key="foreign", Body=b"plain")
    assert (await store.stat(BUCKET, "foreign")).headers.envelope == ""


async def test_a_redirect_that_would_be_lost_is_refused(store: S3Store, raw: Raw) -> None:
    headers = StoredHeaders("ZQ", (("content-type", "a/b"), ("x-amz-website-redirect-location", "/x")), ())
    with pytest.raises(Unsupported):
        await put(store, "k", b"x", headers=headers)
    assert raw.keys() == []


async def test_bodies_that_were_aborted_at_any_point_are_never_seen(store: S3Store, raw: Raw) -> None:
    size = 4_000_000
    for sent in (0, 1, 1 << 20, 2 << 20, size - 1, size):
        stage = await store.stage(BUCKET, f"k{sent}", HEADERS, size)
        for start in range(0, sent, 1 << 20):
            await stage.write(bytes(min(1 << 20, sent - start)))
        await stage.abort()
    # Requests of the same server that came later have been served: whatever was going to appear would have.
    await put(store, "last", make_body(3_000_000))
    assert raw.keys() == ["last"]


async def test_an_object_that_stands_is_untouched_by_a_body_that_was_aborted(store: S3Store) -> None:
    await put(store, "k", b"standing")
    stage = await store.stage(BUCKET, "k", HEADERS, 4_000_000)
    await stage.write(bytes(2_000_000))
    await stage.write(bytes(1_999_999))
    await stage.abort()
    assert await read(store, await store.stat(BUCKET, "k")) == b"standing"


async def test_a_body_too_large_for_one_put_goes_up_in_parts_and_reads_as_one(store: S3Store, raw: Raw) -> None:
    body = make_body(13_000_000)
    committed = await put(store, "k", body, Expectation(absent=True))
    assert committed.etag.count("-") == 1
    stat = await store.stat(BUCKET, "k")
    assert (stat.etag, stat.headers, stat.modified) == (committed.etag, HEADERS, committed.modified)
    assert await read(store, stat) == body
    with pytest.raises(PreconditionFailed):
        await put(store, "k", make_body(13_000_000, 2), Expectation(absent=True))
    assert await read(store, stat) == body
    stage = await store.stage(BUCKET, "other", HEADERS, 13_000_000)
    await stage.write(body[:100])
    await stage.abort()
    assert raw.keys() == ["k"]


async def test_the_latest_attempt_of_a_part_is_the_one_in_the_object(store: S3Store) -> None:
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    old = await put_part(store, "k", upload, 1, make_body(MIN_PART, 1))
    new = await put_part(store, "k", upload, 1, make_body(MIN_PART, 2))
    await store.discard_parts(BUCKET, [old.place])
    await complete(store, upload, [(new, MIN_PART)], b"tail", 1)
    assert await read(store, await store.stat(BUCKET, "k")) == make_body(MIN_PART, 2) + b"tail"


async def test_a_superseded_attempt_is_gone_or_is_itself_and_never_the_later_one(store: S3Store) -> None:
    """SeaweedFS keeps every attempt until the end, by its ETag; MinIO has the last one alone."""
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    old = await put_part(store, "k", upload, 1, make_body(MIN_PART, 1))
    await put_part(store, "k", upload, 1, make_body(MIN_PART, 2))
    try:
        await complete(store, upload, [(old, MIN_PART)], b"tail", 1)
    except NoSuchUpload:
        with pytest.raises(NoSuchKey):
            await store.stat(BUCKET, "k")
    else:
        assert await read(store, await store.stat(BUCKET, "k")) == make_body(MIN_PART, 1) + b"tail"


async def test_the_tail_of_a_completion_that_failed_overwrites_no_part(store: S3Store) -> None:
    """Parts 1 to 3 are there; a completion of part 1 alone fails; one of all three must still find part 2."""
    bodies = [make_body(MIN_PART, seed) for seed in (1, 2, 3)]
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    parts = [(await put_part(store, "k", upload, n + 1, body), MIN_PART) for n, body in enumerate(bodies)]
    await put(store, "k", b"standing")
    with pytest.raises(PreconditionFailed):
        await complete(store, upload, parts[:1], b"tail", 3, expect=Expectation(absent=True))
    await complete(store, upload, parts, b"another tail", 3)
    assert await read(store, await store.stat(BUCKET, "k")) == b"".join(bodies) + b"another tail"


async def test_a_part_that_can_only_be_last_is_parked_and_joined_with_the_tail(store: S3Store, raw: Raw) -> None:
    first, second = make_body(MIN_PART, 1), make_body(2_000_000, 2)
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    parts = [
        (await put_part(store, "k", upload, 1, first), MIN_PART),
        (await put_part(store, "k", upload, 7, second), 2_000_000),
    ]
    assert [key.startswith(f"{raw.prefix}{BUCKET}/") for key in raw.keys("ssep-scratch")] == [True]
    done = await complete(store, upload, parts, b"tail", 7)
    assert raw.keys("ssep-scratch") == []
    stat = await store.stat(BUCKET, "k")
    assert await read(store, stat) == first + second + b"tail"
    assert await complete(store, upload, parts, b"another tail, same length"[:4], 7) == done


async def test_part_ten_thousand_is_parked_whatever_its_size(store: S3Store, raw: Raw) -> None:
    body = make_body(MIN_PART + 1)
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    part = await put_part(store, "k", upload, 10_000, body)
    assert len(raw.keys("ssep-scratch")) == 1
    await complete(store, upload, [(part, len(body))], b"tail", 10_000)
    assert await read(store, await store.stat(BUCKET, "k")) == body + b"tail"


async def test_an_upload_that_was_aborted_is_gone_at_the_backend(store: S3Store, raw: Raw) -> None:
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    part = await put_part(store, "k", upload, 1, make_body(MIN_PART))
    await store.abort_upload(BUCKET, "k", upload)
    await store.abort_upload(BUCKET, "k", upload)
    with pytest.raises(NoSuchUpload):
        await complete(store, upload, [(part, MIN_PART)], b"tail", 1)
    assert (raw.uploads(), raw.keys()) == (0, [])


async def test_an_etag_expected_of_a_completion_is_the_one_that_clients_saw(store: S3Store) -> None:
    seen = await put(store, "k", b"standing")
    upload = await store.create_upload(BUCKET, "k", HEADERS)
    parts = [(await put_part(store, "k", upload, 1, b"part"), 4)]
    with pytest.raises(PreconditionFailed):
        await complete(store, upload, parts, b"tail", 1, expect=Expectation(etag="0" * 32 + "-1"))
    await complete(store, upload, parts, b"tail", 1, expect=Expectation(etag=seen.etag))
    assert await read(store, await store.stat(BUCKET, "k")) == b"parttail"


async def test_the_scratch_bucket_is_nobodys(store: S3Store) -> None:
    with pytest.raises(Unsupported):
        await store.create_bucket("ssep-scratch")
    with pytest.raises(NoSuchBucket):
        await store.list("ssep-scratch", "", "", "", 1)
    with pytest.raises(NoSuchBucket):
        await store.stat("ssep-scratch", "k")


async def test_a_sweep_leaves_alone_what_was_parked_a_moment_ago(backend: Backend) -> None:
    async with store_on(backend, await capabilities_of(backend), park_seconds=3600.0) as patient:
        await patient.create_bucket(BUCKET)
        upload = await patient.create_upload(BUCKET, "k", HEADERS)
        part = await put_part(patient, "k", upload, 1, b"just now")
        assert await patient.sweep(BUCKET, ("a place of another store",)) == 0
        assert await joined(patient.open_part(BUCKET, part.place, 0, 7)) == b"just now"


async def test_a_bucket_with_something_foreign_in_it_is_not_deleted(store: S3Store, raw: Raw) -> None:
    """Some servers delete a bucket with all that is in it."""
    raw.backend.client().put_object(Bucket=raw.prefix + BUCKET, Key="foreign", Body=b"plain")
    with pytest.raises(BucketNotEmpty):
        await store.delete_bucket(BUCKET)
    assert raw.keys() == ["foreign"]


async def test_a_key_that_xml_cannot_name_is_kept_listed_and_deleted(store: S3Store, raw: Raw) -> None:
    for key in ("bell\x07", "tab\tline\nreturn\r", "<&\"'>"):
        await put(store, key, key.encode())
    found = [row.key for row in (await store.list(BUCKET, "", "", "", 10)).rows]
    assert sorted(found) == sorted(["bell\x07", "tab\tline\nreturn\r", "<&\"'>"])
    await store.delete(BUCKET, found)
    assert raw.keys() == []


async def test_a_server_that_is_not_there_is_a_failure() -> None:
    (port,) = seaweed.free_ports(1)
    async with store_on(Backend("nobody", f"http://127.0.0.1:{port}"), clean=False) as lost:
        with pytest.raises(StoreFailure):
            await lost.stat(BUCKET, "k")


async def test_credentials_that_are_wrong_are_a_failure_and_never_a_missing_bucket(backend: Backend) -> None:
    stranger = Backend(backend.name, backend.endpoint, backend.access_key_id, "wrong")
    async with store_on(stranger, clean=False) as refused:
        with pytest.raises(StoreFailure):
            await refused.stat(BUCKET, "k")
        with pytest.raises(StoreFailure):
            await refused.create_bucket(BUCKET)


async def test_a_missing_version_is_no_such_key(store: S3Store) -> None:
    await put(store, "k", b"x")
    with pytest.raises(NoSuchKey):
        await store.stat(BUCKET, "k", "11111111-1111-1111-1111-111111111111")
