"""Sizes and ranges, by arithmetic."""

import itertools
import random
from bisect import bisect_left

import pytest

from sseproxy.cipher.errors import BadLayout
from sseproxy.cipher.geometry import (
    MAX_PLAINTEXT,
    MIN_PART,
    SEGMENT,
    PartSpan,
    Span,
    footer_parts,
    footer_size,
    object_size,
    padding,
    plaintext_size,
    sealed_size,
    span,
    spans,
)

EDGES = sorted(
    {
        max(base + step, 0)
        for base in (0, SEGMENT, 2 * SEGMENT, 79 * SEGMENT, MIN_PART, 7 * MIN_PART, 10_000 * MIN_PART, 50 << 40)
        for step in (-33, -32, -1, 0, 1, 31, 32, 33)
    }
)


@pytest.mark.parametrize(
    ("p", "sealed"), [(0, 32), (1, 33), (SEGMENT, SEGMENT + 32), (SEGMENT + 1, SEGMENT + 65), (MIN_PART, 5_245_440)]
)
def test_every_segment_of_a_part_costs_32_bytes(p: int, sealed: int) -> None:
    assert sealed_size(p) == sealed


@pytest.mark.parametrize(
    ("P", "stored"),
    [
        (0, 424),
        (1, 425),
        (1024, 1448),
        (SEGMENT, 65_960),
        (SEGMENT + 1, 65_993),
        (MIN_PART, 5_245_960),
        (1 << 40, None),
    ],
)
def test_the_length_law_gives_the_published_sizes(P: int, stored: int | None) -> None:  # noqa: N803
    if stored is not None:
        assert object_size(P) == stored
    assert object_size(P) == sealed_size(P) + 264 + 128 * (1 + P // MIN_PART)


@pytest.mark.parametrize("P", EDGES)
def test_the_plaintext_size_follows_from_the_stored_size(P: int) -> None:  # noqa: N803
    assert plaintext_size(object_size(P)) == P


def test_the_inverse_agrees_with_a_search_for_every_stored_size_near_the_edges() -> None:
    for P in (0, SEGMENT, MIN_PART, 3 * MIN_PART + SEGMENT):  # noqa: N806
        near = range(max(P - 200, 0), P + 200)
        sizes = [object_size(size) for size in near]
        for stored in range(sizes[0], sizes[-1] + 1):
            found = bisect_left(sizes, stored)
            if sizes[found] == stored:
                assert plaintext_size(stored) == near[found]
            else:
                with pytest.raises(BadLayout):
                    plaintext_size(stored)


@pytest.mark.parametrize("stored", [-1, 0, 31, 392, 423, 65_961, object_size(MAX_PLAINTEXT) + 1, 1 << 60])
def test_a_stored_size_that_no_object_has_is_refused(stored: int) -> None:
    with pytest.raises(BadLayout):
        plaintext_size(stored)


def test_the_pad_fills_every_random_layout_and_is_never_negative() -> None:
    rng = random.Random(1)
    for _ in range(300):
        count = rng.choice((1, 2, 3, 100, 1000))
        parts = [MIN_PART + rng.choice((0, 1, 12_345, rng.randrange(1 << 26))) for _ in range(count - 1)]
        parts.append(rng.choice((0, 1, MIN_PART - 1, MIN_PART, rng.randrange(1 << 26))))
        total = sum(parts)
        pad = padding(total, parts)
        assert pad >= 0
        assert sum(map(sealed_size, parts)) + pad + footer_size(count) + 16 == object_size(total)


def test_ten_thousand_smallest_parts_fit() -> None:
    assert padding(10_000 * MIN_PART, [MIN_PART] * 10_000) >= 0


@pytest.mark.parametrize(
    ("P", "parts"),
    [
        (0, []),
        (1, [2]),
        (5, [-1, 6]),
        (MIN_PART, [MIN_PART - 1, 1]),
        (10_001 * MIN_PART, [MIN_PART] * 10_001),
        (MAX_PLAINTEXT + 1, [MAX_PLAINTEXT + 1]),
    ],
)
def test_parts_that_make_no_object_have_no_pad(P: int, parts: list[int]) -> None:  # noqa: N803
    with pytest.raises(BadLayout):
        padding(P, parts)


@pytest.mark.parametrize("count", [1, 2, 740, 741, 742, 745, 1489, 9999, 10_000])
def test_a_footer_size_tells_how_many_parts_it_describes(count: int) -> None:
    assert footer_parts(footer_size(count)) == count


def test_a_size_that_is_no_footer_s_is_refused() -> None:
    good = {footer_size(count) for count in range(1, 10_001)}
    wrong = itertools.chain(range(-40, 2000), range(65_000, 66_000), range(footer_size(10_000) + 1, 881_000))
    for size in wrong:
        if size not in good:
            with pytest.raises(BadLayout):
                footer_parts(size)


@pytest.mark.parametrize(
    ("p", "first", "last", "expected"),
    [
        (0, 0, -1, Span(0, 31, 0, 0, 0)),
        (1, 0, 0, Span(0, 32, 0, 0, 1)),
        (SEGMENT, 0, SEGMENT - 1, Span(0, 65_567, 0, 0, SEGMENT)),
        (SEGMENT + 1, SEGMENT, SEGMENT, Span(65_568, 65_600, 1, 0, 1)),
        (3 * SEGMENT, SEGMENT - 1, SEGMENT, Span(0, 131_135, 0, 65_535, 2)),
        (3 * SEGMENT, 2 * SEGMENT + 5, 2 * SEGMENT + 9, Span(131_136, 196_703, 2, 5, 5)),
    ],
)
def test_a_span_is_the_whole_segments_around_a_range(p: int, first: int, last: int, expected: Span) -> None:
    assert span(p, first, last) == expected


@pytest.mark.parametrize(("p", "first", "last"), [(0, 0, 0), (1, 0, 1), (1, -1, 0), (5, 3, 2), (5, 0, -1)])
def test_a_range_outside_the_part_is_refused(p: int, first: int, last: int) -> None:
    with pytest.raises(BadLayout):
        span(p, first, last)
    with pytest.raises(BadLayout):
        spans([p], first, last)


def test_a_range_over_parts_names_each_part_it_meets() -> None:
    parts = [MIN_PART, MIN_PART + 1, 10]
    sealed = [sealed_size(p) for p in parts]
    assert spans(parts, MIN_PART, MIN_PART) == (PartSpan(1, sealed[0], span(parts[1], 0, 0)),)
    assert spans(parts, MIN_PART - 1, 2 * MIN_PART + 1) == (
        PartSpan(0, 0, span(parts[0], MIN_PART - 1, MIN_PART - 1)),
        PartSpan(1, sealed[0], span(parts[1], 0, MIN_PART)),
        PartSpan(2, sealed[0] + sealed[1], span(parts[2], 0, 0)),
    )


def test_an_empty_object_has_one_span_and_an_empty_last_part_none() -> None:
    assert spans([0], 0, -1) == (PartSpan(0, 0, span(0, 0, -1)),)
    assert [found.index for found in spans([MIN_PART, 0], 0, MIN_PART - 1)] == [0]
    with pytest.raises(BadLayout):
        spans([MIN_PART, 0], 0, MIN_PART)
