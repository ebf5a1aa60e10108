"""Memory stays bounded, however large a body: the server's process is measured while a large one goes in and out.

5 GiB, the most that a single PUT may have; `SSEPROXY_TEST_LARGE=0` makes it 1 GiB, for a machine with less room.
"""

import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from testkit.proxy import ALICE, Proxy, running

MIB = 1 << 20
SIZE = (1024 if os.environ.get("SSEPROXY_TEST_LARGE") == "0" else 5120) * MIB
ALLOWED = 150 * MIB
BLOCK = bytes(range(256)) * 4096


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Proxy]:
    with running(tmp_path / "data") as proxy:
        yield proxy


def memory(proxy: Proxy, name: str) -> int:
    """Bytes: `VmRSS` is what the process holds now, `VmHWM` the most that it has ever held."""
    assert proxy.process is not None
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))


def presigned(s3: Any, operation: str, **parameters: str) -> tuple[http.client.HTTPConnection, str]:
    url = urlsplit(s3.generate_presigned_url(operation, Params={"Bucket": "large", "Key": "k", **parameters}))
    return http.client.HTTPConnection(url.netloc, timeout=300), f"{url.path}?{url.query}"


def test_a_large_body_goes_in_and_out_in_little_memory(mine: Proxy) -> None:
    s3 = mine.client("s3", ALICE, signature_version="s3v4")
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="k", Body=BLOCK, ServerSideEncryption="aws:kms")
    idle = memory(mine, "VmRSS")
    connection, path = presigned(s3, "put_object")
    blocks = (BLOCK for _ in range(SIZE // MIB))
    connection.request("PUT", path, blocks, {"Content-Length": str(SIZE)})
    with connection.getresponse() as answer:
        assert answer.status == 200, answer.read()
    connection.close()
    uploaded = memory(mine, "VmHWM") - idle
    connection, path = presigned(s3, "get_object")
    connection.request("GET", path)
    received = 0
    with connection.getresponse() as answer:
        assert answer.status == 200
        while block := answer.read(MIB):
            assert block == BLOCK
            received += len(block)
    connection.close()
    downloaded = memory(mine, "VmHWM") - idle
    print(
        f"idle {idle / MIB:.0f} MiB; above it, up {uploaded / MIB:.0f} MiB, down {downloaded / MIB:.0f} MiB"
    )  # -s shows
    assert received == SIZE
    assert uploaded < ALLOWED
    assert downloaded < ALLOWED
    s3.delete_object(Bucket="large", Key="k")
