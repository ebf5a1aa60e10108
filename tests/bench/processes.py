"""Server processes: start one, stop it, and read from /proc what it has used."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

_SERVING = re.compile(r".*serving .*\bat (https?://\S+)")
_TICKS = os.sysconf("SC_CLK_TCK")
READY = "/_/health/ready"


def _children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _children(int(child))


class Process:
    """A server, with its children: what they have used."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu(self) -> float:
        """CPU seconds of the process, its threads and its children, user and system; to a hundredth."""
        ticks = 0
        for pid in _children(self.pid):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:13]))
        return ticks / _TICKS

    def forget_peak(self) -> None:
        """Let the peak begin anew from the present size, where the kernel allows it."""
        for pid in _children(self.pid):
            with suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """VmHWM in bytes, of all processes together."""
        found = 0
        for pid in _children(self.pid):
            with suppress(OSError):
                match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
                found += int(match[1]) * 1024 if match else 0
        return found


def _drain(process: "subprocess.Popen[str]") -> None:
    assert process.stderr is not None
    with suppress(ValueError):
        for line in process.stderr:
            sys.stderr.write(line)


@contextmanager
def serving(script: str, *words: str, ready: str = "", **environment: str) -> Iterator[tuple[str, Process]]:
    """Run `python SCRIPT WORDS...` (or `-m MODULE` as its words) for a block; its address, and the process."""
    command = [sys.executable, script, *words]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SSEPROXY_"))}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**kept, **environment}
    )
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            found = _SERVING.match(line)
            if found:
                break
        else:
            raise RuntimeError(f"{' '.join(command)} did not start: {''.join(said)}")
        threading.Thread(target=_drain, args=(process,), daemon=True).start()
        if ready:
            with urlopen(found[1] + ready, timeout=60) as answer:  # noqa: S310 - our own server
                answer.read()
        yield found[1], Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_for(path: Path, seconds: float) -> None:
    """Until a file is there. TimeoutError."""
    until = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{path} did not come")
        time.sleep(0.02)
