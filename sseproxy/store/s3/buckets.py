"""Buckets at the backend, and the order of deletions and commits.

Within this process a deletion waits for the commits that are under way, and a body whose bucket was deleted since it
was begun does not land in a new one of the same name. Between processes it is the backend that orders them.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from sseproxy.store.contract import BucketNotEmpty, NoSuchBucket, StoreError

from .client import Client, Request
from .documents import read_document
from .errors import refusal


class Life:
    """The time between a bucket's creation and its deletion, as far as this process knows."""

    def __init__(self) -> None:
        self._over = False
        self._deleting = False
        self._commits = 0
        self._changed = asyncio.Event()

    async def may_commit(self) -> None:
        """Wait for a deletion that is under way. NoSuchBucket once the life is over."""
        while self._deleting:
            await self._changed.wait()
        if self._over:
            raise NoSuchBucket

    @contextmanager
    def commit(self) -> Iterator[None]:
        """While in it, no deletion begins. Enter it straight after `may_commit`."""
        self._commits += 1
        try:
            yield
        finally:
            self._commits -= 1
            self._wake()

    async def begin_deletion(self) -> None:
        """Wait for the commits under way, and let no other begin."""
        while self._deleting or self._commits:
            await self._changed.wait()
        if self._over:
            raise NoSuchBucket
        self._deleting = True

    def end_deletion(self, *, over: bool) -> None:
        """Let commits go on, or fail."""
        self._deleting, self._over = False, over
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Buckets:
    """Which buckets exist: remembered once seen, asked for otherwise."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lives: dict[str, Life] = {}

    async def create(self, bucket: str) -> None:
        """BucketExists."""
        body = _configuration(self._client.endpoint.region)
        await self._client.expect(Request("PUT", bucket, body=body), again=False)
        self._lives.setdefault(bucket, Life())

    async def require(self, bucket: str) -> Life:
        """NoSuchBucket. No request for a bucket that was seen before."""
        life = self._lives.get(bucket)
        if life is None:
            answer = await self._client.ask(Request("HEAD", bucket), again=True)
            if answer.status == 404:
                raise NoSuchBucket(bucket)
            if not answer.ok:
                raise refusal(answer, f"HEAD /{bucket}")
            life = self._lives.setdefault(bucket, Life())
        return life

    def forget(self, bucket: str) -> None:
        """The backend said that it is gone."""
        self._lives.pop(bucket, None)

    async def delete(self, bucket: str) -> None:
        """NoSuchBucket, BucketNotEmpty. Looks first, since some servers delete a bucket with all that is in it."""
        life = await self.require(bucket)
        await life.begin_deletion()
        over = False
        try:
            listing = Request("GET", bucket, query=(("list-type", "2"), ("max-keys", "1")))
            found = read_document((await self._client.expect(listing, again=True)).body)
            if any(found.children("Contents")):
                raise BucketNotEmpty(bucket)
            await self._client.expect(Request("DELETE", bucket), again=False)
            over = True
        except StoreError as problem:
            over = isinstance(problem, NoSuchBucket)
            raise
        finally:
            if over:
                self.forget(bucket)
            life.end_deletion(over=over)


def _configuration(region: str) -> bytes:
    """us-east-1 is the one region that a bucket's configuration may not name (API Reference, CreateBucket)."""
    if region == "us-east-1":
        return b""
    constraint = f"<LocationConstraint>{region}</LocationConstraint>"
    return (
        f'<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{constraint}'
        "</CreateBucketConfiguration>"
    ).encode()
