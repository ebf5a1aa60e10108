"""Health pages under `/_/health/` (no bucket name can begin so), and what operators see on a listener of their own."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

PREFIX = "/_/health/"


def health_app(is_ready: Callable[[], bool]) -> Starlette:
    """`live`: the process answers. `ready`: so do the database and the store; 503 otherwise."""

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        if is_ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready\n", status_code=503)

    return Starlette(routes=[Route(PREFIX + "live", live), Route(PREFIX + "ready", ready)])


def admin_app(registry: CollectorRegistry) -> Starlette:
    """`/metrics`, in Prometheus's text format."""

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics)])
