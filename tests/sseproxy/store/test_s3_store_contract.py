"""The store contract, held against the `s3` store on real servers: SeaweedFS always, MinIO where there is one."""

from collections.abc import AsyncIterator, Iterator

import pytest
from contracts.store import StoreContract
from testkit import minio, seaweed
from testkit.s3_backend import Backend
from testkit.s3_stores import capabilities_of, store_on

from sseproxy.store.contract import ObjectStore


@pytest.fixture(scope="module")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with seaweed.running(tmp_path_factory.mktemp("weed") / "data") as server:
        yield server.backend


@pytest.fixture(scope="module")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with minio.running(tmp_path_factory.mktemp("minio") / "data") as server:
        yield server


class TestSeaweed(StoreContract):
    """SeaweedFS, which lists as a walk through folders does, and folds some keys."""

    keeps_every_key = False
    lists_in_byte_order = False

    @pytest.fixture
    async def store(self, seaweedfs: Backend) -> AsyncIterator[ObjectStore]:
        async with store_on(seaweedfs, await capabilities_of(seaweedfs)) as made:
            yield made


@pytest.mark.skipif(not minio.is_there(), reason=minio.MISSING)
class TestMinio(StoreContract):
    """MinIO, which refuses some keys."""

    keeps_every_key = False

    @pytest.fixture
    async def store(self, minio_server: Backend) -> AsyncIterator[ObjectStore]:
        async with store_on(minio_server, await capabilities_of(minio_server)) as made:
            yield made
