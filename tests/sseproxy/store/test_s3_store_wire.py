"""What the `s3` store sends: how many requests, signed how, under which path; and how it reads names and headers back.

Signatures are verified by the key service's own verifier, which is held against botocore elsewhere, and by botocore.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st
from testkit.s3_backend import ACCESS_KEY_ID, SECRET, Backend
from testkit.s3_stores import endpoint_of
from testkit.scripted_s3 import ScriptedBackend, answer, scripted

from kms_core.clock import SystemClock
from kms_core.crypto.secret import Secret
from sseproxy.store.contract import Busy, Expectation, NoSuchUpload, StoredHeaders, Unsupported
from sseproxy.store.s3 import Capabilities, Credentials, Retries, S3Store
from sseproxy.store.s3.capabilities import MIN_PART, Order
from sseproxy.store.s3.documents import completion, deletion, fits_xml, read_document
from sseproxy.store.s3.etags import bare, shown, shows
from sseproxy.store.s3.headers import from_backend, to_backend
from sseproxy.store.s3.names import KeyShape, check_key, path_of, query_of, shapes
from sseproxy.store.s3.places import AtBackend, Parked, parked_key, parks, read_place
from sseproxy.store.s3.signing import Signer

BUCKET = "bucket"
HEADERS = StoredHeaders("ZW52ZWxvcGU", (("content-type", "text/plain"),), (("a", "  x  y"),))
AT = 1_445_412_480.0  # 2015-10-21T07:28:00Z


class Then:
    """A clock that stands still."""

    def now(self) -> float:
        return AT


@pytest.fixture
async def backend() -> AsyncIterator[ScriptedBackend]:
    async with scripted() as running:
        running.usual["PUT"] = answer(200, etag='"e"')
        yield running


@pytest.fixture
async def store(backend: ScriptedBackend) -> AsyncIterator[S3Store]:
    """A store that has started."""
    able = Capabilities(
        server="scripted",
        put_if_absent=False,
        put_if_match=False,
        complete_if_absent=False,
        complete_if_match=False,
        read_if_match=True,
        checks_crc32c=True,
        keeps_redirect=False,
        copy_keeps_etag=True,
        copy_keeps_date=True,
        complete_again=True,
        versions=False,
        minimum_part=MIN_PART,
        order=Order.BYTES,
        refused_keys=frozenset(),
    )
    at = endpoint_of(Backend("scripted", backend.endpoint))
    made = S3Store(at, clock=SystemClock(), capabilities=able, prefix="of-ours-")
    await made.create_bucket(BUCKET)
    await made.capabilities()
    yield made
    await made.close()


@contextmanager
def costs(backend: ScriptedBackend, *expected: str) -> Iterator[None]:
    """Exactly these requests in the block."""
    backend.forget()
    yield
    assert backend.methods() == list(expected)


async def put(store: S3Store, size: int) -> None:
    stage = await store.stage(BUCKET, "k", HEADERS, size)
    for start in range(0, size, 1 << 20):
        await stage.write(bytes(min(1 << 20, size - start)))
    await stage.commit(None)


def listing(count: int) -> bytes:
    rows = "".join(
        f"<Contents><Key>k+{n:04}%2F</Key><ETag>&quot;{n:032x}&quot;</ETag><Size>{n}</Size>"
        "<LastModified>2015-10-21T07:28:00.500Z</LastModified></Contents>"
        for n in range(count)
    )
    inside = f"<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>{rows}"
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</ListBucketResult>'.encode()


async def test_each_verb_costs_as_few_requests_as_promised(store: S3Store, backend: ScriptedBackend) -> None:
    found = answer(200, etag='"e"', content_length="10", last_modified="Wed, 21 Oct 2015 07:28:00 GMT")
    with costs(backend, "PUT"):
        await put(store, 424)
    with costs(backend, "PUT"):
        await put(store, 3_000_000)
    with costs(backend, "HEAD"):
        backend.on("HEAD", found)
        stat = await store.stat(BUCKET, "k")
    with costs(backend, "GET"):
        backend.on("GET", answer(206, b"3456", etag='"e"', content_range="bytes 3-6/10"))
        assert b"".join([block async for block in store.open(stat, 3, 6)]) == b"3456"
    with costs(backend, "DELETE"):
        await store.delete(BUCKET, ["k"])
    with costs(backend, "POST", "POST"):
        backend.usual["POST"] = answer(200, b"<DeleteResult/>")
        await store.delete(BUCKET, [str(n) for n in range(1001)])


async def test_a_page_of_a_thousand_keys_is_one_request(store: S3Store, backend: ScriptedBackend) -> None:
    with costs(backend, "GET"):
        backend.on("GET", answer(200, listing(1000)))
        page = await store.list(BUCKET, "k", "", "k 0000", 1000)
    assert backend.seen[0].query == {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": "1000",
        "prefix": "k",
        "start-after": "k 0000",
    }
    assert (len(page.rows), page.truncated) == (1000, True)
    row = page.rows[7]
    assert (row.key, row.size, row.etag, row.modified) == ("k 0007/", 7, f"{7:032x}-1", AT + 0.5)


@pytest.mark.parametrize(("after", "asked"), [("a", True), ("b", True), ("c", False)])
async def test_a_mark_outside_of_the_prefix_is_settled_here(
    store: S3Store, backend: ScriptedBackend, after: str, asked: bool
) -> None:
    """Servers do not agree on it: one lists nothing for a mark that comes before the prefix."""
    backend.forget()
    backend.usual["GET"] = answer(200, b"<ListBucketResult/>")
    assert (await store.list(BUCKET, "b", "", after, 10)).rows == ()
    assert [one.query.get("start-after") for one in backend.seen] == ([None if after == "a" else "b"] if asked else [])


async def test_a_conditional_write_that_the_backend_lacks_is_refused_and_not_sent(
    store: S3Store, backend: ScriptedBackend
) -> None:
    for expect in (Expectation(absent=True), Expectation(etag="e-1")):
        with costs(backend), pytest.raises(Unsupported):
            await store.stage(BUCKET, "k", HEADERS, 10, expect)


async def test_a_small_body_carries_its_crc32c(store: S3Store, backend: ScriptedBackend) -> None:
    backend.forget()
    stage = await store.stage(BUCKET, "k", HEADERS, 9)
    await stage.write(b"123456789")
    await stage.commit(None)
    (sent,) = backend.seen
    # The check value of CRC-32C (RFC 3720 polynomial) over "123456789" is E3069283.
    assert (sent.body, sent.headers["x-amz-checksum-crc32c"]) == (b"123456789", "4waSgw==")
    assert sent.path == "/of-ours-bucket/k"
    assert (sent.headers["x-amz-meta-ssep"], sent.headers["content-length"]) == ("ZW52ZWxvcGU", "9")
    assert "accept-encoding" not in sent.headers


@pytest.mark.parametrize("key", ["k", "a b/c+d", "../é", "//", "a%2Fb", "~-._", "(*'!)", "\U0001f600?x=y&z#f"])
@pytest.mark.parametrize("token", [None, "session/token=="])
def test_a_signature_is_the_one_that_botocore_makes(key: str, token: str | None) -> None:
    path, query = path_of("bucket", key), query_of((("uploadId", "a+b/c="), ("partNumber", "3")))
    credentials = Credentials(ACCESS_KEY_ID, Secret(SECRET.encode()), token)
    sent = Signer(lambda: credentials, "eu-west-1", Then()).sign(
        "PUT", "host:9000", path, query, {"content-type": "a/b", "x-amz-meta-a": "x  y", "if-none-match": "*"}
    )
    assert sent["x-amz-date"] == "20151021T072800Z"
    assert sent.get("x-amz-security-token") == token
    request = AWSRequest("PUT", f"http://host:9000{path}?{query}", headers=sent)
    request.context["timestamp"] = sent["x-amz-date"]
    theirs = _Unsigned(BotoCredentials(ACCESS_KEY_ID, SECRET, token), "s3", "eu-west-1")
    del request.headers["authorization"]
    text = theirs.string_to_sign(request, theirs.canonical_request(request))
    assert sent["authorization"].rpartition("=")[2] == theirs.signature(text, request)


class _Unsigned(S3SigV4Auth):
    """botocore's signer, for a payload that is not signed."""

    def payload(self, request: object) -> str:
        return "UNSIGNED-PAYLOAD"


def test_another_secret_or_region_makes_another_signature() -> None:
    def signed(secret: str, region: str) -> str:
        credentials = Credentials(ACCESS_KEY_ID, Secret(secret.encode()))
        return Signer(lambda: credentials, region, Then()).sign("GET", "h", "/b", "", {})["authorization"][-64:]

    assert len({signed("a", "r"), signed("b", "r"), signed("a", "s")}) == 3


def test_credentials_that_are_renewed_are_used_at_once() -> None:
    current = [Credentials("one", Secret(b"a"))]
    signer = Signer(lambda: current[0], "r", Then())
    before = signer.sign("GET", "h", "/b", "", {})["authorization"]
    current[0] = Credentials("one", Secret(b"b"), "token")
    after = signer.sign("GET", "h", "/b", "", {})
    assert after["x-amz-security-token"] == "token"
    key = b"AWS4b"
    for step in ("20151021", "r", "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), hashlib.sha256)
    assert before[-64:] != after["authorization"][-64:]


@given(st.from_regex(r"[0-9a-f]{32}(-[0-9]{1,5})?", fullmatch=True))
def test_no_etag_that_is_shown_looks_like_an_md5_and_the_backends_is_told_from_others(etag: str) -> None:
    assert "-" in shown(etag)
    assert shown(shown(etag)) == shown(etag)
    assert shows(etag, shown(etag))
    assert not shows(etag, "f" + shown(etag))
    assert bare(f'W/"{etag}"') == etag


VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(st.dictionaries(st.from_regex(r"[a-z0-9_-]{1,9}", fullmatch=True).filter(lambda n: n != "ssep"), VALUE))
def test_headers_come_back_as_they_went_and_no_value_is_empty(user: dict[str, str]) -> None:
    headers = StoredHeaders("ZQ", (("content-type", "a/b"),), tuple(sorted(user.items())))
    sent = to_backend(headers, keeps_redirect=False)
    assert all(sent.values())
    assert from_backend(sent) == headers


@pytest.mark.parametrize("value", ["", "=?UTF-8?B??=", "=?UTF-8?B??==", "=?UTF-8?B??==="])
def test_what_looks_like_an_empty_word_is_told_from_it(value: str) -> None:
    headers = StoredHeaders("ZQ", (), (("v", value),))
    assert from_backend(to_backend(headers, keeps_redirect=True)) == headers


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/b", set()),
        ("...", set()),
        ("a..b/.c", set()),
        ("/a", {KeyShape.EMPTY_SEGMENT}),
        ("a//", {KeyShape.EMPTY_SEGMENT, KeyShape.TRAILING_SLASH}),
        ("/", {KeyShape.EMPTY_SEGMENT, KeyShape.TRAILING_SLASH}),
        ("../a", {KeyShape.DOT_SEGMENT}),
        ("a/.", {KeyShape.DOT_SEGMENT}),
        ("a/../", {KeyShape.DOT_SEGMENT, KeyShape.TRAILING_SLASH}),
        ("a\\b", {KeyShape.BACKSLASH}),
        ("a\x7f", {KeyShape.CONTROL}),
        ("é" * 128, {KeyShape.LONG_SEGMENT}),
        ("é" * 127 + "/" + "x" * 255, set()),
    ],
)
def test_a_key_has_its_shapes_and_is_refused_for_each(key: str, expected: set[KeyShape]) -> None:
    assert shapes(key) == expected
    check_key(key, set(KeyShape) - expected)
    for shape in expected:
        with pytest.raises(Unsupported):
            check_key(key, {shape})


def test_a_place_comes_back_as_it_was_given_out() -> None:
    for place in (AtBackend(7, 5_242_880, "e-1"), Parked(3, 17, parked_key("b-c.d", "u=p+L", 3, "0" * 32))):
        assert read_place("b-c.d", str(place)) == place


@pytest.mark.parametrize(
    "place",
    [
        "",
        "part:0:1:e",
        "part:1:1:",
        "part:1:1:e:f",
        "part:1:1:e\n",
        "parked:1:other/u/1/" + "0" * 32,
        "parked:1:bucket/../1/" + "0" * 31,
        "parked:1:bucket/u/x/1/" + "0" * 32,
        "parked:1:bucket/u/1/" + "0" * 32 + "/x",
    ],
)
def test_a_place_that_was_never_given_out_is_no_such_upload(place: str) -> None:
    with pytest.raises(NoSuchUpload):
        read_place("bucket", place)


def test_only_what_can_be_last_is_parked() -> None:
    assert not parks(9_999, MIN_PART)
    assert parks(9_999, MIN_PART - 1)
    assert parks(10_000, MIN_PART)


@given(st.text())
def test_a_key_that_fits_xml_survives_the_document_of_a_deletion(key: str) -> None:
    if fits_xml(key):
        (found,) = read_document(deletion([key])).children("Object")
        assert found.text("Key") == key


def test_a_completion_names_parts_in_order() -> None:
    parts = list(read_document(completion([(1, '"a"'), (3, '"<b>"')])).children("Part"))
    assert [(part.text("PartNumber"), part.text("ETag")) for part in parts] == [("1", '"a"'), ("3", '"<b>"')]


async def test_waits_between_tries_are_random_and_grow_to_a_limit() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def fail() -> None:
        raise Busy

    retries = Retries(attempts=6, first=0.1, longest=0.5, sleep=sleep, random=lambda: 0.5)
    with pytest.raises(Busy):
        await retries.run(fail)
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.25, 0.25])
    with pytest.raises(Busy):
        await retries.run(fail, again=False)
    assert len(waits) == 5


@pytest.mark.parametrize("url", ["", "host:9000", "ftp://h", "http://h/path", "http://h?x=y", "http://"])
def test_an_endpoint_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        S3Store(endpoint_of(Backend("none", url)), clock=SystemClock())


def test_a_path_is_encoded_once_and_never_resolved() -> None:
    assert path_of("b", "a/../b//c d+é") == "/b/a/../b//c%20d%2B%C3%A9"
    assert path_of("b", "~") == "/b/" + quote("~")
