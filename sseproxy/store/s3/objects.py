"""The stages of objects: one PUT; or, for a body over what a PUT may have, a multipart upload of the backend's own."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

from sseproxy.store.contract import Committed, StoreFailure

from .bodies import Body
from .buckets import Life
from .errors import Answer
from .etags import quoted, shown
from .headers import http_time
from .multipart import Uploads, etag_of, version_of

_PART: Final = 256 * 1024**2
_MAX_PARTS = 10_000


class SinglePut:
    """The stage of an object that one PUT takes."""

    def __init__(self, life: Life, body: Body) -> None:
        self._life = life
        self._body = body

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stage.write`."""
        await self._body.write(data)

    async def abort(self) -> None:
        """See `Stage.abort`."""
        await self._body.abort()

    async def commit(self, etag: str | None) -> Committed:
        """See `ObjectStage.commit`. The time is the backend's, of its answer: a PUT does not tell the object's own."""
        await self._life.may_commit()
        with self._life.commit():
            return committed(await self._body.finish())


class InternalMultipart:
    """The stage of an object that is too large for one PUT. The client knows nothing of the upload."""

    def __init__(
        self,
        life: Life,
        uploads: Uploads,
        bucket: str,
        key: str,
        upload: str,
        size: int,
        conditions: dict[str, str],
        made: Callable[[str], Awaitable[Committed]],
        part: int = _PART,
    ) -> None:
        self._life = life
        self._uploads = uploads
        self._at = (bucket, key, upload)
        self._size = size
        self._conditions = conditions
        self._made = made
        self._part = max(part, math.ceil(size / _MAX_PARTS))
        self._taken = 0
        self._body: Body | None = None
        self._due = 0
        self._listed: list[tuple[int, str]] = []
        self._ended = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `Stage.write`."""
        with memoryview(data) as whole, whole.cast("B") as view:
            if self._ended or self._taken + len(view) > self._size:
                raise StoreFailure(f"the body is not the {self._size} bytes that were announced, or it has ended")
            done = 0
            while done < len(view):
                if self._body is None:
                    self._due = min(self._part, self._size - self._taken)
                    self._body = self._uploads.stage_raw(*self._at, len(self._listed) + 1, self._due)
                length = min(len(view) - done, self._due)
                await self._body.write(view[done : done + length])
                done, self._taken, self._due = done + length, self._taken + length, self._due - length
                if self._due == 0:
                    self._listed.append((len(self._listed) + 1, quoted(etag_of(await self._body.finish()))))
                    self._body = None

    async def abort(self) -> None:
        """See `Stage.abort`."""
        if not self._ended:
            self._ended = True
            if self._body is not None:
                await self._body.abort()
            await self._uploads.abort(*self._at)

    async def commit(self, etag: str | None) -> Committed:
        """See `ObjectStage.commit`."""
        if self._ended or self._taken != self._size:
            await self.abort()
            raise StoreFailure(f"the body is not the {self._size} bytes that were announced, or it has ended")
        await self._life.may_commit()
        with self._life.commit():
            found = await self._uploads.complete_raw(*self._at, self._listed, self._conditions)
            self._ended = True
            return await self._made(found)


def committed(answer: Answer) -> Committed:
    """What a PUT's answer says."""
    return Committed(shown(etag_of(answer)), version_of(answer), http_time(answer.headers, "date"))
