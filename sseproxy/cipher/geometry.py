"""The arithmetic of stored sizes: how plaintext lengths, stored lengths and byte ranges map to each other.

All sizes are bytes; `first` and `last` are inclusive, as in HTTP ranges. The stored size of an object follows from its
plaintext size P alone, whatever its parts were, and the mapping is one to one. Knows nothing of keys or of content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sseproxy.cipher.errors import BadLayout

SEGMENT: Final = 65536
MIN_PART: Final = 5 * 1024 * 1024
OVERHEAD: Final = 32
"""Salt and tag, in every segment."""
SEALED_SEGMENT: Final = SEGMENT + OVERHEAD
MAX_PARTS: Final = 10_000
MAX_PLAINTEXT: Final = (1 << 48) - 1
"""The largest length that a footer entry can hold."""
TAIL: Final = 16
FOOTER_BLOCK: Final = 256
FOOTER_ENTRY: Final = 88
EMPTY_OBJECT: Final = 424

# F is periodic: MIN_PART more plaintext bytes are 80 more segments and room for one more footer entry.
_PERIOD: Final = MIN_PART + OVERHEAD * (MIN_PART // SEGMENT) + 128


def sealed_size(p: int) -> int:
    """Stored size of a part with `p` plaintext bytes; an empty part still has one segment."""
    return p + OVERHEAD * (-(-p // SEGMENT) or 1)


def object_size(P: int) -> int:  # noqa: N803 - the format's own letter
    """F(P): stored size of an object with `P` plaintext bytes, the same for a single PUT and for any parts."""
    return P + OVERHEAD * (-(-P // SEGMENT) or 1) + 264 + 128 * (1 + P // MIN_PART)


def plaintext_size(stored: int) -> int:
    """The P with F(P) = `stored`; BadLayout if there is none."""
    # Whole periods, then whole segments, then the rest. Sizes that F skips give a candidate that F maps elsewhere, so
    # the comparison below is the proof and the arithmetic above it needs no case for them.
    periods, within = divmod(stored - EMPTY_OBJECT + OVERHEAD, _PERIOD)
    segments, rest = divmod(within, SEALED_SEGMENT)
    P = periods * MIN_PART + segments * SEGMENT + max(rest - OVERHEAD, 0)  # noqa: N806
    if not 0 <= P <= MAX_PLAINTEXT or object_size(P) != stored:
        raise BadLayout("no object has this stored size")
    return P


def footer_size(n_parts: int) -> int:
    """Size of the sealed footer of an object with `n_parts` parts; the tail is not counted."""
    return sealed_size(FOOTER_BLOCK + FOOTER_ENTRY * n_parts)


def footer_parts(sealed: int) -> int:
    """How many parts a sealed footer of that size describes; BadLayout if no footer has it."""
    n_parts = (sealed - OVERHEAD * -(-sealed // SEALED_SEGMENT) - FOOTER_BLOCK) // FOOTER_ENTRY
    if not 1 <= n_parts <= MAX_PARTS or footer_size(n_parts) != sealed:
        raise BadLayout("no footer has this size")
    return n_parts


def padding(P: int, parts: Sequence[int]) -> int:  # noqa: N803 - the format's own letter
    """Zero bytes between the last part and the footer, for plaintext lengths `parts` that add up to `P`.

    Never negative: the parts rule checked here (each but the last has MIN_PART bytes) bounds the number of entries by
    the 1 + P // MIN_PART that F makes room for. BadLayout if the parts break it.
    """
    if not 1 <= len(parts) <= MAX_PARTS or min(parts) < 0 or sum(parts) != P or P > MAX_PLAINTEXT:
        raise BadLayout("the parts do not add up to the object")
    if len(parts) > 1 and min(parts[:-1]) < MIN_PART:
        raise BadLayout("a part that is not the last is too small")
    return object_size(P) - sum(map(sealed_size, parts)) - footer_size(len(parts)) - TAIL


@dataclass(frozen=True, slots=True)
class Span:
    """Whole segments that cover a plaintext range of one part.

    `first`, `last`: stored bytes within the part, inclusive. `index`: the first segment's. `skip`: plaintext bytes to
    drop from the first segment. `take`: plaintext bytes wanted.
    """

    first: int
    last: int
    index: int
    skip: int
    take: int


@dataclass(frozen=True, slots=True)
class PartSpan:
    """A span in one part of an object. `index`: the part's place in the layout, from 0 (not its part number).
    `offset`: where the part's stored bytes begin in the object."""

    index: int
    offset: int
    span: Span


def span(p: int, first: int, last: int) -> Span:
    """The segments that hold plaintext bytes `first` to `last` of a part of `p` bytes.

    An empty part has the one range (0, -1): its empty segment, which is opened all the same. BadLayout if the range is
    not within the part.
    """
    if p == 0 and (first, last) == (0, -1):
        return Span(first=0, last=OVERHEAD - 1, index=0, skip=0, take=0)
    if not 0 <= first <= last < p:
        raise BadLayout("the range is not within the part")
    index = first // SEGMENT
    return Span(
        first=index * SEALED_SEGMENT,
        last=min((last // SEGMENT + 1) * SEALED_SEGMENT, sealed_size(p)) - 1,
        index=index,
        skip=first % SEGMENT,
        take=last - first + 1,
    )


def spans(parts: Sequence[int], first: int, last: int) -> tuple[PartSpan, ...]:
    """The spans that hold plaintext bytes `first` to `last` of an object, in order; (0, -1) for an empty object.

    An empty last part contributes nothing to a range: the footer vouches for its length. BadLayout if the range is not
    within the object.
    """
    if (first, last) == (0, -1) and len(parts) == 1:
        return (PartSpan(0, 0, span(parts[0], 0, -1)),)
    if not 0 <= first <= last < sum(parts):
        raise BadLayout("the range is not within the object")
    found: list[PartSpan] = []
    offset = begin = 0
    for index, p in enumerate(parts):
        if begin > last:
            break
        end = begin + p
        if first < end and p:
            found.append(PartSpan(index, offset, span(p, max(first, begin) - begin, min(last + 1, end) - 1 - begin)))
        offset += sealed_size(p)
        begin = end
    return tuple(found)
