"""What S3's operations work with; built once, by the app."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection

from kms_core.keystore.contract import Database, Transaction
from sseproxy.control.buckets import BucketEncryption
from sseproxy.control.uploads import Parts
from sseproxy.keys import Keys
from sseproxy.store.contract import ObjectStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Services:
    """`default_encryption` is that of buckets without a setting.

    `workers` computes what would hold up the event loop. `writer` is one thread, for the control database: its writes
    wait for each other anyway, and must not keep `workers` from their work while they do.
    """

    store: ObjectStore
    keys: Keys
    database: Database
    parts: Parts
    default_encryption: BucketEncryption
    random: Callable[[int], bytes]
    workers: Executor
    writer: Executor

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Read rows that no snapshot holds."""

        def run() -> T:
            with self.database.read() as connection:
                return query(connection)

        return await asyncio.get_running_loop().run_in_executor(self.workers, run)

    async def write(self, change: Callable[[Transaction], T]) -> T:
        """Change the control database in a transaction; durable when this returns."""

        def run() -> T:
            with self.database.begin() as transaction:
                return change(transaction)

        return await asyncio.get_running_loop().run_in_executor(self.writer, run)
