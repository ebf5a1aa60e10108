"""Plaintext out of stored bytes: a range of an object, segment by segment, nothing unverified ever leaving.

Blocks of `_OFF_LOOP` bytes and more are opened on a worker thread, so that large reads do not hold up other requests.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sseproxy.cipher.errors import CipherError
from sseproxy.cipher.footer import Footer, open_footer, open_tail
from sseproxy.cipher.geometry import TAIL, footer_size, plaintext_size, spans
from sseproxy.cipher.stream import RangeOpener
from sseproxy.objects.protection import Opened, unreadable
from sseproxy.s3.services import Services
from sseproxy.store.contract import ObjectStat

_OFF_LOOP = 262_144
_SUFFIX = 65_536
_WHOLE = 1_048_576
SMALL = 65_536
"""A range of so many bytes is answered in one piece."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How an object's plaintext lies in parts: their numbers and lengths; the salts, where the footer was read; and all
    of the stored bytes, where a small object was fetched whole for its footer."""

    numbers: tuple[int, ...]
    lengths: tuple[int, ...]
    salts: tuple[bytes | None, ...]
    footer: Footer | None = None
    held: bytes | None = None

    @property
    def size(self) -> int:
        """Plaintext bytes of the whole object."""
        return sum(self.lengths)


def stored_plaintext_size(stat: ObjectStat) -> int:
    """The object's plaintext bytes, from its stored size by the length law. S3Error if no object has that size."""
    try:
        return plaintext_size(stat.size)
    except CipherError as problem:
        raise unreadable() from problem


async def read_layout(
    services: Services, stat: ObjectStat, opened: Opened, *, footer: bool, body: bool = True
) -> Layout:
    """The layout; the footer is fetched for a multipart object, or when asked for. `body`: it will be read, too, so a
    small one comes along. S3Error."""
    size = stored_plaintext_size(stat)
    if opened.envelope.size not in (None, size):
        raise unreadable()
    if not opened.envelope.multipart and not footer:
        return Layout((0,), (size,), (None,))
    try:
        found, held = await _read_footer(services, stat, opened, body=body)
    except CipherError as problem:
        raise unreadable() from problem
    if found.multipart != opened.envelope.multipart:
        raise unreadable()
    parts = found.parts
    return Layout(
        tuple(part.number for part in parts),
        tuple(part.length for part in parts),
        tuple(part.salt for part in parts),
        found,
        held,
    )


async def _read_footer(
    services: Services, stat: ObjectStat, opened: Opened, *, body: bool
) -> tuple[Footer, bytes | None]:
    """The footer; and the whole body, if it is wanted and small enough to be had in the same request."""
    wanted = min(stat.size, _SUFFIX if opened.envelope.multipart else footer_size(1) + TAIL)
    wanted = stat.size if body and stat.size <= _WHOLE else wanted
    suffix = await _collect(services, stat, stat.size - wanted)
    length = open_tail(suffix[-TAIL:])
    if length + TAIL > len(suffix):
        if length + TAIL > stat.size:
            raise unreadable()
        suffix = await _collect(services, stat, stat.size - length - TAIL)
    footer = open_footer(suffix[-length - TAIL : -TAIL], opened.oek, stat.size)
    return footer, suffix if len(suffix) == stat.size else None


async def _collect(services: Services, stat: ObjectStat, first: int) -> bytes:
    return b"".join([block async for block in services.store.open(stat, first, stat.size - 1)])


async def plaintext(
    services: Services, stat: ObjectStat, opened: Opened, layout: Layout, first: int, last: int
) -> AsyncIterator[bytes | bytearray]:
    """Plaintext bytes `first` to `last`, inclusive; (0, -1) for an empty object, whose one segment is verified too.

    CipherError, or the store's errors, at the first block that is not what was written.
    """
    loop = asyncio.get_running_loop()
    todo = [
        (
            RangeOpener(
                opened.oek, layout.numbers[one.index], layout.lengths[one.index], one.span, layout.salts[one.index]
            ),
            one.offset + one.span.first,
            one.span.last - one.span.first + 1,
        )
        for one in reversed(spans(layout.lengths, first, last))
    ]
    begin = todo[-1][1]
    end = todo[0][1] + todo[0][2] - 1
    opener, _, due = todo.pop()
    source = services.store.open(stat, begin, end) if layout.held is None else _one(layout.held[begin : end + 1])
    async for stored in source:
        block = memoryview(stored)
        while block:
            piece, block = block[:due], block[due:]
            due -= len(piece)
            if len(piece) < _OFF_LOOP:
                opened_bytes = opener.update(piece)
            else:
                opened_bytes = await loop.run_in_executor(services.workers, opener.update, piece)
            if opened_bytes:
                yield opened_bytes
            if due == 0:
                opener.finish()
                if todo:
                    opener, _, due = todo.pop()
    opener.finish()


async def _one(block: bytes) -> AsyncIterator[bytes]:
    yield block


async def whole(services: Services, stat: ObjectStat, opened: Opened, layout: Layout, first: int, last: int) -> bytes:
    """The same range at once, for one that is small. S3Error: nothing of it has left."""
    try:
        return b"".join([block async for block in plaintext(services, stat, opened, layout, first, last)])
    except CipherError as problem:
        raise unreadable() from problem


async def begin(blocks: AsyncIterator[bytes | bytearray]) -> AsyncIterator[bytes | bytearray]:
    """The same blocks, once the first has verified: what fails before that can still be answered with an error."""
    try:
        first = await anext(blocks, b"")
    except CipherError as problem:
        raise unreadable() from problem
    return _chain(first, blocks)


async def _chain(first: bytes | bytearray, rest: AsyncIterator[bytes | bytearray]) -> AsyncIterator[bytes | bytearray]:
    if first:
        yield first
    async for block in rest:
        yield block
