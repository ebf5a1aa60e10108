"""Segments: the unit of authenticated encryption, `salt16 || ciphertext || tag16` with at most SEGMENT plaintext bytes.

The nonce holds the segment's index and whether it is the part's last one. A flipped bit, a moved, repeated or missing
segment, one from another part, another attempt or another object: the tag or the salt refuses it. One AES key schedule
serves a whole part.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.cipher.derive import SALT, ObjectKey, part_key
from sseproxy.cipher.errors import BadSegment, CipherMisuse
from sseproxy.cipher.geometry import OVERHEAD, SEALED_SEGMENT, SEGMENT

Buffer = bytes | bytearray | memoryview


def _nonce(index: int, final: bool) -> bytes:
    return (b"\0\1\0\0" if final else b"\0\0\0\0") + index.to_bytes(8, "big")


class PartSealer:
    """Seals one part, segment after segment. `number` and `salt` as in `derive.part_key`."""

    __slots__ = ("_aead", "_ended", "_index", "_salt")

    def __init__(self, oek: ObjectKey, number: int, salt: bytes) -> None:
        self._aead = AESGCM(part_key(oek, number, salt).reveal())
        self._salt = salt
        self._index = 0
        self._ended = False

    def seal(self, data: Buffer, *, final: bool) -> bytearray:
        """The next segment. `data` has SEGMENT bytes, or fewer (even none) if it is the `final` one."""
        out = bytearray(len(data) + OVERHEAD)
        self.seal_into(data, memoryview(out), final=final)
        return out

    def seal_into(self, data: Buffer, out: memoryview, *, final: bool) -> None:
        """`seal`, written to `out`, which has exactly `len(data) + OVERHEAD` bytes."""
        if self._ended or (len(data) != SEGMENT and not (final and len(data) < SEGMENT)):
            raise CipherMisuse("sseproxy.cipher.segments: a segment of the wrong length, or after the final one")
        out[:SALT] = self._salt
        self._aead.encrypt_into(_nonce(self._index, final), data, None, out[SALT:])
        # Indices only rise and the key is this part's alone, so no nonce is used twice.
        self._index += 1
        self._ended = final


class PartOpener:
    """Opens the segments of one part in order, from segment `start`.

    `p` is the part's plaintext length: it tells which segment must be the final one and how long each must be. `salt`
    is the one that the footer names; None takes the first segment's and insists on it from then on.
    """

    __slots__ = ("_aead", "_index", "_number", "_oek", "_p", "_salt")

    def __init__(self, oek: ObjectKey, number: int, *, p: int, start: int = 0, salt: bytes | None = None) -> None:
        self._oek = oek
        self._number = number
        self._p = p
        self._index = start
        self._salt = salt
        self._aead: AESGCM | None = None

    def next_size(self) -> int:
        """Stored bytes of the segment that comes next; 0 after the final one."""
        left = self._p - self._index * SEGMENT
        if left > SEGMENT:
            return SEALED_SEGMENT
        return left + OVERHEAD if left > 0 or self._index == 0 else 0

    def open(self, segment: Buffer) -> bytearray:
        """The next segment's plaintext. BadSegment, and no plaintext, if it is not exactly that segment."""
        out = bytearray(max(len(segment) - OVERHEAD, 0))
        self.open_into(memoryview(segment), memoryview(out))
        return out

    def open_into(self, segment: memoryview, out: memoryview) -> None:
        """`open`, written to `out`, which has exactly `len(segment) - OVERHEAD` bytes. Discard `out` on BadSegment."""
        size = self.next_size()
        if not size or len(segment) != size:
            raise BadSegment("a segment too many, or of the wrong length")
        salt = bytes(segment[:SALT])
        if self._salt is None:
            self._salt = salt
        elif salt != self._salt:  # salts are public: no need for constant time
            raise BadSegment("a segment of another upload attempt")
        if self._aead is None:
            self._aead = AESGCM(part_key(self._oek, self._number, salt).reveal())
        final = (self._index + 1) * SEGMENT >= self._p
        try:
            self._aead.decrypt_into(_nonce(self._index, final), segment[SALT:], None, out)
        except InvalidTag as error:
            raise BadSegment("a segment does not verify") from error
        self._index += 1
