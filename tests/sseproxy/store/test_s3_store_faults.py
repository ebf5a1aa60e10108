"""A backend that fails: what the `s3` store says then, what it repeats, and what it never does.

Each test scripts the faults of a server on a real socket. Nothing hangs, nothing unasked-for is served, nothing that
was not done counts as done.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
from testkit.s3_backend import Backend
from testkit.s3_stores import QUICK, endpoint_of
from testkit.scripted_s3 import Action, Exchange, ScriptedBackend, answer, cut, error, scripted, stall

from kms_core.clock import SystemClock
from sseproxy.store.contract import (
    Busy,
    Committed,
    Expectation,
    NoSuchUpload,
    ObjectStat,
    OutOfSpace,
    PreconditionFailed,
    Replaced,
    StoredHeaders,
    StoreError,
    StoreFailure,
    Unsupported,
)
from sseproxy.store.s3 import Capabilities, S3Store, Timeouts
from sseproxy.store.s3.capabilities import MIN_PART, Order

BUCKET = "bucket"
HEADERS = StoredHeaders("ZW52ZWxvcGU", (("content-type", "text/plain"),), ())
ABLE = Capabilities(
    server="scripted",
    put_if_absent=True,
    put_if_match=True,
    complete_if_absent=True,
    complete_if_match=True,
    read_if_match=True,
    checks_crc32c=True,
    keeps_redirect=True,
    copy_keeps_etag=True,
    copy_keeps_date=True,
    complete_again=True,
    versions=False,
    minimum_part=MIN_PART,
    order=Order.BYTES,
    refused_keys=frozenset(),
)
LARGE = 3_000_000
ETAG = "0123456789abcdef0123456789abcdef"
STORED = answer(200, etag=f'"{ETAG}"')
HEAD = answer(
    200, etag=f'"{ETAG}"', content_length="10", last_modified="Wed, 21 Oct 2015 07:28:00 GMT", x_amz_meta_ssep="ZW5"
)
SHORT = Timeouts(pool=5, connect=5, idle=0.3, whole=5)
ATTEMPTS = QUICK.attempts


@pytest.fixture
async def backend() -> AsyncIterator[ScriptedBackend]:
    async with scripted() as running:
        yield running


@pytest.fixture
async def store(backend: ScriptedBackend) -> AsyncIterator[S3Store]:
    """A store that knows its buckets already, so that a test sees its own requests alone."""
    at = endpoint_of(Backend("scripted", backend.endpoint), timeouts=SHORT)
    made = S3Store(at, clock=SystemClock(), capabilities=ABLE)
    await made.create_bucket(BUCKET)
    await made.capabilities()
    backend.forget()
    yield made
    await made.close()


async def put(store: S3Store, size: int, expect: Expectation | None = None) -> Committed:
    """Put a body in four writes."""
    stage = await store.stage(BUCKET, "k", HEADERS, size, expect)
    try:
        for start in range(0, size, size // 4):
            await stage.write(bytes(min(size // 4, size - start)))
        return await stage.commit(None)
    except BaseException:
        await stage.abort()
        raise


async def stat(store: S3Store, backend: ScriptedBackend) -> ObjectStat:
    """The stat of an object of ten bytes."""
    backend.on("HEAD", HEAD)
    found = await store.stat(BUCKET, "k")
    backend.forget()
    return found


async def read(store: S3Store, found: ObjectStat) -> bytes:
    return b"".join([block async for block in store.open(found, 0, 9)])


def ten(body: bytes = b"0123456789", etag: str = ETAG, length: int | None = None, span: str = "bytes 0-9/10") -> Action:
    """The answer to a ranged GET."""
    return answer(206, body, length=length, etag=f'"{etag}"', content_range=span)


FAULTS = [
    pytest.param(error(503, "SlowDown"), Busy, id="slow down"),
    pytest.param(error(429, "TooManyRequests"), Busy, id="too many"),
    pytest.param(answer(503), Busy, id="bare 503"),
    pytest.param(error(500, "InternalError"), StoreFailure, id="500"),
    pytest.param(answer(502, b"<html>gateway"), StoreFailure, id="no XML"),
    pytest.param(cut(), StoreFailure, id="cut"),
    pytest.param(stall(), StoreFailure, id="stalled"),
]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_a_stat_is_repeated_and_then_fails_as_the_backend_did(
    store: S3Store, backend: ScriptedBackend, fault: Action, said: type[StoreError]
) -> None:
    backend.on("HEAD", *[fault] * ATTEMPTS)
    with pytest.raises(StoreError) as caught:
        await store.stat(BUCKET, "k")
    # A HEAD has no body: what the code would have said is lost, the status is not.
    assert type(caught.value) is said
    # The HTTP client's own second try, on a connection that was closed meanwhile, is one request more.
    assert ATTEMPTS <= len(backend.seen) <= 2 * ATTEMPTS


async def test_a_stat_that_failed_once_succeeds_the_next_time(store: S3Store, backend: ScriptedBackend) -> None:
    backend.on("HEAD", error(503, "SlowDown"), cut(), HEAD)
    assert (await store.stat(BUCKET, "k")).size == 10


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_a_small_body_is_sent_again_and_then_fails(
    store: S3Store, backend: ScriptedBackend, fault: Action, said: type[StoreError]
) -> None:
    backend.on("PUT", *[fault] * ATTEMPTS)
    with pytest.raises(StoreError) as caught:
        await put(store, 400)
    assert type(caught.value) is said
    assert ATTEMPTS <= len(backend.seen) <= 2 * ATTEMPTS


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_a_conditional_body_is_sent_once(
    store: S3Store, backend: ScriptedBackend, fault: Action, said: type[StoreError]
) -> None:
    backend.on("PUT", fault)
    with pytest.raises(StoreError) as caught:
        await put(store, 400, Expectation(absent=True))
    assert type(caught.value) is said
    assert [one.headers.get("if-none-match") for one in backend.seen] == ["*"]


@pytest.mark.parametrize(("fault", "said"), FAULTS)
async def test_a_large_body_is_sent_once(
    store: S3Store, backend: ScriptedBackend, fault: Action, said: type[StoreError]
) -> None:
    backend.on("PUT", fault)
    with pytest.raises(StoreError) as caught:
        await put(store, LARGE)
    assert type(caught.value) is said
    assert backend.methods() == ["PUT"]


@pytest.mark.parametrize("fault", [cut(100_000), stall(after=100_000)], ids=["cut", "stalled"])
async def test_a_body_that_the_backend_stops_taking_fails(
    store: S3Store, backend: ScriptedBackend, fault: Action
) -> None:
    backend.on("PUT", fault)
    with pytest.raises(StoreFailure):
        await put(store, 40_000_000)
    assert backend.methods() == ["PUT"]


async def test_a_refusal_in_the_middle_of_a_body_is_what_the_writer_hears(
    store: S3Store, backend: ScriptedBackend
) -> None:
    backend.on("PUT", error(507, "XMinioStorageFull"))
    with pytest.raises(OutOfSpace):
        await put(store, LARGE)


async def test_nothing_of_a_body_that_was_aborted_before_its_second_block_was_sent(
    store: S3Store, backend: ScriptedBackend
) -> None:
    """Some servers take a head without a body for an empty object."""
    stage = await store.stage(BUCKET, "k", HEADERS, LARGE)
    await stage.write(bytes(1_000_000))
    await stage.abort()
    assert backend.seen == []


async def test_the_last_bytes_of_a_body_are_not_sent_before_its_commit(
    store: S3Store, backend: ScriptedBackend
) -> None:
    backend.on("PUT", STORED)
    stage = await store.stage(BUCKET, "k", HEADERS, LARGE)
    await stage.write(bytes(LARGE - 5))
    await stage.write(b"tail!")
    await backend.until_begun()
    await stage.abort()
    await backend.until_ended()
    assert len(backend.seen[0].body) > 0
    assert len(backend.seen[0].body) <= LARGE - 5
    assert int(backend.seen[0].headers["content-length"]) == LARGE


async def test_an_answer_without_an_etag_is_no_success(store: S3Store, backend: ScriptedBackend) -> None:
    backend.on("PUT", answer(200))
    with pytest.raises(StoreFailure):
        await put(store, 400)


async def test_a_read_is_repeated_before_its_first_byte(store: S3Store, backend: ScriptedBackend) -> None:
    found = await stat(store, backend)
    backend.on("GET", error(503, "SlowDown"), cut(), ten())
    assert await read(store, found) == b"0123456789"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ten(b"01234", length=10), id="cut in the middle"),
        pytest.param(ten(b"01234", length=5), id="short"),
        pytest.param(ten(b"0123456789!"), id="long"),
        pytest.param(ten(span="bytes 1-10/11"), id="another range"),
        pytest.param(answer(206, b"0123456789", etag=f'"{ETAG}"'), id="no range"),
        pytest.param(answer(200, b"0123456789!", etag=f'"{ETAG}"'), id="the whole of something longer"),
        pytest.param(error(416, "InvalidRange"), id="416"),
        pytest.param(error(403, "AccessDenied"), id="403"),
        pytest.param(answer(302, location="http://127.0.0.1:9/"), id="redirect"),
    ],
)
async def test_a_body_of_another_length_or_range_is_a_failure(
    store: S3Store, backend: ScriptedBackend, fault: Action
) -> None:
    found = await stat(store, backend)
    backend.usual["GET"] = fault
    with pytest.raises(StoreFailure):
        await read(store, found)


async def test_a_body_that_stalls_fails(store: S3Store, backend: ScriptedBackend) -> None:
    async def half(exchange: Exchange) -> bytes:
        head = f'HTTP/1.1 206 P\r\ncontent-length: 10\r\netag: "{ETAG}"\r\ncontent-range: bytes 0-9/10\r\n\r\n'
        exchange.writer.write(head.encode() + b"01234")
        await asyncio.Event().wait()
        return b""

    found = await stat(store, backend)
    backend.on("GET", half)
    with pytest.raises(StoreFailure):
        await read(store, found)


@pytest.mark.parametrize(
    "fault",
    [
        error(404, "NoSuchKey"),
        error(404, "NoSuchBucket"),
        answer(404),
        error(412, "PreconditionFailed"),
        ten(etag="f0"),
    ],
    ids=["no key", "no bucket", "bare 404", "412", "another ETag"],
)
async def test_a_version_that_is_gone_is_replaced(store: S3Store, backend: ScriptedBackend, fault: Action) -> None:
    found = await stat(store, backend)
    backend.on("GET", fault)
    with pytest.raises(Replaced):
        await read(store, found)
    assert [one.headers["if-match"] for one in backend.seen] == [f'"{ETAG}"']


@pytest.mark.parametrize(
    "body",
    [b"", b"not XML", b"<Other/>", b'<!DOCTYPE x [<!ENTITY e "e">]><ListBucketResult>&e;</ListBucketResult>'],
    ids=["empty", "text", "another document", "an entity"],
)
async def test_a_listing_that_is_none_is_a_failure(store: S3Store, backend: ScriptedBackend, body: bytes) -> None:
    backend.on("GET", *[answer(200, body)] * ATTEMPTS)
    with pytest.raises(StoreFailure):
        await store.list(BUCKET, "", "", "", 10)


async def test_a_deletion_that_half_failed_is_a_failure(store: S3Store, backend: ScriptedBackend) -> None:
    part = b"<DeleteResult><Error><Key>b</Key><Code>InternalError</Code></Error></DeleteResult>"
    backend.on("POST", answer(200, part))
    with pytest.raises(StoreFailure):
        await store.delete(BUCKET, ["a", "b"])


async def test_what_the_backend_cannot_do_is_refused_before_a_byte_is_sent(
    store: S3Store, backend: ScriptedBackend
) -> None:
    backend.on("PUT", error(501, "NotImplemented"))
    with pytest.raises(Unsupported):
        await put(store, 400)


COMPLETED = answer(200, b'<CompleteMultipartUploadResult><ETag>"e-2"</ETag></CompleteMultipartUploadResult>')
FAILED_AFTER_ALL = error(200, "InternalError")
NO_UPLOAD = error(404, "NoSuchUpload")
PLACE = f"part:1:{MIN_PART}:{ETAG}"


def made(size: int, envelope: str = HEADERS.envelope) -> Action:
    """HEAD of the object that an upload made."""
    return answer(
        200,
        etag='"e-2"',
        content_length=str(size),
        last_modified="Wed, 21 Oct 2015 07:28:00 GMT",
        x_amz_meta_ssep=envelope,
    )


async def complete(store: S3Store, expect: Expectation | None = None) -> Committed:
    return await store.complete_upload(BUCKET, "k", "u", HEADERS, [(PLACE, MIN_PART)], b"tail", None, expect, highest=1)


@pytest.mark.parametrize(
    "fault", [FAILED_AFTER_ALL, cut(), error(503, "SlowDown"), stall()], ids=["200", "cut", "503", "stalled"]
)
async def test_a_completion_is_repeated_until_it_is_answered(
    store: S3Store, backend: ScriptedBackend, fault: Action
) -> None:
    backend.usual["PUT"] = STORED
    backend.on("POST", fault, COMPLETED)
    backend.on("HEAD", made(MIN_PART + 4))
    assert (await complete(store)).etag == "e-2"
    assert backend.methods() == ["PUT", "POST", "POST", "HEAD"]


async def test_a_completion_that_was_done_and_not_answered_is_found_by_its_object(
    store: S3Store, backend: ScriptedBackend
) -> None:
    backend.usual["PUT"] = STORED
    backend.on("POST", cut(), NO_UPLOAD)
    backend.on("HEAD", made(MIN_PART + 4))
    assert (await complete(store, Expectation(absent=True))).etag == "e-2"


@pytest.mark.parametrize(
    "standing",
    [made(MIN_PART + 4, "another"), made(MIN_PART + 5), answer(404)],
    ids=["another envelope", "another size", "nothing"],
)
async def test_an_object_of_somebody_else_does_not_make_a_completion_succeed(
    store: S3Store, backend: ScriptedBackend, standing: Action
) -> None:
    backend.usual["PUT"] = STORED
    backend.on("POST", NO_UPLOAD)
    backend.usual["HEAD"] = standing
    with pytest.raises(NoSuchUpload):
        await complete(store)


async def test_a_200_with_an_error_in_it_is_a_failure(store: S3Store, backend: ScriptedBackend) -> None:
    backend.usual["PUT"] = STORED
    backend.on("POST", *[FAILED_AFTER_ALL] * ATTEMPTS)
    with pytest.raises(StoreFailure):
        await complete(store)
    backend.on("POST", error(200, "PreconditionFailed"))
    backend.usual["HEAD"] = answer(404)
    with pytest.raises(PreconditionFailed):
        await complete(store, Expectation(absent=True))
