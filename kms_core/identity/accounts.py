"""Accounts, their root credentials, and users: written in a transaction of the control database."""

from collections.abc import Mapping

from sqlalchemy import delete, insert, update

from kms_core.crypto.root import RootOfTrust
from kms_core.crypto.secret import Secret
from kms_core.identity.secrets import seal_secret
from kms_core.keystore import schema
from kms_core.keystore.contract import Transaction
from kms_core.keystore.topics import ACCESS_KEYS, ACCOUNTS, USERS, user_id
from kms_core.model import SERVICE_ACCOUNT, AccessKey


class InvalidAccount(ValueError):
    """An account, user or credential that may not be."""


def create_account(transaction: Transaction, account: str, name: str, at: float) -> None:
    """A 12-digit account. InvalidAccount."""
    if len(account) != 12 or not account.isdecimal() or not account.isascii() or account == SERVICE_ACCOUNT:
        raise InvalidAccount(f"an account id has 12 digits and is not {SERVICE_ACCOUNT}: {account!r}")
    transaction.connection.execute(insert(schema.account).values(id=account, name=name, created=at))
    transaction.changed(ACCOUNTS, account)


def create_user(transaction: Transaction, account: str, name: str, unique_id: str, at: float) -> None:
    """An IAM user, with the path `/` and no policy yet."""
    if not name or len(name) > 64 or not all(letter.isalnum() or letter in "+=,.@_-" for letter in name):
        raise InvalidAccount(f"no name for an IAM user: {name!r}")
    transaction.connection.execute(
        insert(schema.user).values(account=account, name=name, path="/", user_id=unique_id, created=at)
    )
    transaction.changed(USERS, user_id(account, name))


def put_user_policies(transaction: Transaction, account: str, name: str, documents: Mapping[str, str]) -> None:
    """Make these the user's inline policies: all of them, and no others. The documents are already checked."""
    table = schema.user_policy
    transaction.connection.execute(delete(table).where(table.c.account == account, table.c.user == name))
    for policy, document in documents.items():
        transaction.connection.execute(insert(table).values(account=account, user=name, name=policy, document=document))
    transaction.changed(USERS, user_id(account, name))


def put_access_key(
    transaction: Transaction,
    root: RootOfTrust,
    *,
    account: str,
    user: str | None,
    key_id: str,
    secret: Secret,
    at: float,
    existing: AccessKey | None,
) -> None:
    """A credential with this secret: made, or its secret replaced. InvalidAccount if the id belongs to someone else."""
    if not 16 <= len(key_id) <= 128 or not key_id.isascii() or not key_id.replace("_", "").isalnum():
        raise InvalidAccount("an access key id has 16 to 128 letters, digits or _")
    if len(secret) < 8:
        raise InvalidAccount(f"the secret of access key {key_id} is too short")
    sealed = seal_secret(root, key_id, secret)
    table = schema.access_key
    if existing is None:
        values = {"id": key_id, "account": account, "user": user, "sealed": sealed, "active": True, "created": at}
        transaction.connection.execute(insert(table).values(values))
    elif (existing.account, existing.user) != (account, user):
        raise InvalidAccount(f"access key {key_id} belongs to another principal")
    else:
        transaction.connection.execute(update(table).where(table.c.id == key_id).values(sealed=sealed))
    transaction.changed(ACCESS_KEYS, key_id)
