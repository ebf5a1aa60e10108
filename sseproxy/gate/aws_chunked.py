"""The aws-chunked framing of a body, and the signatures of its chunks.

Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks" and "... Including Trailing Headers". Two halves, so that the hashing may run in another thread than the
framing: `ChunkDecoder` turns wire bytes into payload bytes, `ChunkSignatures` proves them, chunk by chunk, in order.

Payload is handed on before the signature of its chunk is known. That is safe because handing on is not believing: an
object appears only after `finish` of both halves has returned. Memory is bounded by one line, whatever the body does.

Refused on purpose: SigV4A's chunks, other chunk extensions, a trailer that was not announced, bytes after the end.
"""

import hmac
import re
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from hashlib import sha256
from typing import Final

from kms_core.identity.sigv4 import SigningChain
from sseproxy.s3.errors import IncompleteBody, InvalidChunkSizeError, MalformedTrailerError, SignatureDoesNotMatch

MIN_CHUNK: Final = 8192
"""Bytes: what every chunk but the last must have."""
MAX_LINE: Final = 256
"""Bytes: more than any chunk header or checksum trailer needs."""
TRAILER_SIGNATURE: Final = "x-amz-trailer-signature"

_EMPTY_SHA256 = sha256(b"").hexdigest()
_SIGNED_HEADER = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})\r\n")
_UNSIGNED_HEADER = re.compile(rb"([0-9A-Fa-f]{1,16})\r\n")


class Encoding(StrEnum):
    """How a body is framed: not at all, or by what x-amz-content-sha256 says."""

    PLAIN = "plain"
    SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
    UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    @property
    def signed(self) -> bool:
        """Whether chunks carry signatures."""
        return self in (Encoding.SIGNED, Encoding.SIGNED_TRAILER)

    @property
    def has_trailer(self) -> bool:
        """Whether trailers may follow the last chunk."""
        return self in (Encoding.SIGNED_TRAILER, Encoding.UNSIGNED_TRAILER)


class ChunkSignatures:
    """The chain of chunk signatures, each over the one before it and over its chunk's bytes.

    `expect` is called by the framing before it hands on the first byte of a chunk; `update` may follow in one other
    thread, with the same bytes in the same order. The queue between them is a deque, whose ends are safe to share.
    """

    __slots__ = ("_chain", "_expected", "_hash", "_left", "_previous", "_signature")

    def __init__(self, chain: SigningChain) -> None:
        self._chain = chain
        self._previous = chain.seed
        self._expected: deque[tuple[int, str]] = deque()
        self._left = 0
        self._signature = ""
        self._hash = sha256()

    def expect(self, size: int, signature: str) -> None:
        """A chunk of `size` bytes begins, and claims this signature (hex)."""
        self._expected.append((size, signature))

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """The next payload bytes. SignatureDoesNotMatch as soon as a chunk is complete and is not what was signed."""
        at = 0
        while at < len(data):
            if not self._left:
                self._left, self._signature = self._expected.popleft()
                self._hash = sha256()
            piece = data if at == 0 and len(data) <= self._left else memoryview(data)[at : at + self._left]
            self._hash.update(piece)
            at += len(piece)
            self._left -= len(piece)
            if not self._left:
                self._check_chunk(self._hash.hexdigest(), self._signature)

    def finish(self, trailer: str, trailer_signature: str | None) -> None:
        """After the last payload byte: the closing empty chunk and, if there is one, the trailer's signature.

        `trailer` is the canonical text of the trailing headers. SignatureDoesNotMatch, or IncompleteBody if chunks were
        announced whose bytes did not come.
        """
        if self._left or len(self._expected) != 1 or self._expected[0][0]:
            raise IncompleteBody
        self._check_chunk(_EMPTY_SHA256, self._expected.popleft()[1])
        if trailer_signature is not None:
            self._check("AWS4-HMAC-SHA256-TRAILER", sha256(trailer.encode("latin-1")).hexdigest(), trailer_signature)

    def _check_chunk(self, payload_hash: str, provided: str) -> None:
        self._check("AWS4-HMAC-SHA256-PAYLOAD", f"{_EMPTY_SHA256}\n{payload_hash}", provided)

    def _check(self, algorithm: str, hashes: str, provided: str) -> None:
        chain = self._chain
        signature = chain.sign(f"{algorithm}\n{chain.amz_date}\n{chain.scope}\n{self._previous}\n{hashes}")
        if not hmac.compare_digest(signature.encode("ascii"), provided.encode("latin-1")):
            raise SignatureDoesNotMatch
        self._previous = signature


class ChunkDecoder:
    """Wire bytes in, payload bytes out, whatever the cuts between them.

    `length` is the payload's announced length in bytes, `trailer` the lower-case name that x-amz-trailer announced, and
    `signatures` is there if the encoding is a signed one. `trailer_value` is the trailer's, once it came.
    """

    __slots__ = (
        "_bare",
        "_chunk",
        "_count",
        "_has_trailer",
        "_left",
        "_length",
        "_line",
        "_pattern",
        "_received",
        "_signatures",
        "_take_line",
        "_trailer",
        "_trailer_signature",
        "trailer_value",
    )

    def __init__(
        self, encoding: Encoding, length: int, trailer: str | None, signatures: ChunkSignatures | None
    ) -> None:
        self._has_trailer = encoding.has_trailer
        self._length = length
        self._trailer = trailer
        self._signatures = signatures
        self._pattern = _UNSIGNED_HEADER if signatures is None else _SIGNED_HEADER
        self._take_line: Callable[[bytes], None] | None = self._begin_chunk
        self._line = b""
        self._left = 0
        self._chunk = MIN_CHUNK
        self._count = 0
        self._received = 0
        self._bare = False
        self._trailer_signature: str | None = None
        self.trailer_value: str | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The payload that these bytes carry. IncompleteBody, InvalidChunkSizeError or MalformedTrailerError."""
        payload = []
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                payload.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = data.find(b"\n", at, at + MAX_LINE) + 1
            line = self._line + data[at : end or len(data)]
            if len(line) > MAX_LINE or self._take_line is None:
                raise IncompleteBody
            if not end:
                self._line = line
                break
            self._line = b""
            at = end
            self._take_line(line)
        return payload

    def finish(self) -> None:
        """After the last wire byte. IncompleteBody, MalformedTrailerError, or SignatureDoesNotMatch."""
        if self._take_line is not None or self._received != self._length:
            raise IncompleteBody(
                NumberBytesExpected=str(self._length), NumberBytesProvided=str(self._received - self._left)
            )
        if self._trailer is not None and self.trailer_value is None:
            raise MalformedTrailerError
        if self._signatures is not None:
            text = "" if self._trailer is None else f"{self._trailer}:{self.trailer_value}\n"
            self._signatures.finish(text, self._trailer_signature)

    def _begin_chunk(self, line: bytes) -> None:
        match = self._pattern.fullmatch(line)
        if match is None:
            raise IncompleteBody
        size = int(match[1], 16)
        self._count += 1
        if size and self._chunk < MIN_CHUNK:
            raise InvalidChunkSizeError(Chunk=str(self._count), BadChunkSize=str(self._chunk))
        if self._signatures is not None:
            self._signatures.expect(size, match[2].decode("ascii"))
        self._received += size
        if self._received > self._length:
            raise IncompleteBody(NumberBytesExpected=str(self._length), NumberBytesProvided=str(self._received))
        self._chunk = self._left = size
        if size:
            self._take_line = self._end_chunk
        else:
            self._take_line = self._trailing_line if self._has_trailer else self._last_line

    def _end_chunk(self, line: bytes) -> None:
        if line != b"\r\n":
            raise IncompleteBody
        self._take_line = self._begin_chunk

    def _last_line(self, line: bytes) -> None:
        if line != b"\r\n":
            raise IncompleteBody
        self._take_line = None

    def _trailing_line(self, line: bytes) -> None:
        """A trailing header, or the empty line that ends them all.

        S3's own example ends a trailing header with LF CR LF, and SDKs do so: an empty line after a bare LF is that
        header's end, not the end of all.
        """
        if line == b"\r\n":
            if not self._bare:
                if self._signatures is not None and self._trailer_signature is None:
                    raise MalformedTrailerError
                self._take_line = None
            self._bare = False
            return
        name, colon, value = line.decode("latin-1").partition(":")
        name, value = name.lower(), value.strip()
        if not colon or self._bare or self._trailer_signature is not None:
            raise MalformedTrailerError
        self._bare = not line.endswith(b"\r\n")
        if name == TRAILER_SIGNATURE and self._signatures is not None:
            self._trailer_signature = value
        elif name == self._trailer and self.trailer_value is None:
            self.trailer_value = value
        else:
            raise MalformedTrailerError
