"""Attacks of whoever holds the disk: bodies changed, cut, mixed and moved under a running proxy."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from attacks.at_rest import SEALED, SEGMENT, Backend, Read, read, segments
from testkit.proxy import ALICE, ROOT, Proxy, running

import sseproxy

KMS = {"ServerSideEncryption": "aws:kms"}
SMALL, LARGE, LONG = 1_000, 4 * SEGMENT + 5_000, 40 * SEGMENT
MIN_PART = 5 * 1024 * 1024


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy whose disk is the attacker's."""
    with running(tmp_path_factory.mktemp("body") / "data") as started:
        started.client("s3").create_bucket(Bucket="attacked")
        yield started


@pytest.fixture(scope="module")
def s3(victim: Proxy) -> Any:
    """A client that believes what it gets: it checks no checksum of its own."""
    return victim.client("s3", ALICE, response_checksum_validation="when_required")


@pytest.fixture(scope="module")
def backend(victim: Proxy) -> Backend:
    """The attacker's view of the bucket."""
    return Backend(victim.data, "attacked")


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of the test's own."""
    return f"{request.node.name}"


def noise(size: int, seed: int = 0) -> bytes:
    """Plaintext that is the same each time."""
    return random.Random(seed).randbytes(size)


def put(s3: Any, key: str, size: int, seed: int = 0, **more: Any) -> bytes:
    """Put an object through the proxy, and see that it reads back; the plaintext."""
    plaintext = noise(size, seed)
    s3.put_object(Bucket="attacked", Key=key, Body=plaintext, **more)
    assert read(s3, "attacked", key) == Read(plaintext)
    return plaintext


def put_parts(s3: Any, key: str, *bodies: bytes, **more: Any) -> bytes:
    """Put an object in parts through the proxy, and see that it reads back; the plaintext."""
    upload = s3.create_multipart_upload(Bucket="attacked", Key=key, **more)["UploadId"]
    named = {"Bucket": "attacked", "Key": key, "UploadId": upload}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert read(s3, "attacked", key) == Read(b"".join(bodies))
    return b"".join(bodies)


def flipped(body: bytes, at: int) -> bytes:
    """One bit changed."""
    return body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


KINDS = pytest.mark.parametrize("kind", [{}, KMS], ids=["sse-s3", "sse-kms"])


@KINDS
@pytest.mark.parametrize("size", [0, 1, SMALL, LARGE])
@pytest.mark.parametrize("place", ["salt", "ciphertext", "tag"])
def test_a_flipped_bit_in_the_first_segment_lets_nothing_leave(
    s3: Any, backend: Backend, key: str, size: int, kind: dict[str, str], place: str
) -> None:
    """Attack 1."""
    put(s3, key, size, **kind)
    first = min(size, SEGMENT)
    at = {"salt": 3, "ciphertext": 16 + first // 2, "tag": 16 + first}[place]
    backend.edit(key, body=flipped(backend.get(key).body, at))
    assert read(s3, "attacked", key).refused


@KINDS
def test_a_flipped_bit_deep_in_a_body_cuts_the_answer_before_its_segment(
    s3: Any, backend: Backend, key: str, kind: dict[str, str]
) -> None:
    """Attacks 1 and 28: what left before is the plaintext's beginning, and a range that ends before it still reads."""
    plaintext = put(s3, key, LONG, **kind)
    bad = 33
    backend.edit(key, body=flipped(backend.get(key).body, bad * SEALED + 1_000))
    got = read(s3, "attacked", key)
    assert got.error is not None
    assert len(got.data) <= bad * SEGMENT
    assert plaintext.startswith(got.data)
    before = read(s3, "attacked", key, Range=f"bytes=5-{bad * SEGMENT - 1}")
    assert before == Read(plaintext[5 : bad * SEGMENT])
    assert read(s3, "attacked", key, Range=f"bytes={(bad + 1) * SEGMENT}-").data == plaintext[(bad + 1) * SEGMENT :]
    across = read(s3, "attacked", key, Range=f"bytes={bad * SEGMENT - 10}-{bad * SEGMENT + 10}")
    assert across.refused


def _swapped(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([parts[1], parts[0], *parts[2:], end])


def _doubled_in_place(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([parts[0], parts[0], *parts[2:], end])


def _inserted(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([parts[0], *parts, end])


def _last_dropped(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([*parts[:-1], end])


def _one_dropped(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([parts[0], *parts[2:], end])


def _last_halved(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([*parts[:-1], parts[-1][:1_000], end])


def _footer_gone(parts: list[bytes], end: bytes) -> bytes:
    return b"".join(parts)


def _footer_halved(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([*parts, end[: len(end) // 2]])


def _all_gone(parts: list[bytes], end: bytes) -> bytes:
    return b""


def _one_byte_more(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([*parts, end, b"\0"])


def _a_segment_more(parts: list[bytes], end: bytes) -> bytes:
    return b"".join([*parts, end, parts[1]])


@KINDS
@pytest.mark.parametrize("told", ["true-size", "old-size"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_swapped, id="2-segments-swapped"),
        pytest.param(_doubled_in_place, id="3-segment-over-another"),
        pytest.param(_inserted, id="3-segment-inserted"),
        pytest.param(_one_dropped, id="4-segment-dropped"),
        pytest.param(_last_dropped, id="4-last-segment-dropped"),
        pytest.param(_last_halved, id="4-last-segment-cut"),
        pytest.param(_all_gone, id="4-everything-cut"),
        pytest.param(_footer_gone, id="5-footer-cut"),
        pytest.param(_footer_halved, id="5-footer-halved"),
        pytest.param(_one_byte_more, id="6-byte-appended"),
        pytest.param(_a_segment_more, id="6-segment-appended"),
    ],
)
def test_segments_moved_cut_or_added_never_give_other_bytes(
    s3: Any,
    backend: Backend,
    key: str,
    kind: dict[str, str],
    told: str,
    change: Callable[[list[bytes], bytes], bytes],
) -> None:
    """Attacks 2 to 6. Where the index goes on telling the old size, bytes that the answer needs may all be there: then
    it is the whole plaintext; where it tells the new one, every change is an error."""
    plaintext = put(s3, key, LARGE, **kind)
    before = backend.get(key)
    body = change(*segments(before.body, LARGE))
    assert body != before.body
    backend.edit(key, body=body, size=len(body) if told == "true-size" else before.size)
    got = read(s3, "attacked", key)
    if got.error is None:
        assert told == "old-size"
        assert got.data == plaintext
        assert body.startswith(before.body[: LARGE + 32 * 5])
    else:
        assert plaintext.startswith(got.data)
        assert len(got.data) < len(plaintext)


def test_a_cut_footer_is_noticed_by_whoever_asks_for_checksums(s3: Any, backend: Backend, key: str) -> None:
    """Attack 5, where a plain GET has no need of the footer."""
    put(s3, key, LARGE, **KMS)
    before = backend.get(key)
    backend.edit(key, body=flipped(before.body, len(before.body) - 60))
    assert read(s3, "attacked", key, ChecksumMode="ENABLED").refused
    backend.edit(key, body=before.body)
    assert read(s3, "attacked", key, ChecksumMode="ENABLED").error is None


@KINDS
@pytest.mark.parametrize("attack", ["7-last-part-dropped", "8-parts-reordered", "6-part-doubled", "5-footer-dropped"])
def test_parts_dropped_moved_or_doubled_are_an_error(
    s3: Any, backend: Backend, key: str, kind: dict[str, str], attack: str
) -> None:
    """Attacks 5 to 8, on an object of three parts."""
    put_parts(s3, key, noise(MIN_PART, 1), noise(MIN_PART, 2), noise(70_000, 3), **kind)
    first, second, third, footer = (backend.blob(place).read_bytes() for place, _ in backend.extents(key))
    body = {
        "7-last-part-dropped": first + second + footer,
        "8-parts-reordered": second + first + third + footer,
        "6-part-doubled": first + second + second + third + footer,
        "5-footer-dropped": first + second + third,
    }[attack]
    backend.edit(key, body=body)
    assert read(s3, "attacked", key).refused


@pytest.mark.parametrize("attack", ["9-spliced", "53-whole-attempt"])
def test_a_superseded_attempt_of_a_part_is_an_error(s3: Any, backend: Backend, key: str, attack: str) -> None:
    """Attacks 9 and 53: both attempts were sealed under the same object key and part number."""
    upload = s3.create_multipart_upload(Bucket="attacked", Key=key, **KMS)["UploadId"]
    named = {"Bucket": "attacked", "Key": key, "UploadId": upload, "PartNumber": 1}
    before = backend.places()
    s3.upload_part(**named, Body=noise(LARGE, 1))
    (place,) = backend.places() - before
    old = backend.blob(place).read_bytes()
    etag = s3.upload_part(**named, Body=noise(LARGE, 2))["ETag"]
    s3.complete_multipart_upload(
        Bucket="attacked", Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
    )
    assert read(s3, "attacked", key) == Read(noise(LARGE, 2))
    new = backend.get(key).body
    cut = SEALED if attack == "9-spliced" else len(old)
    backend.edit(key, body=old[:cut] + new[cut:])
    assert read(s3, "attacked", key).refused
    backend.edit(key, body=new[:SEALED] + old[SEALED:] + new[len(old) :])
    got = read(s3, "attacked", key)
    assert got.error is not None
    assert noise(LARGE, 2).startswith(got.data)


@pytest.mark.parametrize("bucket_key", [False, True], ids=["own-data-key", "11-bucket-key"])
@pytest.mark.parametrize("kind", [{}, KMS], ids=["sse-s3", "sse-kms"])
def test_an_object_copied_over_another_one_is_refused(
    s3: Any, backend: Backend, key: str, kind: dict[str, str], bucket_key: bool
) -> None:
    """Attacks 10 and 11: with a bucket key the key service itself would open it, the seal does not."""
    more = {**kind, **({"BucketKeyEnabled": True} if bucket_key and kind else {})}
    put(s3, f"{key}-a", SMALL, 1, **more)
    put(s3, f"{key}-b", SMALL, 2, **more)
    backend.put(f"{key}-b", backend.get(f"{key}-a"))
    got = read(s3, "attacked", f"{key}-b")
    assert got.refused
    assert got.status < 500
    assert read(s3, "attacked", f"{key}-a") == Read(noise(SMALL, 1))


def test_an_object_moved_to_another_bucket_is_refused(victim: Proxy, s3: Any, backend: Backend, key: str) -> None:
    """Attack 10, across buckets, under one KMS key and under the service's."""
    s3.create_bucket(Bucket="elsewhere")
    for kind in ({}, KMS):
        put(s3, key, SMALL, **kind)
        s3.put_object(Bucket="elsewhere", Key=key, Body=b"theirs", **kind)
        Backend(victim.data, "elsewhere").put(key, backend.get(key))
        assert read(s3, "elsewhere", key).refused


@KINDS
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_body_of_one_version_under_the_header_of_another_is_refused(
    s3: Any, backend: Backend, key: str, kind: dict[str, str], size: int
) -> None:
    """Attack 12. And 34: a whole older version put back reads as what it was, which FORMAT.md says."""
    put(s3, key, size, 1, **kind)
    old = backend.get(key)
    put(s3, key, size, 2, **kind)
    new = backend.get(key)
    backend.put(key, replace(new, body=old.body))
    assert read(s3, "attacked", key).refused
    backend.put(key, replace(old, body=new.body))
    assert read(s3, "attacked", key).refused
    backend.put(key, old)
    assert read(s3, "attacked", key) == Read(noise(size, 1))
    written = Path(sseproxy.__file__).with_name("FORMAT.md").read_text().partition("## What is not detected")[2]
    assert "A whole older version" in written


def test_every_sealed_byte_of_a_body_differs_between_two_puts_of_the_same(s3: Any, backend: Backend, key: str) -> None:
    """What 9 and 12 rest on: keys and salts are fresh for each put."""
    put(s3, key, LARGE)
    old, _ = segments(backend.get(key).body, LARGE)
    put(s3, key, LARGE)
    new, _ = segments(backend.get(key).body, LARGE)
    assert {part[:16] for part in old}.isdisjoint(part[:16] for part in new)
    assert all(one[16:48] != other[16:48] for one, other in zip(old, new, strict=True))


def test_a_blob_that_is_gone_is_an_error(s3: Any, backend: Backend, key: str) -> None:
    """A file removed under its row."""
    put(s3, key, LARGE)
    ((place, _),) = backend.extents(key)
    backend.blob(place).unlink()
    assert read(s3, "attacked", key).refused


def test_a_copy_of_a_tampered_object_commits_nothing(victim: Proxy, s3: Any, backend: Backend, key: str) -> None:
    """Attack 1 through CopyObject and UploadPartCopy: a copy must not launder what does not verify."""
    put(s3, key, LARGE, **KMS)
    backend.edit(key, body=flipped(backend.get(key).body, 4 * SEALED + 100))
    source = {"Bucket": "attacked", "Key": key}
    with pytest.raises(s3.exceptions.ClientError):
        s3.copy_object(Bucket="attacked", Key=f"{key}-copy", CopySource=source)
    upload = s3.create_multipart_upload(Bucket="attacked", Key=f"{key}-copy")["UploadId"]
    named = {"Bucket": "attacked", "Key": f"{key}-copy", "UploadId": upload}
    with pytest.raises(s3.exceptions.ClientError):
        s3.upload_part_copy(**named, PartNumber=1, CopySource=source)
    assert "Parts" not in s3.list_parts(**named)
    assert read(victim.client("s3", ROOT), "attacked", f"{key}-copy").error == "NoSuchKey"
