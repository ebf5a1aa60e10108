"""The store that the settings name: the embedded one, or any S3 server.

Credentials for an S3 server come from the settings, else from the usual AWS chain (environment, shared files, container
or instance metadata). Those that expire are renewed by a thread of their own: the event loop reads them from memory.
"""

import threading

import botocore.session
import structlog
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials

from kms_core.clock import Clock
from kms_core.crypto.secret import Secret
from sseproxy.settings import Settings
from sseproxy.store.contract import ObjectStore
from sseproxy.store.filesystem import FilesystemStore
from sseproxy.store.s3 import Credentials, CredentialSource, Endpoint, S3Store

log = structlog.get_logger(__name__)
STORE_FOLDER = "store"
_RENEW_SECONDS = 60.0


class NoBackend(Exception):
    """The settings do not lead to a store; the text says why."""


def _as_credentials(frozen: ReadOnlyCredentials) -> Credentials:
    return Credentials(frozen.access_key, Secret(frozen.secret_key.encode()), frozen.token)


def _from_chain() -> CredentialSource:
    """What the AWS chain finds. NoBackend."""
    found = botocore.session.get_session().get_credentials()
    if found is None:
        raise NoBackend("no credentials for the backend: set SSEPROXY_BACKEND_ACCESS_KEY_ID, or any of AWS's ways")
    present = _as_credentials(found.get_frozen_credentials())
    if not isinstance(found, RefreshableCredentials):
        return lambda: present
    latest = [present]

    def renew() -> None:
        while True:
            threading.Event().wait(_RENEW_SECONDS)
            try:
                latest[0] = _as_credentials(found.get_frozen_credentials())
            except Exception:
                log.exception("the backend's credentials could not be renewed; trying again")

    threading.Thread(target=renew, name="backend-credentials", daemon=True).start()
    return lambda: latest[0]


def _credentials(settings: Settings) -> CredentialSource:
    secret = settings.backend_secret_access_key.get_secret_value()
    if not settings.backend_access_key_id:
        return _from_chain()
    given = Credentials(settings.backend_access_key_id, Secret(secret.encode()))
    return lambda: given


def s3_store(settings: Settings, clock: Clock) -> S3Store:
    """The store over the S3 server that the settings name. NoBackend."""
    endpoint = Endpoint(
        url=settings.backend_endpoint, credentials=_credentials(settings), region=settings.backend_region
    )
    try:
        return S3Store(
            endpoint, clock=clock, prefix=settings.backend_bucket_prefix, scratch=settings.backend_scratch_bucket
        )
    except ValueError as problem:
        raise NoBackend(f"backend_endpoint: {problem}") from problem


def open_store(settings: Settings, clock: Clock) -> ObjectStore:
    """The store. NoBackend."""
    if settings.backend == "s3":
        return s3_store(settings, clock)
    return FilesystemStore(settings.data / STORE_FOLDER, clock=clock)
