"""Where the proxy's microseconds go: one case at a time, under the sampler."""

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from client import drive
from contenders import Contender
from processes import wait_for
from workload import Case


@dataclass(frozen=True, slots=True)
class Profile:
    """CPU seconds by stage, by line and by function (with what it calls), and how many requests that was."""

    case: Case
    requests: int
    stages: dict[str, float]
    lines: dict[str, float]
    functions: dict[str, float]

    @property
    def total(self) -> float:
        """All CPU seconds."""
        return sum(self.stages.values())


def profiles(contender: Contender, out: Path, cases: Sequence[Case], seconds: float, concurrency: int) -> list[Profile]:
    """Profile each case for some seconds. The server runs under `sampled.py`, and writes to `out` what it finds."""
    found = []
    if contender.process is None:
        raise ValueError("only a process of this machine can be sampled")
    for case in cases:
        requests = contender.signer.requests(case)
        drive(*contender.address, requests, concurrency, 0.2)
        os.kill(contender.process.pid, signal.SIGUSR1)
        measured = drive(*contender.address, requests, concurrency, seconds)
        os.kill(contender.process.pid, signal.SIGUSR2)
        wait_for(out, 10.0)
        text = out.read_text()
        out.unlink()
        found.append(Profile(case, len(measured.latencies), **json.loads(text)))
    return found
