"""Runs the server: one process or several on one socket, and the operators' listener beside them.

A shared lock on `<data>/lock` is held by every process that serves a folder; who makes the folder ready holds it alone,
so two servers never sweep each other's work away.
"""

import asyncio
import fcntl
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector
from uvicorn.supervisors import Multiprocess

from sseproxy import bootstrap
from sseproxy.app import DATABASE_FILE, App, Server, build, open_root, upgrade_database
from sseproxy.backend import NoBackend
from sseproxy.gate.protocol import BoundedProtocol
from sseproxy.health import admin_app
from sseproxy.settings import Settings, address, as_environment
from sseproxy.store.contract import StoreError
from sseproxy.store.s3 import S3Store

log = structlog.get_logger(__name__)
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class AlreadyServed(Exception):
    """Another server works on the data folder."""


@contextmanager
def holding(data: Path) -> Iterator[int]:
    """Hold the folder alone; the descriptor, whose lock may be shared later. AlreadyServed."""
    descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        os.close(descriptor)
        raise AlreadyServed(f"another sseproxy serves {data}") from problem
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _ask(store: S3Store, settings: Settings) -> None:
    """A backend that can't be used is told of at the start, not at the first request."""
    try:
        await store.capabilities()
    except StoreError as problem:
        raise NoBackend(f"the backend at {settings.backend_endpoint} can't be used: {problem}") from problem


async def _prepare(app: App, settings: Settings) -> bootstrap.Credential | None:
    try:
        if isinstance(app.store, S3Store):
            await _ask(app.store, settings)
        if settings.bootstrap is not None:
            await bootstrap.apply(app, bootstrap.read_bootstrap(settings.bootstrap))
        credential = bootstrap.ensure_account(app, settings, make=True)
        dropped = await bootstrap.sweep(app)
        if dropped:
            log.info("leftovers of an earlier run were dropped", bodies=dropped)
        return credential
    finally:
        await app.close()


def prepare(settings: Settings) -> bootstrap.Credential | None:
    """Make the data folder ready, holding it alone; a root credential of it. Whatever is wrong is raised."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = not (settings.data / DATABASE_FILE).exists()
    open_root(settings, create=fresh)  # a new root key beside old data would open nothing of it
    if fresh:
        upgrade_database(settings.data)
    return asyncio.run(_prepare(build(settings), settings))


def _config(settings: Settings, app: Server | str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        http=BoundedProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        workers=settings.workers,
        access_log=False,
        log_level="warning",
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )


def listen(listen_on: str) -> socket.socket:
    """A socket bound to `HOST:PORT`. OSError."""
    host, port = address(listen_on)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.listen(2048)
    bound.set_inheritable(True)
    return bound


def _serve_admin(settings: Settings, registry: CollectorRegistry) -> None:
    """Metrics on a listener and a thread of their own; the thread ends with the process."""
    config = uvicorn.Config(admin_app(registry), log_config=None, access_log=False, proxy_headers=False)
    server = uvicorn.Server(config)
    bound = listen(settings.admin_listen)
    threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="admin", daemon=True).start()


def _has_ended(_signal: int, _frame: object) -> None:
    """uvicorn sends itself the signal once more when it has stopped; that it has is no failure."""


def run(settings: Settings, bound: socket.socket, lock: int) -> None:
    """Serve until told to stop. Requests in flight end first."""
    signal.signal(signal.SIGTERM, _has_ended)
    signal.signal(signal.SIGINT, _has_ended)
    fcntl.flock(lock, fcntl.LOCK_SH)
    if settings.workers == 1:
        if settings.admin_listen:
            _serve_admin(settings, REGISTRY)
        uvicorn.Server(_config(settings, Server(build(settings)))).run(sockets=[bound])
        return
    with tempfile.TemporaryDirectory(prefix="sseproxy-metrics-") as folder:
        os.environ.update(as_environment(settings), **{_METRICS_FOLDER: folder})
        if settings.admin_listen:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            _serve_admin(settings, registry)
        config = _config(settings, "sseproxy.serve:worker")
        Multiprocess(config, sockets=[bound]).run()


def worker() -> Server:
    """The application of a worker process. The shared lock that it takes ends with it."""
    settings = Settings()
    descriptor = os.open(settings.data / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return Server(build(settings))
