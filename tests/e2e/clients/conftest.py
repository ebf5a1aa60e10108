"""One proxy for each kind of store behind it, buckets encrypted in two ways, and a look at what lies there.

The clients know nothing of the store. `BACKENDS` says which stores they are run on.
"""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testkit import minio, seaweed
from testkit.clients import MARK, make_s3fs_environment, make_tree
from testkit.proxy import ALICE, Proxy, running
from testkit.s3_backend import Backend

BACKENDS: tuple[str, ...] = ("filesystem", "seaweedfs", "minio")
"""MinIO where there is one; the other two always."""
PREFIX = "sealed-"
_WINDOWS = [MARK[at : at + 16] for at in range(0, len(MARK) - 15, 8)]
_KEPT = ("Metadata", "ContentType", "ContentEncoding", "ContentLanguage", "ContentDisposition", "CacheControl")


@dataclass(frozen=True)
class Served:
    """A running proxy, and what an attacker at its store sees."""

    name: str
    proxy: Proxy
    folders: tuple[Path, ...]
    backend: Backend | None

    def s3(self) -> Any:
        """boto3's client for alice, who may do everything."""
        return self.proxy.client("s3", ALICE)

    def at_rest(self) -> Iterator[tuple[str, bytes]]:
        """Everything that lies anywhere: files, and what the store's own S3 interface hands out."""
        for folder in self.folders:
            for file in folder.rglob("*"):
                with contextlib.suppress(FileNotFoundError):  # a database's journal comes and goes
                    if file.is_file():
                        yield str(file), file.read_bytes()
        if self.backend is not None:
            client = self.backend.client()
            for bucket in (row["Name"] for row in client.list_buckets()["Buckets"]):
                for key in self._keys(client, bucket):
                    with client.get_object(Bucket=bucket, Key=key)["Body"] as body:
                        yield f"{bucket}/{key}", body.read()

    @staticmethod
    def _keys(client: Any, bucket: str) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [row["Key"] for page in pages for row in page.get("Contents", ())]

    def leaks(self, least: int) -> list[str]:
        """Where a piece of a tree's plaintext lies; `least` bytes at all must be found, or nothing was looked at."""
        seen, found = 0, []
        for place, data in self.at_rest():
            seen += len(data)
            if any(window in data for window in _WINDOWS):
                found.append(place)
        assert seen >= least, f"only {seen} bytes were looked at"
        return found

    def corrupt(self, bucket: str, least: int = 1_000_000) -> int:
        """Change a bit in the middle of whatever is not small; how many there were."""
        changed = 0
        if self.backend is None:
            for file in (self.folders[0] / "store" / "buckets" / bucket / "blobs").glob("*/*"):
                if file.stat().st_size >= least:
                    file.write_bytes(_flipped(file.read_bytes()))
                    changed += 1
            return changed
        client, there = self.backend.client(), PREFIX + bucket
        for key in self._keys(client, there):
            found = client.get_object(Bucket=there, Key=key)
            with found["Body"] as body:
                data = body.read()
            if len(data) >= least:
                headers = {name: found[name] for name in _KEPT if found.get(name)}
                client.put_object(Bucket=there, Key=key, Body=_flipped(data), **headers)
                changed += 1
        return changed


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@contextlib.contextmanager
def _behind(name: str, top: Path) -> Iterator[tuple[Backend | None, tuple[Path, ...]]]:
    if name == "seaweedfs":
        with seaweed.running(top / "seaweed") as server:
            yield server.backend, (top / "seaweed",)
    elif name == "minio":
        if not minio.is_there():
            pytest.skip(minio.MISSING)
        with minio.running(top / "minio") as backend:
            yield backend, (top / "minio",) if minio.elsewhere() is None else ()
    else:
        yield None, ()


@pytest.fixture(scope="session", params=BACKENDS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A proxy on a store of that kind; a test may restart it, and leaves it running."""
    top = tmp_path_factory.mktemp(request.param)
    with _behind(request.param, top) as (backend, folders):
        arguments: tuple[str, ...] = ()
        environment: dict[str, str] = {}
        if backend is not None:
            arguments = ("--backend", "s3", "--backend-endpoint", backend.endpoint)
            environment = {
                "SSEPROXY_BACKEND_ACCESS_KEY_ID": backend.access_key_id,
                "SSEPROXY_BACKEND_SECRET_ACCESS_KEY": backend.secret,
                "SSEPROXY_BACKEND_BUCKET_PREFIX": PREFIX,
            }
        with running(top / "data", *arguments, **environment) as proxy:
            yield Served(request.param, proxy, (top / "data", *folders), backend)


def _new_bucket(served: Served) -> Iterator[str]:
    name = f"clients-{uuid.uuid4().hex[:12]}"
    served.s3().create_bucket(Bucket=name)
    yield name
    s3 = served.s3()  # the test may have restarted the proxy
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=name):
        rows = [{"Key": row["Key"]} for row in page.get("Contents", ())]
        if rows:
            assert "Errors" not in s3.delete_objects(Bucket=name, Delete={"Objects": rows})
    s3.delete_bucket(Bucket=name)


@pytest.fixture
def plain_bucket(served: Served) -> Iterator[str]:
    """A bucket without a setting: SSE-S3."""
    yield from _new_bucket(served)


@pytest.fixture
def keyed_bucket(served: Served) -> Iterator[str]:
    """A bucket that encrypts under a key of the account by default: alice may use it, bob may not."""
    for name in _new_bucket(served):
        key = served.proxy.client("kms", ALICE).create_key()["KeyMetadata"]["Arn"]
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        served.s3().put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        yield name


@pytest.fixture(params=["plain_bucket", "keyed_bucket"])
def bucket(request: pytest.FixtureRequest) -> str:
    """A bucket of each kind: what a client does in it, it does in both without being told."""
    name: str = request.getfixturevalue(request.param)
    return name


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that nobody changes."""
    top = tmp_path_factory.mktemp("clients") / "tree"
    make_tree(top, seed=3)
    return top


@pytest.fixture(scope="session")
def s3fs_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has s3fs, with the botocore that s3fs insists on."""
    return make_s3fs_environment(tmp_path_factory.mktemp("s3fs") / "environment")
