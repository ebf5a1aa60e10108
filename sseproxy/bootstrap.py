"""The first start, and the bootstrap file: accounts, users, keys and buckets as one file says, applied idempotently.

What the file names is made if it is not there, and brought to what the file says if it is; nothing is ever removed.
Keys are made and changed through `Kms.call`, as the account's root user, so they are checked and recorded like
anybody's.
"""

import contextlib
import os
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from kms_core.arn import alias_arn, root_arn
from kms_core.caller import Caller, CallerKind, RequestFacts
from kms_core.crypto.secret import Secret
from kms_core.errors import AwsError
from kms_core.identity.accounts import InvalidAccount, create_account, create_user, put_access_key, put_user_policies
from kms_core.identity.secrets import AccessKeySecrets, new_id, new_secret
from kms_core.keystore.topics import ACCESS_KEYS, ACCOUNTS, ALIASES, KEYS, USERS, user_id
from kms_core.policy.document import Grammar, MalformedPolicy, parse_policy
from sseproxy.app import App
from sseproxy.control import buckets
from sseproxy.control.buckets import BUCKETS, Bucket, BucketEncryption
from sseproxy.control.uploads import places
from sseproxy.s3.names import is_bucket_name
from sseproxy.settings import Settings
from sseproxy.store.contract import BucketExists, NoSuchBucket

DEFAULT_REGION = "us-east-1"


class BootstrapError(Exception):
    """The bootstrap file cannot be applied; the text says what is wrong where."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CredentialTable(_Table):
    """An access key."""

    access_key_id: str
    secret_access_key: SecretStr


class UserTable(_Table):
    """An IAM user with inline policies by name."""

    name: str
    access_keys: tuple[CredentialTable, ...] = ()
    policies: Mapping[str, str] = Field(default_factory=dict)


class KeyTable(_Table):
    """A symmetric KMS key, known by its alias."""

    alias: str
    policy: str | None = None
    description: str = ""
    region: str = DEFAULT_REGION


class EncryptionTable(_Table):
    """A bucket's default encryption."""

    algorithm: Literal["AES256", "aws:kms"]
    key: str | None = None
    bucket_key: bool = False


class BucketTable(_Table):
    """A bucket."""

    name: str
    region: str = DEFAULT_REGION
    encryption: EncryptionTable | None = None
    policy: str | None = None


class AccountTable(_Table):
    """An account and what is in it."""

    id: str
    name: str
    root: CredentialTable | None = None
    user: tuple[UserTable, ...] = ()
    key: tuple[KeyTable, ...] = ()
    bucket: tuple[BucketTable, ...] = ()


class BootstrapFile(_Table):
    """The whole file."""

    account: tuple[AccountTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """A root credential, to be shown to whoever starts the server."""

    account: str
    access_key_id: str
    secret: Secret
    created: bool


def read_bootstrap(path: Path) -> BootstrapFile:
    """The file, checked. BootstrapError."""
    try:
        return BootstrapFile.model_validate(tomllib.loads(path.read_text()))
    except (OSError, ValueError) as problem:
        detail = problem.errors(include_input=False) if isinstance(problem, ValidationError) else problem
        raise BootstrapError(f"{path}: {detail}") from problem


def ensure_account(app: App, settings: Settings, *, make: bool) -> Credential | None:
    """The first account's root credential; made if there is no account at all and `make` says so. BootstrapError."""
    snapshot = app.database.snapshot()
    roots = sorted((key for key in snapshot.all(ACCESS_KEYS).values() if key.user is None), key=lambda key: key.created)
    wanted = settings.root_access_key_id
    if snapshot.all(ACCOUNTS) and not (wanted and snapshot.get(ACCESS_KEYS, wanted) is None):
        opened = AccessKeySecrets(app.root)
        first = next((key for key in roots if wanted in ("", key.id)), None)
        return None if first is None else Credential(first.account, first.id, opened.open(first), created=False)
    if not make:
        return None
    account = settings.account_id or (roots[0].account if roots else str(secrets.randbelow(9 * 10**11) + 10**11))
    given = settings.root_secret_access_key.get_secret_value()
    secret = Secret(given.encode()) if given else new_secret(os.urandom)
    return add_account(app, account, "main", wanted or new_id("AKIA", os.urandom), secret)


def add_account(app: App, account: str, name: str, key_id: str, secret: Secret) -> Credential:
    """An account with a root credential, or another root credential for an account. BootstrapError."""
    now = app.clock.now()
    try:
        with app.database.begin() as transaction:
            snapshot = app.database.snapshot()
            if snapshot.get(ACCOUNTS, account) is None:
                create_account(transaction, account, name, now)
            existing = snapshot.get(ACCESS_KEYS, key_id)
            put_access_key(
                transaction,
                app.root,
                account=account,
                user=None,
                key_id=key_id,
                secret=secret,
                at=now,
                existing=existing,
            )
    except InvalidAccount as problem:
        raise BootstrapError(str(problem)) from problem
    return Credential(account, key_id, secret, created=True)


async def apply(app: App, file: BootstrapFile) -> None:
    """Bring the server to what the file says. BootstrapError.

    Everybody first, then what is theirs: the policy of one account's key may name another account's users.
    """
    for account in file.account:
        try:
            _apply_identities(app, account)
        except InvalidAccount as problem:
            raise BootstrapError(f"account {account.id}: {problem}") from problem
    for account in file.account:
        try:
            for key in account.key:
                _apply_key(app, account.id, key)
            for bucket in account.bucket:
                await _apply_bucket(app, account.id, bucket)
        except (MalformedPolicy, AwsError) as problem:
            raise BootstrapError(f"account {account.id}: {problem}") from problem


def _apply_identities(app: App, table: AccountTable) -> None:
    now = app.clock.now()
    with app.database.begin() as transaction:
        snapshot = app.database.snapshot()
        if snapshot.get(ACCOUNTS, table.id) is None:
            create_account(transaction, table.id, table.name, now)
        credentials: list[tuple[str | None, CredentialTable]] = [] if table.root is None else [(None, table.root)]
        for user in table.user:
            for name, document in user.policies.items():
                try:
                    parse_policy(document, Grammar.IDENTITY)
                except MalformedPolicy as problem:
                    raise BootstrapError(
                        f"policy {name} of user {user.name}: {problem} ({problem.reason})"
                    ) from problem
            if snapshot.get(USERS, user_id(table.id, user.name)) is None:
                create_user(transaction, table.id, user.name, new_id("AIDA", os.urandom), now)
            put_user_policies(transaction, table.id, user.name, user.policies)
            credentials += [(user.name, one) for one in user.access_keys]
        for owner, one in credentials:
            put_access_key(
                transaction,
                app.root,
                account=table.id,
                user=owner,
                key_id=one.access_key_id,
                secret=Secret(one.secret_access_key.get_secret_value().encode()),
                at=now,
                existing=snapshot.get(ACCESS_KEYS, one.access_key_id),
            )


def _as_root(app: App, account: str, region: str) -> tuple[Caller, RequestFacts]:
    caller = Caller(account, root_arn(account), CallerKind.ROOT, account)
    return caller, RequestFacts(app.clock.now(), region, "bootstrap", True, "bootstrap", secrets.token_hex(8))


def _apply_key(app: App, account: str, table: KeyTable) -> None:
    caller, facts = _as_root(app, account, table.region)
    bypass = {"BypassPolicyLockoutSafetyCheck": True}
    alias = app.database.snapshot().get(ALIASES, alias_arn(table.region, account, table.alias))
    if alias is None:
        params = {"Description": table.description, **({"Policy": table.policy, **bypass} if table.policy else {})}
        made = app.kms.call("kms", "CreateKey", params, caller, facts)["KeyMetadata"]
        if not isinstance(made, Mapping):
            raise TypeError("sseproxy.bootstrap: CreateKey answered without metadata")
        app.kms.call("kms", "CreateAlias", {"AliasName": table.alias, "TargetKeyId": made["KeyId"]}, caller, facts)
        return
    key = app.database.snapshot().get(KEYS, alias.target)
    if table.policy is not None and key is not None and key.policy != table.policy:
        params = {"KeyId": alias.target, "Policy": table.policy, **bypass}
        app.kms.call("kms", "PutKeyPolicy", params, caller, facts)


async def _apply_bucket(app: App, account: str, table: BucketTable) -> None:
    if not is_bucket_name(table.name):
        raise BootstrapError(f"no name for a bucket: {table.name!r}")
    if table.policy is not None:
        parse_policy(table.policy, Grammar.BUCKET, bucket=table.name)
    with contextlib.suppress(BucketExists):
        await app.store.create_bucket(table.name)
    with app.database.begin() as transaction:
        existing = app.database.snapshot().get(BUCKETS, table.name)
        bucket = existing or Bucket(table.name, account, table.region, app.clock.now())
        if existing is None:
            buckets.create(transaction, bucket)
        elif existing.account != account:
            raise BootstrapError(f"bucket {table.name} belongs to account {existing.account}")
        if table.encryption is not None:
            wanted = BucketEncryption(table.encryption.algorithm, table.encryption.key, table.encryption.bucket_key)
            buckets.set_encryption(transaction, bucket, wanted)
        if table.policy is not None:
            buckets.set_policy(transaction, bucket, table.policy)


async def sweep(app: App) -> int:
    """Drop what crashes have left behind in the store; how many bodies that were. No request may be in flight."""
    dropped = 0
    for name in app.database.snapshot().all(BUCKETS):
        with app.database.read() as connection:
            keep = frozenset(places(connection, name))
        with contextlib.suppress(NoSuchBucket):
            dropped += await app.store.sweep(name, keep)
    return dropped
