"""From the identifiers that KMS takes (key id, key ARN, alias name, alias ARN) to keys and aliases.

A key whose deletion date has passed does not exist. Another account's key that is absent, and one that its policy does
not open, look alike to the caller: `Kms` answers both in the same words.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from kms_core import arn
from kms_core.arn import Arn, is_arn
from kms_core.crypto.blob import read_blob
from kms_core.errors import IncorrectKey, InvalidArn, NotFound
from kms_core.keystore.topics import ALIASES, KEYS
from kms_core.model import Alias, Key
from kms_core.operations.call import Call, Found

_KEY_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mrk-[0-9a-f]{32}")
_ALIAS = "alias/"


class ForeignKeyHidden(Exception):
    """No such key in another account: to be answered as a denial."""

    def __init__(self, key_arn: str) -> None:
        super().__init__(key_arn)
        self.key_arn = key_arn


def live(call: Call, key_arn: str) -> Key | None:
    """The key, unless it has come to its end."""
    key = call.snapshot.get(KEYS, key_arn)
    if key is None or (key.deletion_at is not None and key.deletion_at <= call.facts.at):
        return None
    return key


def _parse(call: Call, value: str) -> Arn:
    """An ARN of KMS in the call's region."""
    try:
        parsed = Arn.parse(value)
    except ValueError as problem:
        raise InvalidArn(f"Invalid arn {value}") from problem
    if parsed.service != "kms" or parsed.partition != "aws":
        raise InvalidArn(f"Invalid arn {value}")
    if parsed.region != call.facts.region:
        raise NotFound(f"Invalid arn {parsed.region}")
    return parsed


def _key(call: Call, account: str, key_id: str) -> Found:
    key_arn = arn.key_arn(call.facts.region, account, key_id)
    key = live(call, key_arn)
    if key is None:
        if account != call.caller.account:
            raise ForeignKeyHidden(key_arn)
        if not _KEY_ID.fullmatch(key_id):
            raise NotFound(f"Invalid keyId '{key_id}'")
        raise NotFound(f"Key '{key_arn}' does not exist")
    return Found(key=key, arn=key.arn, account=key.account)


def _alias(call: Call, account: str, name: str) -> Alias:
    alias_arn = arn.alias_arn(call.facts.region, account, name)
    alias = call.snapshot.get(ALIASES, alias_arn)
    if alias is None or live(call, alias.target) is None:
        if account != call.caller.account:
            raise ForeignKeyHidden(alias_arn)
        raise NotFound(f"Alias {alias_arn} is not found.")
    return alias


def key_of(call: Call, value: str, *, aliases: bool) -> Found:
    """The key behind an identifier. NotFound, InvalidArn; ForeignKeyHidden for another account's."""
    account, resource = call.caller.account, value
    if is_arn(value):
        parsed = _parse(call, value)
        account, resource = parsed.account, parsed.resource
        if resource.startswith("key/"):
            return _key(call, account, resource.removeprefix("key/"))
        if not resource.startswith(_ALIAS) or not aliases:
            raise InvalidArn(f"Invalid arn {value}")
    if resource.startswith(_ALIAS) and aliases:
        alias = _alias(call, account, resource)
        key = live(call, alias.target)
        if key is None:
            raise RuntimeError("kms_core.operations.kms.find: an alias of a key that is gone was found")
        return Found(key=key, arn=key.arn, account=key.account, request_alias=alias.name)
    return _key(call, account, resource)


def by_member(name: str = "KeyId", *, aliases: bool = False) -> Callable[[Call], Found]:
    """The key that a request member names."""

    def find(call: Call) -> Found:
        return key_of(call, call.params.text(name), aliases=aliases)

    return find


def by_ciphertext(blob_member: str, key_member: str) -> Callable[[Call], Found]:
    """The key that made a ciphertext. If the request names a key too, it must be the same one.

    The blob's claim is not trusted: a wrong one leads to a key that will not open it.
    """

    def find(call: Call) -> Found:
        head = read_blob(call.params.blob(blob_member))
        named = call.params.maybe_text(key_member)
        if named is not None:
            found = key_of(call, named, aliases=True)
            if found.key is None or found.key.key_id != head.key_id:
                raise IncorrectKey
            # A service names the key on its caller's behalf: to the caller it is the ciphertext's all the same.
            return replace(found, by_ciphertext=call.facts.via_service is not None)
        own = live(call, arn.key_arn(call.facts.region, call.caller.account, head.key_id))
        key = own or _foreign_key(call, head.key_id)
        if key is None:
            raise ForeignKeyHidden(f"the key {head.key_id} of a ciphertext")
        return Found(key=key, arn=key.arn, account=key.account, by_ciphertext=True)

    return find


def _foreign_key(call: Call, key_id: str) -> Key | None:
    """A key of that id in the call's region, whoever owns it: a walk over all keys. S3 names its keys and is spared."""
    for key in call.snapshot.all(KEYS).values():
        if key.key_id == key_id and key.region == call.facts.region:
            return live(call, key.arn)
    return None


def by_alias_name(name: str) -> Callable[[Call], Found]:
    """The alias of the caller's account that a request member names."""

    def find(call: Call) -> Found:
        alias = _alias(call, call.caller.account, call.params.text(name))
        return Found(alias=alias, arn=alias.arn, account=alias.account)

    return find


def everything(call: Call) -> Found:
    """No resource of its own: `*`."""
    return Found(account=call.caller.account)
