"""The benchmark: `python tests/bench`.

PUT and GET of 1 KiB, 1 MiB and 64 MiB, HEAD, and LIST of 1,000 keys; by the bare server, the proxy with SSE-KMS, the
proxy with SSE-S3, and any endpoint given by URL (credentials: AWS_ACCESS_KEY_ID and its kin; BENCH_SSE, say `aws:kms`,
is the encryption asked of it); in turn, in one run. Then two cases once more with a sampling profiler, to tell where
the time goes. It measures and tells; it never fails because something is slow.
"""

import argparse
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # for testkit, which starts the real servers

from contenders import KMS, PROFILE, taking_part
from measure import run
from stages import profiles
from tables import show
from workload import CASES, MIB, Case

_FULL, _QUICK = 150.0, 28.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    parser.add_argument("--endpoint", help="URL of another S3 server, on plain HTTP, to be measured too")
    parser.add_argument("--endpoint-pid", type=int, help="its process on this machine, for CPU and memory")
    parser.add_argument("--backend", action="store_true", help="a SeaweedFS too, by itself and behind the proxy")
    parser.add_argument("--seconds", type=float, help="for each server and case (2.2; quick: 0.4)")
    parser.add_argument("--quick", action="store_true", help="less of everything, in under 40 seconds")
    parser.add_argument("--signed-payload", action="store_true", help="sign the bodies too, as clients do on HTTP")
    parser.add_argument("--only", action="append", default=[], help="a part of a case's name; may be repeated")
    parser.add_argument("--no-profile", action="store_true", help="leave out the sampling profiler")
    return parser.parse_args()


def _todo(words: list[str], *, quick: bool) -> list[tuple[Case, int]]:
    """One at a time, and sixteen; large bodies sixteen at a time come last, for they take longest."""
    wanted = [case for case in CASES if not words or any(word.lower() in case.name.lower() for word in words)]
    large = [case for case in wanted if case.size > MIB]
    todo = [(case, many) for case in wanted if case not in large for many in (1, 16)]
    todo += [(case, 1) for case in large]
    return todo if quick else todo + [(case, 16) for case in large]


def main() -> None:
    """Measure, and print what was found."""
    given = _arguments()
    began = time.monotonic()
    seconds = given.seconds or (0.4 if given.quick else 2.2)
    limit = max(_QUICK if given.quick else _FULL, 0.0 if given.seconds is None else given.seconds * 80)
    if given.backend:
        limit *= 1.8

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)

    todo = _todo(given.only, quick=given.quick)
    cases = list(dict.fromkeys(case for case, _ in todo))
    profiled = [] if given.no_profile else [case for case in CASES[:2] if case in cases]
    rows, found = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        tell("start the servers, put what will be read")
        with taking_part(
            folder,
            cases,
            given.endpoint,
            given.endpoint_pid,
            backend=given.backend,
            signed_payload=given.signed_payload,
        ) as contenders:
            rows += run(
                contenders,
                todo,
                seconds=seconds,
                rounds=1 if given.quick else 3,
                until=began + limit,
                tell=tell,
            )
            if profiled:
                tell("profile")
                proxy = next(one for one in contenders if one.name == KMS)
                found = profiles(proxy, folder / PROFILE, profiled, 1.5 if given.quick else 5.0, 16)
    load = " ".join(f"{one:.1f}" for one in os.getloadavg())
    packages = ", ".join(f"{one} {version(one)}" for one in ("sseproxy", "uvicorn", "uvloop", "cryptography"))
    show(rows, found, {"Python": sys.version.split()[0], "with": packages, "cores": f"{os.cpu_count()}", "load": load})
    tell("done")


if __name__ == "__main__":
    main()
