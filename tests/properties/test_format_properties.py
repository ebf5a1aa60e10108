"""Laws of the stored format: sizes invert, blocks leave no trace, ranges are slices, and a changed object gives the
original bytes or an error."""

import hashlib
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.envelope import Envelope, Kind, open_envelope, seal_envelope, verify_mac
from sseproxy.cipher.errors import BadLayout, CipherError
from sseproxy.cipher.footer import Footer, PartEntry, open_footer, open_tail, tail
from sseproxy.cipher.geometry import (
    MIN_PART,
    SEGMENT,
    footer_size,
    object_size,
    padding,
    plaintext_size,
    sealed_size,
    span,
    spans,
)
from sseproxy.cipher.stream import ObjectSealer, RangeOpener

DK = Secret(bytes(range(32)))
OEK = ObjectKey(bytes(range(32, 64)))
ARN = "arn:aws:s3:::bucket/key"
SYSTEM = [("content-type", "text/plain")]
USER = [("colour", "blue"), ("shape", "round")]
TEXT = hashlib.shake_128(b"properties").digest(MIN_PART + 3 * SEGMENT + 77)

sizes = st.one_of(st.integers(0, 50 << 40), st.integers(0, 10_000).map(lambda n: n * MIN_PART))
lengths = st.one_of(st.integers(0, 3 * SEGMENT), st.integers(0, 3).map(lambda n: n * SEGMENT))

lawful = settings(deadline=None, max_examples=200)


def salt(number: int) -> bytes:
    return f"salt of part {number:3}".encode()


def seal(text: bytes, number: int) -> bytes:
    sealer = ObjectSealer(OEK, number, salt(number))
    return bytes(sealer.update(text) + sealer.finish())


@cache
def stored_object(cuts: tuple[int, ...]) -> tuple[str, bytes]:
    """Envelope and stored bytes of TEXT up to the last cut: one part for each cut, a single PUT for one."""
    multipart = len(cuts) > 1
    texts = [TEXT[begin:end] for begin, end in zip((0, *cuts), cuts, strict=False)]
    numbers = range(1, len(cuts) + 1) if multipart else [0]
    parts = tuple(PartEntry(n, len(text), salt(n)) for n, text in zip(numbers, texts, strict=True))
    body = b"".join(seal(text, n) for n, text in zip(numbers, texts, strict=True))
    envelope = seal_envelope(
        dk=DK,
        oek=OEK,
        sse=Kind.KMS,
        multipart=multipart,
        bucket_key=False,
        oid=bytes(16),
        size=None,
        context=None,
        wrapped_key=b"wrapped",
        key_arn=None,
        object_arn=ARN,
        system=SYSTEM,
        user=USER,
        seal_salt=bytes(32),
    )
    return envelope.encode(), body + tail(Footer(multipart, cuts[-1], parts, {}), OEK, b"salt of a footer")


def read(envelope_text: str, stored: bytes) -> bytes:
    envelope = Envelope.decode(envelope_text)
    oek = open_envelope(envelope, DK, ARN)
    verify_mac(envelope, oek, ARN, SYSTEM, USER)
    size = open_tail(stored[-16:])
    footer = open_footer(stored[-16 - size : -16], oek, len(stored))
    out = b""
    for part in spans([entry.length for entry in footer.parts], 0, footer.size - 1):
        entry = footer.parts[part.index]
        opener = RangeOpener(oek, entry.number, entry.length, part.span, entry.salt)
        out += opener.update(stored[part.offset + part.span.first : part.offset + part.span.last + 1])
        opener.finish()
    return out


OBJECTS = st.sampled_from([(0,), (1,), (1000,), (2 * SEGMENT + 5,), (MIN_PART, MIN_PART + 3 * SEGMENT + 77)])


@given(size=sizes, step=st.integers(1, 400))
@lawful
def test_the_length_law_rises_and_inverts(size: int, step: int) -> None:
    assert object_size(size) < object_size(size + step)
    assert plaintext_size(object_size(size)) == size


@given(stored=st.integers(-10, 50 << 40))
@lawful
def test_a_stored_size_has_one_plaintext_size_or_none(stored: int) -> None:
    try:
        assert object_size(plaintext_size(stored)) == stored
    except BadLayout:
        return


@given(parts=st.lists(st.integers(MIN_PART, 1 << 33), max_size=60), last=st.integers(0, 1 << 33))
@lawful
def test_a_pad_fits_every_layout(parts: list[int], last: int) -> None:
    layout = [*parts, last]
    pad = padding(sum(layout), layout)
    assert pad >= 0
    assert sum(map(sealed_size, layout)) + pad + footer_size(len(layout)) + 16 == object_size(sum(layout))


@given(length=lengths, blocks=st.lists(st.integers(1, 2 * SEGMENT), min_size=1, max_size=20))
@lawful
def test_block_sizes_leave_no_trace_in_either_direction(length: int, blocks: list[int]) -> None:
    text = TEXT[:length]
    sealer = ObjectSealer(OEK, 0, salt(0))
    opener = RangeOpener(OEK, 0, length, span(length, 0, length - 1), None)
    stored, opened = b"", b""
    at = turn = 0
    while at < length:
        block = blocks[turn % len(blocks)]
        stored += sealer.update(text[at : at + block])
        at, turn = at + block, turn + 1
    stored += sealer.finish()
    assert stored == seal(text, 0)
    at = 0
    while at < len(stored):
        block = blocks[turn % len(blocks)]
        opened += opener.update(stored[at : at + block])
        at, turn = at + block, turn + 1
    opener.finish()
    assert opened == text


@given(data=st.data(), length=lengths.filter(bool))
@lawful
def test_a_range_is_a_slice(data: st.DataObject, length: int) -> None:
    first = data.draw(st.integers(0, length - 1))
    last = data.draw(st.integers(first, length - 1))
    part = span(length, first, last)
    opener = RangeOpener(OEK, 0, length, part, salt(0))
    assert opener.update(seal(TEXT[:length], 0)[part.first : part.last + 1]) == TEXT[first : last + 1]
    opener.finish()


@given(cuts=OBJECTS)
@lawful
def test_an_object_reads_back(cuts: tuple[int, ...]) -> None:
    assert read(*stored_object(cuts)) == TEXT[: cuts[-1]]


@given(data=st.data(), cuts=OBJECTS)
@lawful
def test_a_changed_object_gives_the_original_bytes_or_an_error(data: st.DataObject, cuts: tuple[int, ...]) -> None:
    envelope, stored = stored_object(cuts)
    length = len(stored)
    where = st.one_of(st.integers(0, length), st.integers(0, 100), st.integers(length - 100, length))
    at, end = sorted((data.draw(where), data.draw(where)))
    run = stored[at:end]
    changed = data.draw(
        st.sampled_from(
            [
                stored[:at] + stored[end:],
                stored[:end] + run + stored[end:],
                stored[:at] + run[::-1] + stored[end:],
                stored[:at] + bytes(len(run)) + stored[end:],
                stored[:at] + bytes([stored[at] ^ 1 << data.draw(st.integers(0, 7))]) + stored[at + 1 :]
                if at < length
                else stored,
            ]
        )
    )
    try:
        assert read(envelope, changed) == TEXT[: cuts[-1]]
    except CipherError:
        return


@given(data=st.data())
@lawful
def test_a_changed_envelope_gives_the_original_bytes_or_an_error(data: st.DataObject) -> None:
    envelope, stored = stored_object((1000,))
    at = data.draw(st.integers(0, len(envelope) - 1))
    sign = data.draw(st.sampled_from([*sorted(set(envelope)), "", "=", "\n", "é", "+"]))
    try:
        assert read(envelope[:at] + sign + envelope[at + 1 :], stored) == TEXT[:1000]
    except CipherError:
        return


@given(text=st.text())
@lawful
def test_any_text_is_an_envelope_or_a_bad_one(text: str) -> None:
    try:
        assert Envelope.decode(text).encode() == text
    except CipherError:
        return
