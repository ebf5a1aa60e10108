"""The identity policies of a caller, compiled once per text."""

from functools import lru_cache

from kms_core.caller import Caller
from kms_core.keystore.contract import Snapshot
from kms_core.keystore.topics import USERS, user_id
from kms_core.policy.document import Grammar, Policy, parse_policy
from kms_core.policy.evaluate import NamedPolicy


@lru_cache(maxsize=8192)
def compiled(text: str, grammar: Grammar) -> Policy:
    """A policy that was accepted when it was put."""
    return parse_policy(text, grammar)


@lru_cache(maxsize=8192)
def _named(policies: tuple[tuple[str, str], ...]) -> tuple[NamedPolicy, ...]:
    return tuple(NamedPolicy(name, compiled(text, Grammar.IDENTITY)) for name, text in policies)


def identity_policies(snapshot: Snapshot, caller: Caller) -> tuple[NamedPolicy, ...]:
    """What is attached to the caller; a root user, a service and the anonymous caller have none."""
    if caller.user_name is None:
        return ()
    user = snapshot.get(USERS, user_id(caller.account, caller.user_name))
    return () if user is None else _named(user.policies)
