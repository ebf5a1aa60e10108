"""Pipelines over segments: bytes of any block size in, finished segments or verified plaintext out.

Memory: one segment is held back, plus one output buffer per call, which belongs to the caller. Where bytes come from
and go to is not known here. Output goes straight into one buffer (`encrypt_into`): joining a MiB of separate segments
costs more than sealing them.
"""

from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.errors import BadSegment
from sseproxy.cipher.geometry import OVERHEAD, SEALED_SEGMENT, SEGMENT, Span
from sseproxy.cipher.segments import Buffer, PartOpener, PartSealer


class ObjectSealer:
    """Seals the body of a single PUT (`number` 0) or of a part, pushed in blocks of any size."""

    __slots__ = ("_held", "_sealer")

    def __init__(self, oek: ObjectKey, number: int, salt: bytes) -> None:
        self._sealer = PartSealer(oek, number, salt)
        self._held = bytearray()

    def update(self, data: Buffer) -> bytearray:
        """The segments that `data` completes, often none. A full segment waits for more data before it leaves, because
        only `finish` can tell that it was the last."""
        held, sealer = self._held, self._sealer
        count = (len(held) + len(data) - 1) // SEGMENT
        if count <= 0:
            held += data
            return bytearray()
        out = bytearray(count * SEALED_SEGMENT)
        position = 0
        with memoryview(data) as source, memoryview(out) as view:
            for start in range(0, len(out), SEALED_SEGMENT):
                target = view[start : start + SEALED_SEGMENT]
                if held:
                    position = SEGMENT - len(held)
                    held += source[:position]
                    sealer.seal_into(held, target, final=False)
                    held.clear()
                else:
                    sealer.seal_into(source[position : position + SEGMENT], target, final=False)
                    position += SEGMENT
            held += source[position:]
        return out

    def finish(self) -> bytearray:
        """The final segment. The sealer takes nothing more."""
        return self._sealer.seal(self._held, final=True)


class RangeOpener:
    """Opens the stored bytes of one `Span` of a part, in blocks of any size; `p` and `salt` as in `PartOpener`.

    Nothing leaves before its segment has verified. After a BadSegment the opener is of no further use.
    """

    __slots__ = ("_due", "_held", "_opener", "_skip", "_take")

    def __init__(self, oek: ObjectKey, number: int, p: int, span: Span, salt: bytes | None) -> None:
        self._opener = PartOpener(oek, number, p=p, start=span.index, salt=salt)
        self._held = bytearray()
        self._due = span.last - span.first + 1
        self._skip = span.skip
        self._take = span.take

    def update(self, stored: Buffer) -> bytearray:
        """The wanted plaintext of the segments that `stored` completes. BadSegment: one of them is not what was written
        (then none of this call's plaintext leaves), or more bytes came than the span has."""
        held = self._held
        due = self._due - len(stored)
        if due < 0:
            raise BadSegment("more bytes than the range has")
        # Only the last segment of the span can be short, and it is whole exactly when nothing more is due.
        ready = len(held) + len(stored)
        count = ready // SEALED_SEGMENT if due else -(-ready // SEALED_SEGMENT)
        end = min(ready, count * SEALED_SEGMENT)
        out = bytearray(end - count * OVERHEAD)
        position = 0
        with memoryview(stored) as source, memoryview(out) as view:
            for place, start in enumerate(range(0, end, SEALED_SEGMENT)):
                size = min(SEALED_SEGMENT, end - start)
                target = slice(place * SEGMENT, place * SEGMENT + size - OVERHEAD)
                if held:
                    position = size - len(held)
                    held += source[:position]
                    with memoryview(held) as segment:
                        self._opener.open_into(segment, view[target])
                    held.clear()
                else:
                    self._opener.open_into(source[position : position + size], view[target])
                    position += size
            held += source[position:]
        if out:  # no view of `out` is left: slices above are temporaries, so it may shrink
            del out[: self._skip]
            self._skip = 0
            del out[self._take :]
            self._take -= len(out)
        self._due = due
        return out

    def finish(self) -> None:
        """BadSegment if bytes of the span are missing, or a call to `update` failed."""
        if self._due:
            raise BadSegment("the stored bytes end early")
