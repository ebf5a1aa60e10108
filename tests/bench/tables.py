"""What was measured, as tables."""

from collections.abc import Mapping, Sequence

from contenders import BARE, ENDPOINT, KMS, OVER, S3, WEED
from measure import Result, Row
from rich.console import Console
from rich.table import Table
from stages import Profile
from workload import MIB, Verb

_NAMES = (BARE, KMS, S3, ENDPOINT, WEED, OVER)
# design.md, "Where the microseconds may go": microseconds of server CPU, and the sampler's stages that belong there
_BUDGETS: dict[str, tuple[tuple[str, int, tuple[str, ...]], ...]] = {
    "GET 1 KiB": (
        ("bare server", 70, ("bare server",)),
        ("parse, SigV4", 35, ("parse, SigV4",)),
        ("route, bind, S3 decision", 25, ("route, bind, S3 decision", "operation", "metrics")),
        ("KMS: decision, unwrap", 35, ("KMS",)),
        ("journal", 15, ("journal",)),
        ("stat, envelope, open", 60, ("envelope, seal, open",)),
        ("store read, reply", 40, ("store", "reply", "body")),
    ),
    "PUT 1 KiB": (
        ("bare server", 70, ("bare server",)),
        ("parse, SigV4", 35, ("parse, SigV4",)),
        ("route, bind, S3 decision", 25, ("route, bind, S3 decision", "operation", "metrics")),
        ("KMS: decision, data key", 40, ("KMS",)),
        ("journal", 15, ("journal",)),
        ("envelope, seal, body digests", 60, ("envelope, seal, open", "body")),
        ("index commit (grouped), reply", 100, ("store", "reply", "at rest again by then")),
    ),
}
# design.md: whole-server CPU of others, measured in one run on one machine; seconds per GiB and microseconds a request
_OTHERS = (
    "design.md, for comparison, from another run: SeaweedFS SSE-KMS 545 us GET, 799 us PUT, 12.5 s/GiB PUT, 1.3 s/GiB "
    "GET; rclone crypt 215, 639, 7.2, 1.9; bare uvicorn sink 1.3 s/GiB, source 0.36"
)


def _cpu(row: Row, result: Result) -> str:
    if not result.cpu:
        return "-"
    if row.case.is_large:
        return f"{result.cpu_each * 1024 * MIB / row.case.size:.2f} s/GiB"
    return f"{result.cpu_each * 1e6:.0f} us"


def _speed(row: Row, result: Result) -> str:
    if row.case.is_large:
        return f"{result.rate * row.case.size / MIB:.0f} MiB/s"
    return f"{result.rate:.0f}/s"


def _ratio(row: Row, result: Result) -> str:
    """Throughput and CPU as multiples of the bare server's."""
    bare = row.results[BARE]
    speed = f"{result.rate / bare.rate:.2f}"
    return f"{speed} / {result.cpu_each / bare.cpu_each:.1f}" if result.cpu and bare.cpu else speed


def results(rows: Sequence[Row]) -> Table:
    """One line for each case and server."""
    table = Table(title="throughput and latency; server CPU per request, or per GiB of body", title_justify="left")
    for name in ("case", "at once", "server"):
        table.add_column(name, no_wrap=True)
    for name in ("speed", "p50 ms", "p99 ms", "CPU", "speed / CPU to bare", "peak MiB", "requests"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        for name in (name for name in _NAMES if name in row.results):
            result = row.results[name]
            table.add_row(
                row.case.name if name == BARE else "",
                str(row.concurrency) if name == BARE else "",
                name,
                _speed(row, result),
                f"{result.percentile(0.5) * 1e3:.2f}",
                f"{result.percentile(0.99) * 1e3:.2f}",
                _cpu(row, result),
                _ratio(row, result),
                f"{result.peak / MIB:.0f}" if result.peak else "-",
                str(len(result.latencies)),
                end_section=name == list(row.results)[-1],
            )
    return table


def budgets(rows: Sequence[Row], profiles: Sequence[Profile]) -> Table:
    """Where we stand against the budget: the share of each stage is the sampler's, the whole is the measurement's."""
    table = Table(title="the budget of design.md, SSE-KMS, microseconds of CPU a request", title_justify="left")
    table.add_column("stage", no_wrap=True)
    for name in ("budget", "now", "times"):
        table.add_column(name, justify="right", no_wrap=True)
    for profile in profiles:
        name = profile.case.name
        whole = _whole(rows, name, KMS)
        bare = _whole(rows, name, BARE)
        if whole is None:
            continue
        seen = set[str]()
        for stage, budget, parts in _BUDGETS[name]:
            now = whole * sum(_share(profile, part, seen) for part in parts)
            table.add_row(f"{name}: {stage}", str(budget), f"{now:.0f}", f"{now / budget:.1f}")
        rest = whole * (1 - sum(profile.stages[one] for one in seen) / profile.total)
        if rest >= 1:
            table.add_row(f"{name}: elsewhere", "", f"{rest:.0f}", "")
        together = sum(budget for _, budget, _ in _BUDGETS[name])
        table.add_row(f"{name}: together", str(together), f"{whole:.0f}", f"{whole / together:.1f}")
        if bare:
            scaled = together * bare / 70
            note = f"{name}: together, the budget scaled by the bare server ({bare:.0f} us for 70)"
            table.add_row(note, f"{scaled:.0f}", f"{whole:.0f}", f"{whole / scaled:.1f}", end_section=True)
    return table


def _share(profile: Profile, part: str, seen: set[str]) -> float:
    names = [part, f"worker: {part}"]
    seen.update(name for name in names if name in profile.stages)
    return sum(profile.stages.get(name, 0.0) for name in names) / profile.total


def _whole(rows: Sequence[Row], name: str, server: str) -> float | None:
    """Microseconds of CPU a request, from the row with the most at once, which has the most requests."""
    found = [row.results[server] for row in rows if row.case.name == name and server in row.results]
    return found[-1].cpu_each * 1e6 if found and found[-1].cpu else None


def costs(profiles: Sequence[Profile], most: int = 12) -> Table:
    """The dearest functions of our own, with all that they call."""
    table = Table(title="the dearest functions under the sampler, with what they call", title_justify="left")
    for name in ("case", "function"):
        table.add_column(name, no_wrap=True)
    table.add_column("us", justify="right")
    table.add_column("share", justify="right")
    for profile in profiles:
        own = [(name, spent) for name, spent in profile.functions.items() if "sseproxy/" in name or "kms_core/" in name]
        own = [(name, spent) for name, spent in own if spent < 0.3 * profile.total]
        for name, spent in sorted(own, key=lambda pair: -pair[1])[:most]:
            each = spent / profile.requests * 1e6
            table.add_row(profile.case.name, name, f"{each:.0f}", f"{spent / profile.total:.0%}")
    return table


def show(rows: Sequence[Row], profiles: Sequence[Profile], facts: Mapping[str, str]) -> None:
    """Print everything."""
    console = Console(width=150, highlight=False)
    console.print(" | ".join(f"{name}: {value}" for name, value in facts.items()))
    console.print(results(rows))
    if profiles:
        console.print(budgets(rows, profiles))
        console.print(costs(profiles))
    if any(row.case.verb in (Verb.PUT, Verb.GET) for row in rows):
        console.print(_OTHERS)
