"""Builds everything, once: the rooms and how they are joined.

`prepare` makes a data folder ready (root key, database, first account, bootstrap file, sweep) and is run by one
process; `build` makes the application out of a folder that is ready, and is run by every worker.
"""

import os
import resource
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kms_core.audit.journal import FileJournal
from kms_core.clock import Clock, SystemClock
from kms_core.crypto.root import RootOfTrust, root_from_file, root_from_text
from kms_core.identity.authenticate import Authenticator
from kms_core.keystore.contract import Database, Topic
from kms_core.keystore.sql import SqliteDatabase, sqlite_engine
from kms_core.keystore.topics import TOPICS
from kms_core.keystore.upgrade import KMS_CORE, check, upgrade
from kms_core.service import Kms
from kms_core.wire.endpoint import Endpoint
from sseproxy.backend import open_store
from sseproxy.control.buckets import BUCKETS, BucketEncryption
from sseproxy.control.schema import HISTORY
from sseproxy.control.uploads import Parts
from sseproxy.gate.gate import Gate
from sseproxy.gate.s3_door import S3Door
from sseproxy.health import PREFIX, health_app
from sseproxy.keys import Keys
from sseproxy.s3.services import Services
from sseproxy.settings import Settings
from sseproxy.store.contract import ObjectStore

_THREADS = 8
_ALL_TOPICS: tuple[Topic[Any], ...] = (*TOPICS, BUCKETS)
ROOT_KEY_FILE = "root.key"
DATABASE_FILE = "control.sqlite"
AUDIT_FOLDER = "audit"


def open_root(settings: Settings, *, create: bool) -> RootOfTrust:
    """The root of trust: from the settings, or from the key file in the data folder. RootKeyError."""
    text = settings.root_key.get_secret_value()
    return root_from_text(text) if text else root_from_file(settings.data / ROOT_KEY_FILE, create=create)


def upgrade_database(folder: Path) -> None:
    """Bring the control database to the present schema, making it if there is none. UnknownSchema."""
    engine = sqlite_engine(folder / DATABASE_FILE, writing=True)
    with engine.begin() as connection:
        upgrade(connection, KMS_CORE)
        upgrade(connection, HISTORY)
    engine.dispose()


def open_database(folder: Path) -> SqliteDatabase:
    """The control database. UnknownSchema if it is not at the present schema."""
    engine = sqlite_engine(folder / DATABASE_FILE, writing=True)
    with engine.connect() as connection:
        check(connection, KMS_CORE)
        check(connection, HISTORY)
    engine.dispose()
    return SqliteDatabase(folder / DATABASE_FILE, _ALL_TOPICS)


def raise_file_limit() -> None:
    """Each bucket in use holds a few descriptors: take what the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class App:
    """The application, and what it holds open."""

    gate: Gate
    kms: Kms
    root: RootOfTrust
    database: Database
    store: ObjectStore
    journal: FileJournal
    workers: ThreadPoolExecutor
    writer: ThreadPoolExecutor
    clock: Clock

    def is_ready(self) -> bool:
        """Whether a request could be served: the database answers."""
        try:
            self.database.snapshot()
        except Exception:  # noqa: BLE001 - whatever is wrong, the answer is no
            return False
        return True

    async def close(self) -> None:
        """Let go of everything, in the order in which it leans on each other."""
        await self.store.close()
        self.workers.shutdown()
        self.writer.shutdown()
        self.database.close()
        self.journal.close()


def build(settings: Settings) -> App:
    """Join the rooms over a data folder that is ready."""
    raise_file_limit()
    clock = SystemClock()
    root = open_root(settings, create=False)
    database = open_database(settings.data)
    journal = FileJournal(settings.data / AUDIT_FOLDER, settings.audit_sync)
    kms = Kms(database, root, journal)
    authenticator = Authenticator(root, clock)
    store = open_store(settings, clock)
    workers = ThreadPoolExecutor(_THREADS, thread_name_prefix="sseproxy")
    writer = ThreadPoolExecutor(1, thread_name_prefix="sseproxy-database")
    services = Services(
        store=store,
        keys=Keys(kms),
        database=database,
        parts=Parts(root),
        default_encryption=BucketEncryption(settings.default_encryption, settings.default_key),
        random=os.urandom,
        workers=workers,
        writer=writer,
    )
    s3_door = S3Door(
        services, authenticator, journal, base_domains=settings.domains, idle_timeout=settings.idle_timeout
    )
    endpoint = Endpoint(kms, database, authenticator)
    gate = Gate(s3_door, endpoint, clock, writer, idle_timeout=settings.idle_timeout)
    return App(gate, kms, root, database, store, journal, workers, writer, clock)


class Server:
    """The ASGI callable that uvicorn runs: lifespan, health, and the gate."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._health = health_app(app.is_ready)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "http":
            if scope["path"].startswith(PREFIX):
                await self._health(scope, receive, send)
            else:
                await self._app.gate(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._app.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
