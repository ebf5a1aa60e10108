"""Bodies on their way out: the extents of an object, read in blocks of at most 1 MiB with one block read ahead.

All files of a range (up to 256) are open before the first block comes, so an overwrite, which unlinks them, does not
disturb a read that has begun. Blocks are read one after the other, by whichever worker is free.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from sseproxy.store.contract import StoreFailure

from .blobs import BlobFolder
from .failures import converted

BLOCK: Final = 1 << 20
_OPEN_FILES: Final = 256


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes of the blob `place`, from `offset` on."""

    place: str
    offset: int
    length: int


def spans(extents: Sequence[tuple[str, int]], first: int, last: int) -> Iterator[Span]:
    """What bytes `first` to `last` (inclusive) of the extents, one after the other, are made of."""
    start = 0
    for place, length in extents:
        begin, end = max(first - start, 0), min(last + 1 - start, length)
        if begin < end:
            yield Span(place, begin, end - begin)
        start += length


class ExtentReader:
    """The blocks of some extents. Methods block; one thread at a time may be in them."""

    def __init__(self, blobs: BlobFolder, extents: Sequence[tuple[str, int]], first: int, last: int) -> None:
        """Opens the files: FileNotFoundError if one is gone. StoreFailure if the extents are too short."""
        self._blobs = blobs
        self._spans = deque(spans(extents, first, last))
        self._files: deque[int] = deque()
        self._done = 0
        self.left = last + 1 - first
        if sum(span.length for span in self._spans) != self.left:
            raise StoreFailure("an object has fewer bytes than its range")
        try:
            for span, _ in zip(self._spans, range(_OPEN_FILES), strict=False):
                self._files.append(blobs.open(span.place))
        except OSError:
            self.close()
            raise

    def read(self) -> bytes:
        """The next block. StoreFailure if its bytes are not there."""
        span = self._spans[0]
        if not self._files:
            self._files.append(self._blobs.open(span.place))
        size = min(span.length - self._done, BLOCK)
        block = os.pread(self._files[0], size, span.offset + self._done)
        if len(block) != size:
            raise StoreFailure(f"blob {span.place} is shorter than its extent")
        self._done += size
        self.left -= size
        if self._done == span.length:
            self._done = 0
            self._spans.popleft()
            os.close(self._files.popleft())
        return block

    def close(self) -> None:
        """Close what is open still."""
        while self._files:
            os.close(self._files.popleft())


async def blocks(pool: Executor, start: Callable[[], ExtentReader]) -> AsyncIterator[bytes]:
    """The blocks of the reader that `start` (called on a worker) opens."""
    opened: deque[ExtentReader] = deque()

    def first_block() -> bytes:
        opened.append(start())
        return opened[0].read()

    ahead = pool.submit(first_block)
    try:
        while True:
            block = await asyncio.wrap_future(ahead)
            if not opened[0].left:
                yield block
                return
            ahead = pool.submit(opened[0].read)
            yield block
    except OSError as error:
        raise converted(error) from error
    finally:
        # The last read may be under way: whoever ends later, it or this generator, closes the files.
        ahead.add_done_callback(lambda _: opened[0].close() if opened else None)
