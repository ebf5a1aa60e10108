"""A real MinIO: `minio` on PATH is started on 127.0.0.1, or one that runs elsewhere is used.

`SSEPROXY_TEST_MINIO_ENDPOINT` names the latter, `SSEPROXY_TEST_MINIO_ACCESS_KEY` and `..._SECRET` its credentials.
"""

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from testkit.s3_backend import ACCESS_KEY_ID, SECRET, Backend
from testkit.seaweed import free_ports

ENDPOINT = "SSEPROXY_TEST_MINIO_ENDPOINT"
MISSING = f"no `minio` on PATH, and {ENDPOINT} is not set"
_ATTEMPTS = 3
_READY_SECONDS = 60.0


def elsewhere() -> Backend | None:
    """The server that the environment names."""
    endpoint = os.environ.get(ENDPOINT)
    if not endpoint:
        return None
    return Backend(
        "minio",
        endpoint,
        os.environ.get("SSEPROXY_TEST_MINIO_ACCESS_KEY", ACCESS_KEY_ID),
        os.environ.get("SSEPROXY_TEST_MINIO_SECRET", SECRET),
    )


def is_there() -> bool:
    """Whether MinIO can be tested against."""
    return elsewhere() is not None or shutil.which("minio") is not None


@dataclass
class Minio:
    """A server over `data`; `start` serves the same folder again after `kill` (SIGKILL)."""

    data: Path
    ports: list[int] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def backend(self) -> Backend:
        """Where it is."""
        return Backend("minio", f"http://127.0.0.1:{self.ports[0]}")

    def start(self) -> "Minio":
        """Start it and wait until it is ready."""
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data.with_name(self.data.name + ".log")
        for _ in range(_ATTEMPTS):
            if not self.ports:
                self.ports = free_ports(2)
            self._launch(log)
            if self._wait_until_ready():
                return self
            self.kill()
            self.ports = []
        raise AssertionError(f"MinIO did not start: {log.read_text(errors='replace')[-4000:]}")

    def _launch(self, log: Path) -> None:
        listen = [f"--address=127.0.0.1:{self.ports[0]}", f"--console-address=127.0.0.1:{self.ports[1]}"]
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.data.parent),
            "MINIO_ROOT_USER": ACCESS_KEY_ID,
            "MINIO_ROOT_PASSWORD": SECRET,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
        }
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                ["minio", "server", "--quiet", *listen, str(self.data)],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def _wait_until_ready(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with (
                contextlib.suppress(OSError, urllib.error.URLError),
                urllib.request.urlopen(  # noqa: S310
                    f"{self.backend.endpoint}/minio/health/ready", timeout=5
                ) as answer,
            ):
                if answer.status == 200 and self._answers():
                    return True
            time.sleep(0.1)  # between tries at a process that is starting; nothing is inferred from the time
        return False

    def _answers(self) -> bool:
        try:
            self.backend.client().list_buckets()
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
def running(data: Path) -> Iterator[Backend]:
    """A server for the time of the block, or the one that the environment names."""
    found = elsewhere()
    if found is not None:
        yield found
        return
    server = Minio(data)
    try:
        yield server.start().backend
    finally:
        server.kill()
