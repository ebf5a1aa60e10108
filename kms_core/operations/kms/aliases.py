"""Aliases (KMS developer guide, "Aliases in AWS KMS"). Both the alias and its keys must allow a change."""

from sqlalchemy import delete, insert, update

from kms_core import arn
from kms_core.errors import AlreadyExists, AwsError, InvalidAliasName, InvalidState, LimitExceeded, ValidationException
from kms_core.keystore import schema
from kms_core.keystore.contract import Transaction
from kms_core.keystore.topics import ALIASES, KEYS
from kms_core.model import Alias, Key, KeyState
from kms_core.operations.call import Call, Found, Operation, Output, States, Target
from kms_core.operations.kms.find import ForeignKeyHidden, by_alias_name, by_member, everything, key_of, live
from kms_core.operations.kms.paging import page

_PREFIX = "alias/"
_RESERVED = "alias/aws/"
_MAX_ALIASES = 50


class NotAuthorized(AwsError):
    """Names under `alias/aws/` belong to AWS. AWS gives no message."""

    code = "NotAuthorizedException"


def new_alias(transaction: Transaction, alias: Alias) -> None:
    """Write an alias that does not exist yet."""
    columns = ("arn", "name", "account", "region", "target", "created", "updated")
    values = {column: getattr(alias, column) for column in columns}
    transaction.connection.execute(insert(schema.alias).values(values))
    transaction.changed(ALIASES, alias.arn)
    transaction.changed(KEYS, alias.target)


def _checked_name(call: Call) -> str:
    name = call.params.text("AliasName")
    if not name.startswith(_PREFIX):
        raise ValidationException(
            'Alias must start with the prefix "alias/". Please see '
            "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )
    if name.startswith(_RESERVED):
        raise NotAuthorized
    if name == _PREFIX:
        raise InvalidAliasName("Invalid alias name")
    return name


def _new_name(call: Call) -> Found:
    """The alias to be: IAM policies may name its ARN before it exists."""
    name = _checked_name(call)
    account = call.caller.account
    return Found(
        alias=Alias(name, account, call.facts.region, "", call.facts.at, call.facts.at),
        arn=arn.alias_arn(call.facts.region, account, name),
        account=account,
    )


def _create(call: Call) -> Output:
    alias, key = call.aliases[0], call.key
    existing = call.snapshot.get(ALIASES, alias.arn)
    if existing is not None:
        if live(call, existing.target) is not None:
            raise AlreadyExists(f"An alias with the name {alias.arn} already exists")
        _remove(call, existing)  # its key is gone, and with a key go its aliases
    _check_room(key)
    made = Alias(alias.name, alias.account, alias.region, key.arn, call.facts.at, call.facts.at)
    new_alias(call.transaction, made)
    return {}


def _check_room(key: Key) -> None:
    if len(key.aliases) >= _MAX_ALIASES:
        raise LimitExceeded(f"Key {key.arn} already has {_MAX_ALIASES} aliases")


def _present_target(call: Call) -> Found:
    """The key that the alias leads to now."""
    _checked_name(call)
    alias = by_alias_name("AliasName")(call).alias
    return key_of(call, alias.target, aliases=False) if alias else everything(call)


def _named_alias(call: Call) -> Found:
    _checked_name(call)
    return by_alias_name("AliasName")(call)


def _remove(call: Call, alias: Alias) -> None:
    call.transaction.connection.execute(delete(schema.alias).where(schema.alias.c.arn == alias.arn))
    call.transaction.changed(ALIASES, alias.arn)
    call.transaction.changed(KEYS, alias.target)


def _delete(call: Call) -> Output:
    _remove(call, call.aliases[0])
    return {}


def _update(call: Call) -> Output:
    alias, old, new = call.aliases[0], call.keys[0], call.keys[1]
    if new.state is KeyState.PENDING_DELETION:
        raise InvalidState(f"{new.arn} is pending deletion.")
    if (old.usage, old.spec) != (new.usage, new.spec):
        raise ValidationException(f"Alias {alias.arn} cannot be changed to a key of another usage or spec.")
    if old.arn != new.arn:
        _check_room(new)
    call.transaction.connection.execute(
        update(schema.alias).where(schema.alias.c.arn == alias.arn).values(target=new.arn, updated=call.facts.at)
    )
    call.transaction.changed(ALIASES, alias.arn)
    call.transaction.changed(KEYS, old.arn)
    call.transaction.changed(KEYS, new.arn)
    return {}


def _list(call: Call) -> Output:
    account, region = call.caller.account, call.facts.region
    key_id = call.params.maybe_text("KeyId")
    found = None if key_id is None else key_of(call, key_id, aliases=False)
    if found is not None and found.account != account:
        raise ForeignKeyHidden(found.arn)
    wanted = None if found is None else found.arn
    mine = [
        alias
        for alias in call.snapshot.all(ALIASES).values()
        if alias.account == account
        and alias.region == region
        and wanted in (None, alias.target)
        and live(call, alias.target) is not None
    ]
    shown, more = page(call.params, mine, lambda alias: alias.name, 50)
    rows = [
        {
            "AliasName": alias.name,
            "AliasArn": alias.arn,
            "TargetKeyId": alias.target.rpartition("/")[2],
            "CreationDate": alias.created,
            "LastUpdatedDate": alias.updated,
        }
        for alias in shown
    ]
    return {"Aliases": rows, **more}


OPERATIONS = (
    Operation(
        "CreateAlias",
        (Target("kms:CreateAlias", _new_name), Target("kms:CreateAlias", by_member("TargetKeyId"))),
        _create,
        States.NOT_PENDING_DELETION,
        writes=True,
    ),
    Operation(
        "UpdateAlias",
        (
            Target("kms:UpdateAlias", _named_alias),
            Target("kms:UpdateAlias", _present_target),
            Target("kms:UpdateAlias", by_member("TargetKeyId")),
        ),
        _update,
        writes=True,
    ),
    Operation(
        "DeleteAlias",
        (Target("kms:DeleteAlias", _named_alias), Target("kms:DeleteAlias", _present_target)),
        _delete,
        writes=True,
    ),
    Operation("ListAliases", (Target("kms:ListAliases", everything),), _list),
)
