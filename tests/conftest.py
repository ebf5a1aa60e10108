"""Fixtures of the whole suite: one proxy that most end-to-end tests share, and a bucket for each test."""

import uuid
from collections.abc import Iterator

import pytest
from testkit.proxy import ALICE, Proxy, running


@pytest.fixture(scope="session")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy on the embedded store, with the accounts of `testkit.proxy.BOOTSTRAP`; it is not a test's to stop."""
    with running(tmp_path_factory.mktemp("proxy") / "data") as started:
        yield started


@pytest.fixture
def bucket(proxy: Proxy) -> str:
    """A fresh bucket of the main account."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    proxy.client("s3", ALICE).create_bucket(Bucket=name)
    return name
