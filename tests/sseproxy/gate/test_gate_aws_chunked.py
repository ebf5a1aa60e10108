"""aws-chunked against the worked examples of the S3 API Reference, against what botocore sends, and tampered with."""

import io
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

import pytest
from botocore.httpchecksum import _CHECKSUM_CLS, AwsChunkedWrapper
from hypothesis import given
from hypothesis import strategies as st

from kms_core.crypto.secret import Secret
from kms_core.identity.sigv4 import SigningChain
from sseproxy.gate.aws_chunked import MAX_LINE, ChunkDecoder, ChunkSignatures, Encoding
from sseproxy.s3.errors import (
    IncompleteBody,
    InvalidChunkSizeError,
    MalformedTrailerError,
    S3Error,
    SignatureDoesNotMatch,
)

CRC32C = "x-amz-checksum-crc32c"
EMPTY = sha256(b"").hexdigest()
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
SEED_WITH_TRAILER = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"


def documented_chain(seed: str) -> SigningChain:
    key = SigningChain("", Secret(b"AWS4wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "", "")
    for part in ("20130524", "us-east-1", "s3", "aws4_request"):
        key = SigningChain("", Secret(bytes.fromhex(key.sign(part))), "", "")
    return SigningChain(seed, key.key, "20130524/us-east-1/s3/aws4_request", "20130524T000000Z")


CHAIN = documented_chain(SEED)


@dataclass(frozen=True)
class Framed:
    """A body as the wire has it, and what its head would say."""

    wire: bytes
    encoding: Encoding
    length: int
    trailer: str | None = None
    chain: SigningChain = CHAIN

    def decode(self, *cuts: int) -> tuple[bytes, str | None]:
        """The payload and the trailer's value, with the wire bytes cut at `cuts`."""
        signatures = ChunkSignatures(self.chain) if self.encoding.signed else None
        decoder = ChunkDecoder(self.encoding, self.length, self.trailer, signatures)
        payload = []
        places = [0, *cuts, len(self.wire)]
        for start, end in pairwise(places):
            for block in decoder.feed(self.wire[start:end]):
                if signatures is not None:
                    signatures.update(block)
                payload.append(block)
        decoder.finish()
        return b"".join(payload), decoder.trailer_value


def sign_chunk(previous: str, chunk: bytes, chain: SigningChain = CHAIN) -> str:
    return chain.sign(
        f"AWS4-HMAC-SHA256-PAYLOAD\n{chain.amz_date}\n{chain.scope}\n{previous}\n{EMPTY}\n{sha256(chunk).hexdigest()}"
    )


def sign_trailer(previous: str, text: str, chain: SigningChain = CHAIN) -> str:
    return chain.sign(
        f"AWS4-HMAC-SHA256-TRAILER\n{chain.amz_date}\n{chain.scope}\n{previous}\n{sha256(text.encode()).hexdigest()}"
    )


def frame(encoding: Encoding, *chunks: bytes, trailer: str | None = None, value: str = "c3VtIQ==") -> Framed:
    out, previous = [], CHAIN.seed
    for chunk in (*chunks, b""):
        previous = sign_chunk(previous, chunk)
        extension = f";chunk-signature={previous}" if encoding.signed else ""
        out.append(f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b""))
    if trailer is not None:
        out.append(f"{trailer}:{value}\r\n".encode())
    if encoding is Encoding.SIGNED_TRAILER:
        text = "" if trailer is None else f"{trailer}:{value}\n"
        out.append(f"x-amz-trailer-signature:{sign_trailer(previous, text)}\r\n".encode())
    out.append(b"\r\n")
    return Framed(b"".join(out), encoding, sum(map(len, chunks)), trailer)


def edited(framed: Framed, old: bytes, new: bytes) -> Framed:
    assert framed.wire.count(old) == 1, old
    return Framed(framed.wire.replace(old, new), framed.encoding, framed.length, framed.trailer, framed.chain)


BIG, SMALL = b"a" * 8192, b"b" * 100
BODIES = [
    frame(Encoding.SIGNED, BIG, SMALL),
    frame(Encoding.SIGNED),
    frame(Encoding.SIGNED_TRAILER, BIG, SMALL, trailer=CRC32C),
    frame(Encoding.SIGNED_TRAILER, SMALL),
    frame(Encoding.UNSIGNED_TRAILER, BIG, SMALL, trailer=CRC32C),
    frame(Encoding.UNSIGNED_TRAILER, SMALL),
    frame(Encoding.UNSIGNED_TRAILER, trailer=CRC32C),
]
DOCUMENTED = Framed(
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    Encoding.SIGNED,
    66560,
)
DOCUMENTED_WITH_TRAILER = Framed(
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65536
    + b"\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"
    + b"a" * 1024
    + b"\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    + b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    Encoding.SIGNED_TRAILER,
    66560,
    CRC32C,
    documented_chain(SEED_WITH_TRAILER),
)


def test_the_documented_examples_decode() -> None:
    assert DOCUMENTED.decode() == (b"a" * 66560, None)
    assert DOCUMENTED_WITH_TRAILER.decode() == (b"a" * 66560, "sOO8/Q==")


@pytest.mark.parametrize("algorithm", sorted(_CHECKSUM_CLS))
@pytest.mark.parametrize("size", [0, 1, 8192, 30_000])
def test_what_botocore_frames_decodes(algorithm: str, size: int) -> None:
    payload = bytes(range(256)) * 200
    payload, name = payload[:size], f"x-amz-checksum-{algorithm}"
    checksum = _CHECKSUM_CLS[algorithm]
    wrapper = AwsChunkedWrapper(io.BytesIO(payload), checksum_cls=checksum, checksum_name=name, chunk_size=8192)
    framed = Framed(wrapper.read(), Encoding.UNSIGNED_TRAILER, size, name)
    assert framed.decode() == (payload, checksum().handle(payload))


@pytest.mark.parametrize("framed", BODIES)
@given(data=st.data())
def test_the_cuts_between_wire_bytes_do_not_matter(framed: Framed, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(framed.wire)), max_size=20)))
    assert framed.decode(*cuts) == framed.decode()


@pytest.mark.parametrize("framed", BODIES)
def test_a_body_that_comes_byte_by_byte_decodes(framed: Framed) -> None:
    assert framed.decode(*range(1, len(framed.wire))) == framed.decode()


@pytest.mark.parametrize("framed", BODIES)
def test_a_body_cut_short_anywhere_is_refused(framed: Framed) -> None:
    for end in {*range(200), *range(len(framed.wire) - 400, len(framed.wire))}:
        if 0 <= end < len(framed.wire):
            with pytest.raises(IncompleteBody):
                Framed(framed.wire[:end], framed.encoding, framed.length, framed.trailer).decode()


@pytest.mark.parametrize("framed", BODIES)
@pytest.mark.parametrize("tail", [b"\r\n", b"0\r\n\r\n", b"x"])
def test_bytes_after_the_end_are_refused(framed: Framed, tail: bytes) -> None:
    with pytest.raises(IncompleteBody):
        Framed(framed.wire + tail, framed.encoding, framed.length, framed.trailer).decode()


@pytest.mark.parametrize("framed", BODIES)
@pytest.mark.parametrize("difference", [-1, 1])
def test_another_length_than_was_announced_is_refused(framed: Framed, difference: int) -> None:
    with pytest.raises(IncompleteBody):
        Framed(framed.wire, framed.encoding, framed.length + difference, framed.trailer).decode()


@pytest.mark.parametrize("framed", [framed for framed in BODIES if framed.encoding.signed])
def test_no_bit_of_a_signed_body_can_be_flipped(framed: Framed) -> None:
    for at in {*range(0, len(framed.wire), 97), *range(100), *range(len(framed.wire) - 300, len(framed.wire))}:
        if 0 <= at < len(framed.wire):
            wire = bytearray(framed.wire)
            wire[at] ^= 1
            with pytest.raises(S3Error):
                Framed(bytes(wire), framed.encoding, framed.length, framed.trailer).decode()


def test_a_chunk_that_was_altered_is_refused_as_soon_as_it_is_complete() -> None:
    signatures = ChunkSignatures(CHAIN)
    decoder = ChunkDecoder(Encoding.SIGNED, 8292, None, signatures)
    framed = frame(Encoding.SIGNED, BIG, SMALL)
    (block,) = decoder.feed(framed.wire[: framed.wire.index(b"\r\n") + 2 + 8192])
    with pytest.raises(SignatureDoesNotMatch):
        signatures.update(block[:-1] + b"x")


def test_chunks_that_were_swapped_doubled_or_dropped_are_refused() -> None:
    other = b"c" * 8192
    whole = frame(Encoding.SIGNED, BIG, other).wire
    first = whole[: whole.index(b"c" * 8192) - 87]
    second, closing = whole[len(first) : -86], whole[-86:]
    assert second.startswith(b"2000;")
    assert closing.startswith(b"0;")
    for chunks in ([second, first], [first, first], [first], [second], []):
        with pytest.raises(SignatureDoesNotMatch):
            Framed(b"".join([*chunks, closing]), Encoding.SIGNED, 8192 * len(chunks)).decode()


def test_a_body_signed_under_another_seed_key_or_date_is_refused() -> None:
    framed = frame(Encoding.SIGNED, SMALL)
    for chain in (
        SigningChain("0" * 64, CHAIN.key, CHAIN.scope, CHAIN.amz_date),
        SigningChain(CHAIN.seed, Secret(b"other"), CHAIN.scope, CHAIN.amz_date),
        SigningChain(CHAIN.seed, CHAIN.key, "20130524/eu-west-1/s3/aws4_request", CHAIN.amz_date),
        SigningChain(CHAIN.seed, CHAIN.key, CHAIN.scope, "20130524T000001Z"),
    ):
        with pytest.raises(SignatureDoesNotMatch):
            Framed(framed.wire, framed.encoding, framed.length, None, chain).decode()


def test_only_the_last_chunk_may_be_small() -> None:
    with pytest.raises(InvalidChunkSizeError) as caught:
        frame(Encoding.UNSIGNED_TRAILER, BIG, SMALL, SMALL).decode()
    assert caught.value.extra == {"Chunk": "3", "BadChunkSize": "100"}
    with pytest.raises(InvalidChunkSizeError):
        frame(Encoding.SIGNED, SMALL, BIG).decode()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\r\n",
        b"-1\r\n",
        b"+64\r\n",
        b"0x64\r\n",
        b" 64\r\n",
        b"64 \r\n",
        b"64\n",
        b"64;\r\n",
        b"64;name=value\r\n",
        b"6_4\r\n",
        b"64;chunk-signature=" + b"0" * 64 + b"\r\n",
        b"0" * 17 + b"\r\n",
        b"ffffffffffffffff\r\n",
    ],
)
def test_a_chunk_header_of_any_other_form_is_refused(header: bytes) -> None:
    framed = frame(Encoding.UNSIGNED_TRAILER, SMALL)
    with pytest.raises(IncompleteBody):
        edited(framed, b"64\r\n", header).decode()


def test_signed_chunks_without_signatures_are_refused() -> None:
    unsigned = frame(Encoding.UNSIGNED_TRAILER, SMALL)
    with pytest.raises(IncompleteBody):
        Framed(unsigned.wire, Encoding.SIGNED, unsigned.length).decode()


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    decoder = ChunkDecoder(Encoding.UNSIGNED_TRAILER, 100, None, None)
    assert decoder.feed(b"0" * MAX_LINE) == []
    with pytest.raises(IncompleteBody):
        decoder.feed(b"0")
    with pytest.raises(IncompleteBody):
        ChunkDecoder(Encoding.UNSIGNED_TRAILER, 100, None, None).feed(b"0" * 100_000)


@pytest.mark.parametrize("encoding", [Encoding.SIGNED_TRAILER, Encoding.UNSIGNED_TRAILER])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"x-amz-checksum-crc32c:c3VtIQ==\r\n", b""),
        (b"x-amz-checksum-crc32c:", b"x-amz-checksum-crc32:"),
        (b"x-amz-checksum-crc32c:", b"x-amz-checksum-crc32c "),
        (b"x-amz-checksum-crc32c:", b"x-amz-meta-more:1\r\nx-amz-checksum-crc32c:"),
        (b"x-amz-checksum-crc32c:", b"x-amz-checksum-crc32c:AAAA\r\nx-amz-checksum-crc32c:"),
        (b"c3VtIQ==\r\n", b"c3VtIQ==\nmore:1\r\n"),
    ],
)
def test_a_trailer_other_than_the_announced_one_is_refused(encoding: Encoding, old: bytes, new: bytes) -> None:
    framed = frame(encoding, SMALL, trailer=CRC32C)
    framed.decode()
    with pytest.raises(MalformedTrailerError):
        edited(framed, old, new).decode()


def test_a_trailer_that_was_not_announced_is_refused() -> None:
    framed = frame(Encoding.UNSIGNED_TRAILER, SMALL, trailer=CRC32C)
    with pytest.raises(MalformedTrailerError):
        Framed(framed.wire, framed.encoding, framed.length, None).decode()


def test_the_value_of_a_signed_trailer_can_not_be_edited_and_its_signature_not_dropped() -> None:
    framed = frame(Encoding.SIGNED_TRAILER, SMALL, trailer=CRC32C)
    with pytest.raises(SignatureDoesNotMatch):
        edited(framed, b"c3VtIQ==", b"c3VtIQA=").decode()
    signature = framed.wire[framed.wire.index(b"x-amz-trailer-signature:") : -2]
    with pytest.raises(MalformedTrailerError):
        edited(framed, signature, b"").decode()
    with pytest.raises(MalformedTrailerError):
        edited(framed, signature, signature + signature).decode()


@pytest.mark.parametrize("encoding", [Encoding.SIGNED_TRAILER, Encoding.UNSIGNED_TRAILER])
def test_a_trailer_that_ends_as_in_the_documentation_is_read(encoding: Encoding) -> None:
    framed = frame(encoding, SMALL, trailer=CRC32C)
    assert edited(framed, b"c3VtIQ==\r\n", b"c3VtIQ==\n\r\n").decode() == framed.decode()
