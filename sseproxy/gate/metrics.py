"""What operators count: calls by operation and status, how long they took, what is under way."""

from functools import lru_cache

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter("sseproxy_calls_total", "Calls answered.", ("service", "operation", "status"))
SECONDS = Histogram(
    "sseproxy_call_seconds",
    "Seconds from the request's head to the end of the reply.",
    ("service",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300),
)
UNDER_WAY = Gauge("sseproxy_calls_under_way", "Calls being served.", multiprocess_mode="livesum")
BROKEN = Counter("sseproxy_replies_broken_total", "Replies cut off because the rest of the body did not verify.")


@lru_cache(maxsize=1024)
def _calls(service: str, operation: str, status: int) -> Counter:
    """Looking up a label's child costs more than counting: remember it."""
    return CALLS.labels(service, operation, status)


@lru_cache(maxsize=16)
def _seconds(service: str) -> Histogram:
    return SECONDS.labels(service)


def count(service: str, operation: str, status: int, seconds: float) -> None:
    """One call more."""
    _calls(service, operation, status).inc()
    _seconds(service).observe(seconds)
