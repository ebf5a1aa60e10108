"""Claims and bodies: what a head promises, over a fake of ASGI's receive."""

import asyncio
import base64
import hashlib
import io
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS, AwsChunkedWrapper

from kms_core.crypto.secret import Secret
from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import Signed, SigningChain
from sseproxy.gate.aws_chunked import Encoding
from sseproxy.gate.body import Body, BodyClaims, ClientGone, Digests, Receive, read_claims
from sseproxy.s3.checksums import Algorithm, encode, new_digest
from sseproxy.s3.errors import (
    BadDigest,
    EntityTooLarge,
    IncompleteBody,
    InvalidArgument,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailerError,
    MissingContentLength,
    RequestTimeout,
    SignatureDoesNotMatch,
    XAmzContentSHA256Mismatch,
)

PAYLOAD = bytes(range(256)) * 100
CHAIN = SigningChain("0" * 64, Secret(b"key"), "20130524/us-east-1/s3/aws4_request", "20130524T000000Z")
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def head(method: str = "PUT", *more: tuple[str, str], **headers: str) -> HttpHead:
    pairs = [*((name.replace("_", "-"), value) for name, value in headers.items()), *more]
    wire = tuple((name.encode(), value.encode()) for name, value in pairs)
    return HttpHead(method, b"/b/k", b"", wire, "192.0.2.1", False, 0.0)


def signature(payload_hash: str | None, *, presigned: bool = False) -> Signed:
    return Signed(
        "AKID", "20130524", "us-east-1", "s3", ("host",), "0" * 64, 0.0, "", None, presigned, payload_hash, None
    )


def claims_of(method: str = "PUT", /, **headers: str) -> BodyClaims:
    return read_claims(head(method, **headers), signature(headers.get("x_amz_content_sha256", "UNSIGNED-PAYLOAD")))


def checksum(algorithm: Algorithm, data: bytes = PAYLOAD) -> str:
    digest = new_digest(algorithm)
    digest.update(data)
    return encode(digest.digest())


def arriving(*blocks: bytes, complete: bool = True) -> Receive:
    """A socket that hands over these blocks, and then either nothing more, or a disconnect."""
    messages: list[Mapping[str, object]] = [
        {"type": "http.request", "body": block, "more_body": not complete or at < len(blocks) - 1}
        for at, block in enumerate(blocks)
    ]
    messages.append({"type": "http.disconnect"})

    async def receive() -> Mapping[str, object]:
        return messages.pop(0)

    return receive


def cut(data: bytes, size: int = 7000) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


async def consume(claims: BodyClaims, wire: bytes, *, md5: bool = False, extra: Algorithm | None = None) -> Digests:
    body = Body(claims, arriving(*cut(wire)), CHAIN, idle_timeout=60)
    body.compute(md5=md5, algorithm=extra)
    assert b"".join([block async for block in body.blocks(update=True)]) == PAYLOAD
    return body.verify()


def framed(algorithm: Algorithm = Algorithm.CRC32, data: bytes = PAYLOAD) -> bytes:
    cls = _CHECKSUM_CLS[algorithm.lower()]
    return AwsChunkedWrapper(io.BytesIO(data), checksum_cls=cls, checksum_name=algorithm.header).read()


async def test_a_plain_body_comes_through_whole() -> None:
    digests = await consume(claims_of(content_length="25600"), PAYLOAD)
    assert digests == Digests(25600, None, {})


async def test_digests_that_were_asked_for_are_given() -> None:
    digests = await consume(claims_of(content_length="25600"), PAYLOAD, md5=True, extra=Algorithm.CRC64NVME)
    assert digests.md5 == hashlib.md5(PAYLOAD, usedforsecurity=False).digest()
    assert {name: encode(value) for name, value in digests.checksums.items()} == {
        Algorithm.CRC64NVME: checksum(Algorithm.CRC64NVME)
    }


@pytest.mark.parametrize("algorithm", Algorithm)
async def test_a_checksum_in_the_head_is_held_to(algorithm: Algorithm) -> None:
    length = "25600"
    good = read_claims(
        head("PUT", (algorithm.header, checksum(algorithm)), content_length=length), signature("UNSIGNED-PAYLOAD")
    )
    assert encode((await consume(good, PAYLOAD)).checksums[algorithm]) == checksum(algorithm)
    bad = read_claims(
        head("PUT", (algorithm.header, checksum(algorithm, b"")), content_length=length), signature("UNSIGNED-PAYLOAD")
    )
    with pytest.raises(BadDigest, match=f"^The {algorithm} you specified did not match the calculated checksum.$"):
        await consume(bad, PAYLOAD)


async def test_a_content_md5_is_held_to() -> None:
    right = base64.b64encode(hashlib.md5(PAYLOAD, usedforsecurity=False).digest()).decode()
    wrong = base64.b64encode(hashlib.md5(b"", usedforsecurity=False).digest()).decode()
    digests = await consume(claims_of(content_length="25600", content_md5=right), PAYLOAD)
    assert encode(digests.md5 or b"") == right
    with pytest.raises(BadDigest, match=r"^The Content-MD5 you specified did not match what we received\.$"):
        await consume(claims_of(content_length="25600", content_md5=wrong), PAYLOAD)


async def test_the_signed_payload_hash_is_held_to() -> None:
    right, wrong = hashlib.sha256(PAYLOAD).hexdigest(), hashlib.sha256(b"").hexdigest()
    assert (await consume(claims_of(content_length="25600", x_amz_content_sha256=right), PAYLOAD)).checksums == {}
    with pytest.raises(XAmzContentSHA256Mismatch) as caught:
        await consume(claims_of(content_length="25600", x_amz_content_sha256=wrong), PAYLOAD)
    assert caught.value.extra == {"ClientComputedContentSHA256": wrong, "S3ComputedContentSHA256": right}


@pytest.mark.parametrize("length", [25599, 25601])
async def test_another_number_of_bytes_than_announced_is_refused(length: int) -> None:
    with pytest.raises(IncompleteBody):
        await consume(claims_of(content_length=str(length)), PAYLOAD)


@pytest.mark.parametrize("algorithm", [Algorithm.CRC32, Algorithm.CRC64NVME, Algorithm.SHA256, Algorithm.XXHASH3])
async def test_a_checksum_in_a_trailer_is_held_to(algorithm: Algorithm) -> None:
    claims = claims_of(
        x_amz_content_sha256=UNSIGNED_TRAILER,
        x_amz_decoded_content_length="25600",
        x_amz_trailer=algorithm.header,
        x_amz_sdk_checksum_algorithm=algorithm,
    )
    wire = framed(algorithm)
    assert encode((await consume(claims, wire)).checksums[algorithm]) == checksum(algorithm)
    right = checksum(algorithm).encode()
    with pytest.raises(BadDigest):
        await consume(claims, wire.replace(right, checksum(algorithm, b"").encode()))
    with pytest.raises(InvalidRequest, match=f"^Value for {algorithm.header} trailing header is invalid.$"):
        await consume(claims, wire.replace(right, b"AAAA" + right))
    with pytest.raises(MalformedTrailerError):
        await consume(claims, wire.replace(algorithm.header.encode() + b":" + right + b"\r\n", b""))


def signed_wire(chunk: bytes) -> bytes:
    out, previous = b"", CHAIN.seed
    empty = hashlib.sha256(b"").hexdigest()
    for data in (chunk, b""):
        digest = hashlib.sha256(data).hexdigest()
        previous = CHAIN.sign(
            f"AWS4-HMAC-SHA256-PAYLOAD\n{CHAIN.amz_date}\n{CHAIN.scope}\n{previous}\n{empty}\n{digest}"
        )
        out += f"{len(data):x};chunk-signature={previous}\r\n".encode() + data + b"\r\n"
    return out


async def test_signed_chunks_are_held_to() -> None:
    claims = claims_of(x_amz_content_sha256=Encoding.SIGNED, x_amz_decoded_content_length="25600")
    assert await consume(claims, signed_wire(PAYLOAD)) == Digests(25600, None, {})
    with pytest.raises(SignatureDoesNotMatch):
        await consume(claims, signed_wire(PAYLOAD).replace(PAYLOAD, PAYLOAD[::-1]))


async def test_hashing_in_a_worker_thread_gives_the_same_verdict() -> None:
    claims = claims_of(x_amz_content_sha256=Encoding.SIGNED, x_amz_decoded_content_length="25600")
    for wire, good in ((signed_wire(PAYLOAD), True), (signed_wire(PAYLOAD).replace(PAYLOAD, PAYLOAD[::-1]), False)):
        body = Body(claims, arriving(*cut(wire)), CHAIN, idle_timeout=60)
        body.compute(algorithm=Algorithm.SHA1)
        with ThreadPoolExecutor(1) as worker:
            under_way = [worker.submit(body.update, block) async for block in body.blocks()]
        if good:
            assert encode(body.verify().checksums[Algorithm.SHA1]) == checksum(Algorithm.SHA1)
        else:
            assert isinstance(under_way[-1].exception(), SignatureDoesNotMatch)


async def test_a_body_that_was_not_hashed_to_its_end_is_never_verified() -> None:
    body = Body(claims_of(content_length="25600"), arriving(PAYLOAD), None, idle_timeout=60)
    with pytest.raises(RuntimeError, match=r"sseproxy\.gate\.body"):
        body.verify()
    assert [len(block) async for block in body.blocks()] == [25600]
    with pytest.raises(RuntimeError, match=r"sseproxy\.gate\.body"):
        body.verify()
    body.update(PAYLOAD)
    assert body.verify().length == 25600


async def test_no_block_is_larger_than_what_the_server_gave() -> None:
    body = Body(claims_of(content_length="25600"), arriving(*cut(PAYLOAD)), None, idle_timeout=60)
    assert [len(block) async for block in body.blocks()] == [7000, 7000, 7000, 4600]


async def test_a_client_that_hangs_up_is_gone() -> None:
    body = Body(claims_of(content_length="25600"), arriving(PAYLOAD[:100], complete=False), None, idle_timeout=60)
    with pytest.raises(ClientGone):
        await body.read_all(100_000)


async def test_a_client_that_stalls_is_timed_out() -> None:
    async def never() -> Mapping[str, object]:
        return await asyncio.get_running_loop().create_future()

    with pytest.raises(RequestTimeout):
        await Body(claims_of(content_length="1"), never, None, idle_timeout=0).read_all(10)


async def test_a_document_is_read_whole_and_verified_if_it_is_not_too_large() -> None:
    claims = claims_of(content_length="25600", x_amz_content_sha256=hashlib.sha256(PAYLOAD).hexdigest())
    assert await Body(claims, arriving(*cut(PAYLOAD)), None, idle_timeout=60).read_all(25600) == PAYLOAD
    with pytest.raises(EntityTooLarge):
        await Body(claims, arriving(*cut(PAYLOAD)), None, idle_timeout=60).read_all(25599)
    with pytest.raises(XAmzContentSHA256Mismatch):
        await Body(claims, arriving(PAYLOAD[::-1]), None, idle_timeout=60).read_all(25600)


async def test_a_get_has_no_body_unless_it_says_so() -> None:
    claims = claims_of("GET")
    assert claims == BodyClaims(0, Encoding.PLAIN, None, None, {}, None)
    assert await Body(claims, arriving(b""), None, idle_timeout=60).read_all(0) == b""


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content_length": ""},
        {"content_length": "-1"},
        {"content_length": "+5"},
        {"content_length": "5, 5"},
        {"content_length": "٣"},
        {"transfer_encoding": "chunked"},
        {"x_amz_content_sha256": UNSIGNED_TRAILER, "content_length": "5"},
        {"x_amz_content_sha256": UNSIGNED_TRAILER, "x_amz_decoded_content_length": "five"},
    ],
)
def test_a_put_without_a_length_is_411(headers: dict[str, str]) -> None:
    with pytest.raises(MissingContentLength) as caught:
        claims_of(**headers)
    assert caught.value.status == 411


@pytest.mark.parametrize("value", ["", "x", "AAAA", "=" * 24, base64.b64encode(b"x" * 17).decode()])
def test_a_content_md5_that_is_none_is_an_invalid_digest(value: str) -> None:
    with pytest.raises(InvalidDigest):
        claims_of(content_length="0", content_md5=value)


CRC32, SHA1 = checksum(Algorithm.CRC32), checksum(Algorithm.SHA1)
TRAILER = {"x_amz_content_sha256": UNSIGNED_TRAILER, "x_amz_decoded_content_length": "1"}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (
            {"x_amz_checksum_crc32": CRC32, "x_amz_checksum_sha1": SHA1},
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ),
        ({"x_amz_checksum_crc16": "AAA="}, "The algorithm type you specified in x-amz-checksum- header is invalid."),
        ({"x_amz_checksum_crc32": SHA1}, "Value for x-amz-checksum-crc32 header is invalid."),
        (
            {"x_amz_sdk_checksum_algorithm": "CRC32"},
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers "
            "were found.",
        ),
        (
            {"x_amz_sdk_checksum_algorithm": "SHA1", "x_amz_checksum_crc32": CRC32},
            "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        ),
        (
            {**TRAILER, "x_amz_sdk_checksum_algorithm": "SHA1", "x_amz_trailer": "x-amz-checksum-crc32"},
            "Value for x-amz-sdk-checksum-algorithm header is invalid.",
        ),
        (
            {**TRAILER, "x_amz_trailer": "x-amz-checksum-crc32", "x_amz_checksum_crc32": CRC32},
            "Expecting a single x-amz-checksum- header",
        ),
        (
            {**TRAILER, "x_amz_trailer": "x-amz-meta-a"},
            "The value specified in the x-amz-trailer header is not supported",
        ),
        (
            {**TRAILER, "x_amz_trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"},
            "The value specified in the x-amz-trailer header is not supported",
        ),
        ({"x_amz_trailer": "x-amz-checksum-crc32"}, "The value specified in the x-amz-trailer header is not supported"),
    ],
)
def test_contradictory_checksum_headers_are_refused(headers: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        claims_of(content_length="1", **headers)
    assert caught.value.message == message


def test_a_checksum_header_given_twice_is_refused() -> None:
    twice = head("PUT", ("x-amz-checksum-crc32", CRC32), ("x-amz-checksum-crc32", CRC32), content_length="1")
    with pytest.raises(InvalidRequest):
        read_claims(twice, signature("UNSIGNED-PAYLOAD"))


def test_checksum_headers_that_are_no_checksums_are_left_alone() -> None:
    claims = claims_of(content_length="1", x_amz_checksum_type="COMPOSITE", x_amz_checksum_algorithm="CRC32")
    assert claims.checksums == {}


def test_the_checksum_of_a_finished_object_is_not_taken_for_the_checksum_of_the_request() -> None:
    complete = head("POST", ("x-amz-checksum-crc32", CRC32 + "-2"), content_length="1")
    assert read_claims(complete, signature("UNSIGNED-PAYLOAD"), of_object=True).checksums == {}
    with pytest.raises(InvalidRequest):
        read_claims(complete, signature("UNSIGNED-PAYLOAD"))


@pytest.mark.parametrize(
    "word", ["", "unsigned-payload", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "plain", "A" * 64]
)
def test_a_content_hash_of_another_form_is_refused(word: str) -> None:
    with pytest.raises(InvalidArgument):
        read_claims(head(content_length="1"), signature(word))


def test_a_signed_request_needs_the_content_hash_and_a_presigned_one_does_not() -> None:
    with pytest.raises(InvalidRequest, match="Missing required header for this request: x-amz-content-sha256"):
        read_claims(head(content_length="1"), signature(None))
    assert read_claims(head(content_length="1"), signature(None, presigned=True)).encoding is Encoding.PLAIN


async def test_a_client_that_does_not_sign_may_frame_a_trailer() -> None:
    anonymous = head("PUT", x_amz_trailer="x-amz-checksum-crc32", x_amz_decoded_content_length="25600")
    claims = read_claims(anonymous, None)
    assert claims.encoding is Encoding.UNSIGNED_TRAILER
    assert encode((await consume(claims, framed())).checksums[Algorithm.CRC32]) == CRC32
    with pytest.raises(InvalidRequest):
        read_claims(head(x_amz_content_sha256=Encoding.SIGNED, x_amz_decoded_content_length="1"), None)
