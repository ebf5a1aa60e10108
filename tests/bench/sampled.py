"""The proxy under a sampling profiler: `python sampled.py OUT serve ...` is `sseproxy serve ...`.

SIGUSR1 begins, SIGUSR2 writes what was found to OUT. A timer of CPU time interrupts the main thread; the CPU time since
the last sample goes to the stack found there, and what other threads have used meanwhile to those of them that are at
work. That is kinder than a tracing profiler, which makes small functions look dear.
"""

import json
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

from sseproxy.cli import cli

_INTERVAL = 0.002
# The innermost frame that has a stage says which one; a module with none belongs to whoever called it.
STAGES = (
    ("sseproxy/gate/gate.py", "route, bind, S3 decision"),
    ("sseproxy/gate/s3_door.py", "route, bind, S3 decision"),
    ("sseproxy/gate/body.py", "body"),
    ("sseproxy/gate/aws_chunked.py", "body"),
    ("sseproxy/gate/reply.py", "reply"),
    ("sseproxy/gate/call_audit.py", "journal"),
    ("sseproxy/gate/request.py", "parse, SigV4"),
    ("sseproxy/gate/dispatch.py", "parse, SigV4"),
    ("sseproxy/s3/routes.py", "route, bind, S3 decision"),
    ("sseproxy/s3/fields.py", "route, bind, S3 decision"),
    ("sseproxy/s3/operations/", "operation"),
    ("sseproxy/authorize.py", "route, bind, S3 decision"),
    ("sseproxy/keys.py", "KMS"),
    ("sseproxy/cipher/", "envelope, seal, open"),
    ("sseproxy/objects/", "envelope, seal, open"),
    ("sseproxy/store/", "store"),
    ("kms_core/identity/", "parse, SigV4"),
    ("kms_core/service.py", "KMS"),
    ("kms_core/operations/", "KMS"),
    ("kms_core/audit/", "journal"),
    ("uvicorn/", "bare server"),
    ("prometheus_client/", "metrics"),
)
_IDLE = ("concurrent/futures/thread.py", "threading.py", "queue.py", "selectors.py")


def _short(path: str) -> str:
    for root in ("site-packages/", "/python3.11/", "/python3.12/", "/python3.13/"):
        if root in path:
            return path.rpartition(root)[2]
    for package in ("sseproxy/", "kms_core/"):
        at = path.rfind("/" + package)
        if at >= 0:
            return path[at + 1 :]
    return path


def _stage(path: str) -> str | None:
    return next((stage for prefix, stage in STAGES if path.startswith(prefix)), None)


class Sampler:
    """Counts CPU seconds by stage, by function, and by line of our own code."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._main = threading.get_ident()
        self._reset()

    def _reset(self) -> None:
        self._stages: dict[str, float] = defaultdict(float)
        self._lines: dict[str, float] = defaultdict(float)
        self._functions: dict[str, float] = defaultdict(float)
        self._thread, self._process = time.thread_time(), time.process_time()

    def begin(self, *_: object) -> None:
        """Start counting."""
        self._reset()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)

    def end(self, *_: object) -> None:
        """Stop, and write down what was counted."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = {"stages": self._stages, "lines": self._lines, "functions": self._functions}
        draft = self._out.with_suffix(".draft")
        draft.write_text(json.dumps(found))
        draft.replace(self._out)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        thread, process = time.thread_time(), time.process_time()
        mine, all_of_it = thread - self._thread, process - self._process
        self._thread, self._process = thread, process
        self._count(frame, mine, "")
        others = [
            stack
            for ident, stack in sys._current_frames().items()
            if ident != self._main and not _short(stack.f_code.co_filename).endswith(_IDLE)
        ]
        for stack in others:
            self._count(stack, (all_of_it - mine) / len(others), "worker: ")
        if not others:
            self._stages["worker: at rest again by then"] += all_of_it - mine

    def _count(self, frame: FrameType | None, seconds: float, who: str) -> None:
        stage, line, seen = None, None, set()
        while frame is not None:
            path = _short(frame.f_code.co_filename)
            stage = stage or _stage(path)
            name = f"{path}:{frame.f_code.co_qualname}"
            if path == "<string>":  # what a dataclass made: whose it is matters
                name = f"{type(frame.f_locals.get('self')).__name__}.{frame.f_code.co_name}"
            if line is None and path.startswith(("sseproxy/", "kms_core/", "uvicorn/")):
                line = f"{path}:{frame.f_lineno} {frame.f_code.co_qualname}"
            if name not in seen:
                seen.add(name)
                self._functions[who + name] += seconds
            frame = frame.f_back
        self._stages[who + (stage or "bare server")] += seconds
        self._lines[who + (line or "event loop, kernel")] += seconds


def main() -> None:
    """Serve, with the sampler at hand."""
    sampler = Sampler(Path(sys.argv.pop(1)))
    signal.signal(signal.SIGUSR1, sampler.begin)
    signal.signal(signal.SIGUSR2, sampler.end)
    cli()


if __name__ == "__main__":
    main()
