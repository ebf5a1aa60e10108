"""`S3Store` over a server under test: one prefix of bucket names for each store, and nothing left behind."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

from testkit.s3_backend import REGION, Backend

from kms_core.clock import SystemClock
from kms_core.crypto.secret import Secret
from sseproxy.store.s3 import Capabilities, Credentials, Endpoint, Retries, S3Store, Timeouts

_KNOWN: dict[Backend, Capabilities] = {}
_NUMBERS = itertools.count(1)
QUICK = Retries(sleep=lambda _: asyncio.sleep(0))
"""Retries without a wait."""


def endpoint_of(backend: Backend, **more: Any) -> Endpoint:
    """How a store speaks to a server under test."""
    credentials = Credentials(backend.access_key_id, Secret(backend.secret.encode()))
    timeouts = Timeouts(pool=20, connect=5, idle=20, whole=60)
    return Endpoint(
        **{
            "url": backend.endpoint,
            "credentials": lambda: credentials,
            "region": REGION,
            "timeouts": timeouts,
            "retries": QUICK,
            **more,
        }
    )


async def capabilities_of(backend: Backend) -> Capabilities:
    """Ask a server, once, with nothing left at it."""
    if backend not in _KNOWN:
        async with store_on(backend) as store:
            _KNOWN[backend] = await store.capabilities()
    return _KNOWN[backend]


@contextlib.asynccontextmanager
async def store_on(
    backend: Backend, capabilities: Capabilities | None = None, *, clean: bool = True, **more: Any
) -> AsyncIterator[S3Store]:
    """A store whose buckets go when it ends, unless there are none to `clean`."""
    prefix = f"t{next(_NUMBERS)}-"
    store = S3Store(
        endpoint_of(backend),
        clock=SystemClock(),
        prefix=prefix,
        capabilities=capabilities,
        **{"park_seconds": 0.0, **more},
    )
    try:
        yield store
    finally:
        await store.close()
        if clean:
            await asyncio.to_thread(remove, backend, prefix)


def remove(backend: Backend, prefix: str) -> None:
    """Every bucket with that prefix, and what is in it."""
    client = backend.client()
    for bucket in client.list_buckets()["Buckets"]:
        if not bucket["Name"].startswith(prefix):
            continue
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for row in page.get("Contents", ()):
                client.delete_object(Bucket=bucket["Name"], Key=row["Key"])
        client.delete_bucket(Bucket=bucket["Name"])
