"""What S3's operations work with; built once, by the app."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from kms_core.clock import Clock
from kms_core.keystore.contract import Database
from sseproxy.control.buckets import BucketEncryption
from sseproxy.control.uploads import Parts
from sseproxy.keys import Keys
from sseproxy.store.contract import ObjectStore


@dataclass(frozen=True, slots=True)
class Services:
    """`default_encryption` is that of buckets without a setting; `workers` runs what would hold up the event loop."""

    store: ObjectStore
    keys: Keys
    database: Database
    parts: Parts
    default_encryption: BucketEncryption
    clock: Clock
    random: Callable[[int], bytes]
    workers: Executor
