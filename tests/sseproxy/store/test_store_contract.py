"""The store contract, held against the embedded store and its in-memory twin."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from contracts.store import StoreContract
from testkit.memory_store import MemoryStore

from kms_core.clock import SystemClock
from sseproxy.store.contract import ObjectStore
from sseproxy.store.filesystem import FilesystemStore


@pytest.fixture(params=["filesystem", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    made: ObjectStore
    made = (
        FilesystemStore(tmp_path, clock=SystemClock()) if request.param == "filesystem" else MemoryStore(SystemClock())
    )
    yield made
    await made.close()


class TestStores(StoreContract):
    """Each test of the contract, for each store."""
