"""The measurement: every case, at every concurrency, with every server in turn, round after round.

Turns are what makes ratios trustworthy on a machine that others use too: a slow moment hits everybody alike.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from client import Request, drive
from contenders import Contender
from workload import Case


@dataclass(slots=True)
class Result:
    """What one server did in one case: summed over the rounds."""

    latencies: list[float] = field(default_factory=list)
    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.wall

    @property
    def cpu_each(self) -> float:
        """Server CPU seconds per request."""
        return self.cpu / len(self.latencies)

    def percentile(self, share: float) -> float:
        """The latency, in seconds, that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


@dataclass(frozen=True, slots=True)
class Row:
    """A case at a concurrency, and each server's result by name."""

    case: Case
    concurrency: int
    results: dict[str, Result]


def _turn(contender: Contender, requests: list[Request], row: Row, seconds: float) -> None:
    process = contender.process
    before = 0.0
    if process is not None:
        process.forget_peak()
        before = process.cpu()
    measured = drive(*contender.address, requests, row.concurrency, seconds)
    result = row.results.setdefault(contender.name, Result())
    result.latencies += measured.latencies
    result.wall += measured.wall
    if process is not None:
        result.cpu += process.cpu() - before
        result.peak = max(result.peak, process.peak())


def _cell(contenders: list[Contender], row: Row, seconds: float, rounds: int) -> None:
    signed = {one.name: one.signer.requests(row.case) for one in contenders}
    for one in contenders:  # warm, and not counted
        drive(*one.address, signed[one.name], min(row.concurrency, 4), 0.2, each=1 if row.case.is_large else 20)
    for _ in range(rounds):
        for one in contenders:
            _turn(one, signed[one.name], row, seconds / rounds)


def run(
    contenders: list[Contender],
    todo: list[tuple[Case, int]],
    *,
    seconds: float,
    rounds: int,
    until: float,
    tell: Callable[[str], None],
) -> Iterator[Row]:
    """Measure what is to do, `seconds` for each server and case, and stop at the time `until` (monotonic)."""
    for number, (case, concurrency) in enumerate(todo):
        if time.monotonic() > until:
            left = ", ".join(f"{one.name} x{many}" for one, many in todo[number:])
            tell(f"left out, for the time is up: {left}")
            return
        tell(f"{case.name}, {concurrency} at a time")
        row = Row(case, concurrency, {})
        # sixteen large bodies take long enough for one round to say enough
        once = case.is_large and concurrency > 1
        _cell(contenders, row, seconds / 2 if once else seconds, 1 if once else rounds)
        yield row
