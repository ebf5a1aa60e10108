"""The body of a request: what its head promises, the bytes as they come, and the proof that the promise was kept.

The order of use: `read_claims`, then `Body.blocks` and `Body.verify`, or `Body.read_all`. Nothing that came out of
`blocks` may take effect before `verify` has returned. Memory is bounded by what the socket hands over at a time.

Left out on purpose: how large a body may be (an operation knows), the request's own signature (`kms_core.identity`).
"""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import Signed, SigningChain
from sseproxy.gate.aws_chunked import ChunkDecoder, ChunkSignatures, Encoding
from sseproxy.s3.checksums import HEADER_PREFIX, Algorithm, by_header, decode, new_digest
from sseproxy.s3.errors import (
    BadDigest,
    EntityTooLarge,
    IncompleteBody,
    InvalidArgument,
    InvalidDigest,
    InvalidRequest,
    MissingContentLength,
    RequestTimeout,
    XAmzContentSHA256Mismatch,
)

Receive = Callable[[], Awaitable[Mapping[str, object]]]
"""ASGI's receive."""

UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

_SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_LENGTH = re.compile(r"[0-9]{1,18}")
_FRAMED = {encoding.value: encoding for encoding in Encoding if encoding is not Encoding.PLAIN}
_CHECKSUM_PREFIX = HEADER_PREFIX.encode("ascii")
_NO_CHECKSUMS = (HEADER_PREFIX + "algorithm", HEADER_PREFIX + "mode", HEADER_PREFIX + "type")
_READ = frozenset(
    (
        b"content-length",
        b"content-md5",
        b"transfer-encoding",
        b"x-amz-content-sha256",
        b"x-amz-decoded-content-length",
        b"x-amz-sdk-checksum-algorithm",
        b"x-amz-trailer",
    )
)
_MULTIPLE = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
_BAD_CONTENT_HASH = (
    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
)


class ClientGone(Exception):
    """The client hung up before the body was complete: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class BodyClaims:
    """What the head promises of the body.

    `length` is the payload's, in bytes, after the framing is taken off. `payload_hash` is its SHA-256, if the head says
    it; `checksums` has at most one entry, and `trailer_checksum` is set if that one comes after the payload instead.
    """

    length: int
    encoding: Encoding
    payload_hash: bytes | None
    content_md5: bytes | None
    checksums: Mapping[Algorithm, bytes]
    trailer_checksum: Algorithm | None


@dataclass(frozen=True, slots=True)
class Digests:
    """Of a body that kept its promises: payload length in bytes, and the digests that were claimed or asked for."""

    length: int
    md5: bytes | None
    checksums: Mapping[Algorithm, bytes]


def read_claims(head: HttpHead, signed: Signed | None, *, of_object: bool = False) -> BodyClaims:
    """Parse what a head says of its body; an S3Error names the first contradiction.

    `of_object` is for CompleteMultipartUpload, whose checksum headers tell of the object, not of the XML that asks for
    it: they are left to the operation.
    """
    fields: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        if raw_name in _READ or raw_name.startswith(_CHECKSUM_PREFIX):
            name = raw_name.decode("latin-1")
            value = raw_value.decode("latin-1").strip()
            # A header given twice becomes a value that no parser below accepts.
            fields[name] = value if name not in fields else f"{fields[name]}, {value}"
    encoding, payload_hash = _encoding(fields, signed)
    checksums, trailer = ({}, None) if of_object else _checksums(fields, encoding)
    return BodyClaims(
        length=_length(fields, encoding, head.method),
        encoding=encoding,
        payload_hash=payload_hash,
        content_md5=_content_md5(fields.get("content-md5")),
        checksums=checksums,
        trailer_checksum=trailer,
    )


def _encoding(fields: Mapping[str, str], signed: Signed | None) -> tuple[Encoding, bytes | None]:
    """The framing, and the payload's SHA-256 if it is told."""
    word = fields.get("x-amz-content-sha256") if signed is None else signed.payload_hash
    if word is None:
        if signed is not None and not signed.presigned:
            raise InvalidRequest("Missing required header for this request: x-amz-content-sha256")
        # A client that does not sign has no such header, yet frames its trailer in the same way.
        return Encoding.UNSIGNED_TRAILER if "x-amz-trailer" in fields else Encoding.PLAIN, None
    if _SHA256_HEX.fullmatch(word):
        return Encoding.PLAIN, bytes.fromhex(word)
    if word == UNSIGNED_PAYLOAD:
        return Encoding.PLAIN, None
    encoding = _FRAMED.get(word)
    if encoding is None:
        raise InvalidArgument(_BAD_CONTENT_HASH, ArgumentName="x-amz-content-sha256", ArgumentValue=word)
    if encoding.signed and signed is None:
        raise InvalidRequest("A body with signed chunks needs a signed request.")
    return encoding, None


def _length(fields: Mapping[str, str], encoding: Encoding, method: str) -> int:
    """The payload's length. Without a length and a transfer coding there is no body (RFC 9112, section 6.3)."""
    if encoding is not Encoding.PLAIN:
        text = fields.get("x-amz-decoded-content-length", "")
    elif "transfer-encoding" in fields or method == "PUT":
        text = fields.get("content-length", "")
    else:
        text = fields.get("content-length", "0")
    if not _LENGTH.fullmatch(text):
        raise MissingContentLength
    return int(text)


def _content_md5(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidDigest from error
    if len(digest) != 16:
        raise InvalidDigest
    return digest


def _checksums(fields: Mapping[str, str], encoding: Encoding) -> tuple[dict[Algorithm, bytes], Algorithm | None]:
    """The checksum in the head, or the algorithm of the one that is to follow."""
    checksums: dict[Algorithm, bytes] = {}
    for name, value in fields.items():
        if name.startswith(HEADER_PREFIX) and name not in _NO_CHECKSUMS:
            algorithm = by_header(name)
            if algorithm is None:
                raise InvalidRequest("The algorithm type you specified in x-amz-checksum- header is invalid.")
            if checksums:
                raise InvalidRequest(_MULTIPLE)
            checksums[algorithm] = decode(algorithm, value)
    trailer = None
    if "x-amz-trailer" in fields:
        trailer = by_header(fields["x-amz-trailer"].lower())
        if trailer is None or not encoding.has_trailer:
            raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
        if checksums:
            raise InvalidRequest("Expecting a single x-amz-checksum- header")
    told = fields.get("x-amz-sdk-checksum-algorithm")
    if told is not None:
        if trailer is None and not checksums:
            raise InvalidRequest(
                "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
                "headers were found."
            )
        if told.upper() != (trailer or next(iter(checksums))):
            raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    return checksums, trailer


class Body:
    """The payload of one request, read once.

    `idle_timeout` is how many seconds the socket may be silent. `chain` proves the chunks; it is what `verify` of the
    request's signature returned.
    """

    def __init__(
        self,
        claims: BodyClaims,
        receive: Receive,
        chain: SigningChain | None,
        *,
        idle_timeout: float,
    ) -> None:
        self._claims = claims
        self._receive = receive
        self._idle_timeout = idle_timeout
        self._received = 0
        self._hashed = 0
        self._ended = False
        self._signatures: ChunkSignatures | None = None
        self._decoder: ChunkDecoder | None = None
        if claims.encoding is not Encoding.PLAIN:
            if claims.encoding.signed:
                if chain is None:
                    raise RuntimeError("sseproxy.gate.body: signed chunks, and no chain to verify them")
                self._signatures = ChunkSignatures(chain)
            trailer = claims.trailer_checksum and claims.trailer_checksum.header
            self._decoder = ChunkDecoder(claims.encoding, claims.length, trailer, self._signatures)
        self._asked: set[Algorithm] = set(claims.checksums)
        if claims.trailer_checksum is not None:
            self._asked.add(claims.trailer_checksum)
        self._md5 = claims.content_md5 is not None
        needed = set(self._asked)
        if self._md5:
            needed.add(Algorithm.MD5)
        if claims.payload_hash is not None:
            needed.add(Algorithm.SHA256)
        self._digests = {algorithm: new_digest(algorithm) for algorithm in needed}

    @property
    def length(self) -> int:
        """Bytes of payload that the client announced."""
        return self._claims.length

    @property
    def checksum_algorithm(self) -> Algorithm | None:
        """The checksum that the client sends, in a header or in a trailer."""
        return self._claims.trailer_checksum or next(iter(self._claims.checksums), None)

    @property
    def is_vouched_for(self) -> bool:
        """Whether the client sends a Content-MD5 or a checksum."""
        return self._claims.content_md5 is not None or self.checksum_algorithm is not None

    def compute(self, *, md5: bool = False, algorithm: Algorithm | None = None) -> None:
        """Ask for further digests; before the first block."""
        if self._hashed:
            raise RuntimeError("sseproxy.gate.body: a digest was asked for after the first block")
        self._md5 = self._md5 or md5
        wanted = ({Algorithm.MD5} if md5 else set()) | ({algorithm} if algorithm is not None else set())
        if algorithm is not None:
            self._asked.add(algorithm)
        for one in wanted - self._digests.keys():
            self._digests[one] = new_digest(one)

    async def blocks(self, *, update: bool = False) -> AsyncIterator[bytes]:
        """The payload as it arrives, each block at most what ASGI gave. With `update` it is hashed on the way.

        Without it, the caller passes every block to `update`, in order. Raises ClientGone, RequestTimeout, and what the
        framing finds wrong.
        """
        more = True
        while more:
            data, more = await self._next()
            for block in (data,) if self._decoder is None else self._decoder.feed(data):
                if block:
                    self._received += len(block)
                    if self._received > self._claims.length:
                        raise IncompleteBody
                    if update:
                        self.update(block)
                    yield block
        self._ended = True

    async def _next(self) -> tuple[bytes, bool]:
        """The next wire bytes, and whether more will come."""
        try:
            async with asyncio.timeout(self._idle_timeout):
                message = await self._receive()
        except TimeoutError as error:
            raise RequestTimeout from error
        if message["type"] != "http.request":
            raise ClientGone
        data = message.get("body", b"")
        if not isinstance(data, bytes):
            raise RuntimeError("sseproxy.gate.body: the server hands over a body that is not bytes")
        return data, bool(message.get("more_body", False))

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Take a block into all digests. It only computes, so it may run in a worker thread, one block at a time.

        SignatureDoesNotMatch if it completes a chunk that was not signed so.
        """
        self._hashed += len(block)
        for digest in self._digests.values():
            digest.update(block)
        if self._signatures is not None:
            self._signatures.update(block)

    async def read_all(self, limit: int) -> bytes:
        """The whole payload, verified; EntityTooLarge if it is more than `limit` bytes."""
        if self._claims.length > limit:
            raise EntityTooLarge(ProposedSize=str(self._claims.length), MaxSizeAllowed=str(limit))
        payload = b"".join([block async for block in self.blocks(update=True)])
        self.verify()
        return payload

    def verify(self) -> Digests:
        """After the last block: check every claim of the head and of the trailer, and return what is now proven.

        IncompleteBody, SignatureDoesNotMatch, XAmzContentSHA256Mismatch, BadDigest, MalformedTrailerError,
        InvalidRequest.
        """
        if not self._ended or self._hashed != self._received:
            raise RuntimeError("sseproxy.gate.body: verified before the last block was hashed")
        claims = self._claims
        if self._received != claims.length:
            raise IncompleteBody(NumberBytesExpected=str(claims.length), NumberBytesProvided=str(self._received))
        checksums = dict(claims.checksums)
        if self._decoder is not None:
            self._decoder.finish()
            if claims.trailer_checksum is not None:
                value = self._decoder.trailer_value or ""
                checksums[claims.trailer_checksum] = decode(claims.trailer_checksum, value, "trailing header")
        found = {algorithm: digest.digest() for algorithm, digest in self._digests.items()}
        if claims.payload_hash is not None and found[Algorithm.SHA256] != claims.payload_hash:
            raise XAmzContentSHA256Mismatch(
                ClientComputedContentSHA256=claims.payload_hash.hex(),
                S3ComputedContentSHA256=found[Algorithm.SHA256].hex(),
            )
        if claims.content_md5 is not None and found[Algorithm.MD5] != claims.content_md5:
            raise BadDigest
        for algorithm, digest in checksums.items():
            if found[algorithm] != digest:
                raise BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")
        return Digests(
            length=claims.length,
            md5=found[Algorithm.MD5] if self._md5 else None,
            checksums={algorithm: found[algorithm] for algorithm in found if algorithm in self._asked},
        )
