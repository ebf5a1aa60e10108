"""Expectations of a write, as headers that the backend checks together with it. What it cannot check is refused."""

from collections.abc import Awaitable, Callable

from sseproxy.store.contract import Expectation, PreconditionFailed, Unsupported

from .etags import quoted, shows


async def conditions(
    expect: Expectation | None, current: Callable[[], Awaitable[str]], *, if_absent: bool, if_match: bool
) -> dict[str, str]:
    """The headers for `expect`. `current` finds the backend's ETag of the object, or raises NoSuchKey: an expected ETag
    is a shown one, and what it is at the backend can be told only beside the object. That look decides nothing but
    which ETag the backend is to check. PreconditionFailed, NoSuchKey, Unsupported."""
    if expect is None:
        return {}
    if expect.absent:
        if not if_absent:
            raise Unsupported("the backend has no If-None-Match for this")
        return {"if-none-match": "*"}
    if expect.etag is None:
        return {}
    if not if_match:
        raise Unsupported("the backend has no If-Match for this")
    found = await current()
    if not shows(found, expect.etag):
        raise PreconditionFailed
    return {"if-match": quoted(found)}
