"""The command line."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from kms_core.audit import journal
from kms_core.clock import SystemClock
from kms_core.crypto.root import RootKeyError
from kms_core.identity.secrets import new_id, new_secret
from kms_core.keystore.upgrade import UnknownSchema
from sseproxy import bootstrap, logs, serve
from sseproxy.app import AUDIT_FOLDER, build, upgrade_database
from sseproxy.backend import NoBackend, s3_store
from sseproxy.settings import CONFIG_VARIABLE, Settings, address
from sseproxy.store.contract import StoreError
from sseproxy.store.s3 import Capabilities

cli = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="An S3 endpoint that encrypts every object it stores."
)
account_cli = typer.Typer(no_args_is_help=True, help="Accounts.")
audit_cli = typer.Typer(no_args_is_help=True, help="The audit journal.")
db_cli = typer.Typer(no_args_is_help=True, help="The control database.")
cli.add_typer(account_cli, name="account")
cli.add_typer(audit_cli, name="audit")
cli.add_typer(db_cli, name="db")
err = Console(stderr=True, highlight=False, soft_wrap=True)

DataOption = Annotated[Path | None, typer.Option("--data", help="The folder of everything that is kept. [data]")]


def _fail(problem: object) -> typer.Exit:
    err.print(f"sseproxy: {problem}", markup=False)
    return typer.Exit(1)


def _settings(**given: Any) -> Settings:
    """Settings from the command line's words, the environment and the file."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as problem:
        lines = [f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}" for one in problem.errors()]
        raise _fail("; ".join(lines)) from problem


def _guarded(action: Callable[[], Any]) -> Any:
    """Run something whose failures have a sentence for the operator."""
    try:
        return action()
    except (
        RootKeyError,
        UnknownSchema,
        bootstrap.BootstrapError,
        serve.AlreadyServed,
        journal.JournalError,
        NoBackend,
        StoreError,
        OSError,
    ) as problem:
        raise _fail(problem) from problem


def _show(credential: bootstrap.Credential, endpoint: str) -> None:
    """How to talk to the server, ready to paste."""
    secret = credential.secret.reveal().decode()
    print(f"export AWS_ENDPOINT_URL={endpoint}")
    print(f"export AWS_ACCESS_KEY_ID={credential.access_key_id}")
    print(f"export AWS_SECRET_ACCESS_KEY={secret}")
    print(f"export AWS_DEFAULT_REGION={bootstrap.DEFAULT_REGION}", flush=True)


@cli.command(name="serve")
def serve_command(
    data: DataOption = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT. [127.0.0.1:9000]")] = None,
    admin_listen: Annotated[str | None, typer.Option(help="HOST:PORT of /metrics. [none]")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. [1]")] = None,
    bootstrap_file: Annotated[
        Path | None, typer.Option("--bootstrap", help="Accounts, users, keys and buckets to be there, as TOML.")
    ] = None,
    backend: Annotated[str | None, typer.Option(help="filesystem or s3. [filesystem]")] = None,
    backend_endpoint: Annotated[str | None, typer.Option(help="URL of the S3 server behind, for s3.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key, PEM.")] = None,
    config: Annotated[Path | None, typer.Option(help=f"Settings as TOML; also {CONFIG_VARIABLE}.")] = None,
    show_credentials: Annotated[
        bool, typer.Option(help="Print the root credential at every start, not at the first one only.")
    ] = False,
) -> None:
    """Serve S3, KMS and STS.

    Every setting can also be given as SSEPROXY_<NAME> in the environment, or in a TOML file.
    """
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    settings = _settings(
        data=data,
        listen=listen,
        admin_listen=admin_listen,
        workers=workers,
        bootstrap=bootstrap_file,
        backend=backend,
        backend_endpoint=backend_endpoint,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    logs.configure(settings.log_level)
    _guarded(lambda: _serve(settings, show_credentials=show_credentials))


def _serve(settings: Settings, *, show_credentials: bool) -> None:
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with serve.holding(settings.data) as lock:
        bound = serve.listen(settings.listen)
        credential = serve.prepare(settings)
        host, _ = address(settings.listen)
        scheme = "https" if settings.tls_cert is not None else "http"
        endpoint = f"{scheme}://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"
        err.print(f"sseproxy: serving {settings.data.resolve()} at {endpoint}", markup=False)
        if credential is not None and (credential.created or show_credentials):
            _show(credential, endpoint)
            print("# Now try:")
            print("#   aws s3 mb s3://demo")
            print("#   aws s3 cp README.md s3://demo/ --sse aws:kms")
            print("#   aws s3 ls s3://demo", flush=True)
        serve.run(settings, bound, lock)


@cli.command()
def doctor(
    backend: Annotated[str, typer.Option(help="s3: the only one that needs asking.")] = "s3",
    backend_endpoint: Annotated[str | None, typer.Option(help="URL of the S3 server.")] = None,
    config: Annotated[Path | None, typer.Option(help=f"Settings as TOML; also {CONFIG_VARIABLE}.")] = None,
) -> None:
    """Ask an S3 server what it can do, and print the table. It leaves nothing there but the scratch bucket."""
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    settings = _settings(backend=backend, backend_endpoint=backend_endpoint)

    async def ask() -> Capabilities:
        store = s3_store(settings, SystemClock())
        try:
            return await store.capabilities()
        finally:
            await store.close()

    found: Capabilities = _guarded(lambda: asyncio.run(ask()))
    rows = list(found.rows())
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")


@cli.command()
def version() -> None:
    """Print the version."""
    print(installed_version("sseproxy"))


@account_cli.command(name="create")
def account_create(
    account: Annotated[str, typer.Argument(metavar="ID", help="12 digits.")],
    name: Annotated[str, typer.Option(help="What it is called.")] = "",
    data: DataOption = None,
) -> None:
    """Make an account with a new root credential (or another credential for one that exists), and print it."""
    settings = _settings(data=data)

    def create() -> bootstrap.Credential:
        app = build(settings)
        try:
            return bootstrap.add_account(
                app, account, name or account, new_id("AKIA", os.urandom), new_secret(os.urandom)
            )
        finally:
            app.database.close()
            app.journal.close()

    credential: bootstrap.Credential = _guarded(create)
    print(f"export AWS_ACCESS_KEY_ID={credential.access_key_id}")
    print(f"export AWS_SECRET_ACCESS_KEY={credential.secret.reveal().decode()}")


@audit_cli.command(name="tail")
def audit_tail(
    data: DataOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last events.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing new ones.")] = False,
) -> None:
    """Print the last events, one JSON object a line."""
    folder = _settings(data=data).data / AUDIT_FOLDER
    shown = _guarded(lambda: list(journal.read_events(folder)))
    for event in shown[-lines:]:
        print(json.dumps(event))
    seen = len(shown)
    while follow:
        time.sleep(0.5)
        sys.stdout.flush()
        fresh = _guarded(lambda: list(journal.read_events(folder)))
        for event in fresh[seen:]:
            print(json.dumps(event))
        seen = len(fresh)


@audit_cli.command(name="verify")
def audit_verify(data: DataOption = None) -> None:
    """Check that no event was removed, added, moved or edited. Exit status 1, and the place, if one was."""
    folder = _settings(data=data).data / AUDIT_FOLDER
    count = _guarded(lambda: journal.verify(folder))
    print(f"{count} records, the chain is whole")


@db_cli.command(name="upgrade")
def db_upgrade(data: DataOption = None) -> None:
    """Bring the control database to the schema of this version."""
    settings = _settings(data=data)

    def upgrade() -> None:
        with serve.holding(settings.data):
            upgrade_database(settings.data)

    _guarded(upgrade)
    print("the control database is at the schema of this version")
