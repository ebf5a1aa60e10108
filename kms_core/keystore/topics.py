"""The key service's topics: how accounts, users, access keys, keys and aliases are read from their tables."""

from collections import defaultdict

from sqlalchemy import Connection, Row, Select, select

from kms_core.keystore import schema
from kms_core.keystore.contract import Topic
from kms_core.model import AccessKey, Account, Alias, Key, KeyManager, KeyState, Material, User


def user_id(account: str, name: str) -> str:
    """A user's id in a snapshot."""
    return f"{account}/{name}"


def _accounts(connection: Connection) -> dict[str, Account]:
    return {row.id: Account(row.id, row.name, row.created) for row in connection.execute(select(schema.account))}


def _account(connection: Connection, row_id: str) -> Account | None:
    row = connection.execute(select(schema.account).where(schema.account.c.id == row_id)).one_or_none()
    return Account(row.id, row.name, row.created) if row else None


ACCOUNTS: Topic[Account] = Topic("account", _accounts, _account)


def _read_users(connection: Connection, account: str | None = None, name: str | None = None) -> dict[str, User]:
    table, inline = schema.user, schema.user_policy
    users, policies = select(table), select(inline).order_by(inline.c.name)
    if account is not None:
        users = users.where(table.c.account == account, table.c.name == name)
        policies = policies.where(inline.c.account == account, inline.c.user == name)
    documents: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in connection.execute(policies):
        documents[user_id(row.account, row.user)].append((row.name, row.document))
    return {
        (one := user_id(row.account, row.name)): User(
            row.account, row.name, row.path, row.user_id, row.created, tuple(documents[one])
        )
        for row in connection.execute(users)
    }


def _user(connection: Connection, row_id: str) -> User | None:
    account, _, name = row_id.partition("/")
    return _read_users(connection, account, name).get(row_id)


USERS: Topic[User] = Topic("user", _read_users, _user)


def _as_access_key(row: Row[tuple[object, ...]]) -> AccessKey:
    return AccessKey(row.id, row.account, row.user, row.sealed, row.active, row.created)


def _access_keys(connection: Connection) -> dict[str, AccessKey]:
    return {row.id: _as_access_key(row) for row in connection.execute(select(schema.access_key))}


def _access_key(connection: Connection, row_id: str) -> AccessKey | None:
    row = connection.execute(select(schema.access_key).where(schema.access_key.c.id == row_id)).one_or_none()
    return _as_access_key(row) if row else None


ACCESS_KEYS: Topic[AccessKey] = Topic("access_key", _access_keys, _access_key)


def _read_keys(connection: Connection, key_arn: str | None = None) -> dict[str, Key]:
    def rows(query: Select[tuple[object, ...]], column: str) -> list[Row[tuple[object, ...]]]:
        if key_arn is not None:
            query = query.where(query.selected_columns[column] == key_arn)
        return list(connection.execute(query))

    materials: dict[str, list[Material]] = defaultdict(list)
    for row in rows(select(schema.material).order_by(schema.material.c.version), "key_arn"):
        materials[row.key_arn].append(Material(row.id, row.version, row.sealed))
    tags: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in rows(select(schema.tag).order_by(schema.tag.c.position), "key_arn"):
        tags[row.key_arn].append((row.name, row.value))
    aliases: dict[str, list[str]] = defaultdict(list)
    for row in rows(select(schema.alias).order_by(schema.alias.c.name), "target"):
        aliases[row.target].append(row.name)
    return {
        row.arn: Key(
            key_id=row.key_id,
            account=row.account,
            region=row.region,
            created=row.created,
            state=KeyState(row.state),
            description=row.description,
            usage=row.usage,
            spec=row.spec,
            origin=row.origin,
            manager=KeyManager(row.manager),
            multi_region=row.multi_region,
            deletion_at=row.deletion_at,
            pending_window=row.pending_window,
            policy=row.policy,
            tags=tuple(tags[row.arn]),
            aliases=tuple(aliases[row.arn]),
            materials=tuple(materials[row.arn]),
        )
        for row in rows(select(schema.key), "arn")
    }


KEYS: Topic[Key] = Topic("key", _read_keys, lambda connection, row_id: _read_keys(connection, row_id).get(row_id))


def _as_alias(row: Row[tuple[object, ...]]) -> Alias:
    return Alias(row.name, row.account, row.region, row.target, row.created, row.updated)


def _aliases(connection: Connection) -> dict[str, Alias]:
    return {row.arn: _as_alias(row) for row in connection.execute(select(schema.alias))}


def _alias(connection: Connection, row_id: str) -> Alias | None:
    row = connection.execute(select(schema.alias).where(schema.alias.c.arn == row_id)).one_or_none()
    return _as_alias(row) if row else None


ALIASES: Topic[Alias] = Topic("alias", _aliases, _alias)

TOPICS = (ACCOUNTS, USERS, ACCESS_KEYS, KEYS, ALIASES)
