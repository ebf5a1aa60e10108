"""Principal and NotPrincipal: whom a statement of a resource policy is about.

Sources: IAM User Guide, "AWS JSON policy elements: Principal" and "... NotPrincipal". A principal is named whole: no
wildcard but the lone `*`. Whether a named user exists is for the operations to ask; `names` and `accounts` tell them.

`Federated` and `CanonicalUser` principals are checked for form and match no caller yet.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from kms_core.arn import Arn, root_arn
from kms_core.caller import Caller, CallerKind

_ACCOUNT = re.compile(r"[0-9]{12}")
_PRINCIPAL_ID = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{12,124}")
_SERVICE = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")
_FEDERATED = re.compile(r"[A-Za-z0-9:/._-]+")
_CANONICAL_USER = re.compile(r"[0-9a-f]{64}")


class Standing(Enum):
    """How a statement knows a caller: not at all, through its account (which then delegates to IAM), or in person."""

    NONE = 0
    ACCOUNT = 1
    DIRECT = 2


_NONE, _ACCOUNT_ONLY, _DIRECT = Standing


@dataclass(frozen=True, slots=True)
class Principals:
    """The compiled element. `names` holds ARNs and principal ids, `accounts` 12-digit ids, `everyone` a `*`."""

    everyone: bool
    names: frozenset[str]
    accounts: frozenset[str]
    services: frozenset[str]
    negated: bool

    def standing(self, caller: Caller) -> Standing:
        """How the statement applies to `caller`; a NotPrincipal that does not exempt the caller applies in person."""
        listed = self._listed(caller)
        if not self.negated:
            return listed
        return _NONE if listed is _DIRECT and self._account_exempt(caller) else _DIRECT

    def _listed(self, caller: Caller) -> Standing:
        if self.everyone or caller.arn in self.names or caller.principal_id in self.names:
            return _DIRECT
        if caller.account in self.accounts:
            return _DIRECT if caller.kind is CallerKind.ROOT else _ACCOUNT_ONLY
        return _DIRECT if caller.kind is CallerKind.SERVICE and caller.arn in self.services else _NONE

    def _account_exempt(self, caller: Caller) -> bool:
        """AWS checks the account before the user, so exempting a user takes both ("NotPrincipal with Deny")."""
        return self.everyone or caller.kind is CallerKind.SERVICE or caller.account in self.accounts


def parse_principals(element: object, negated: bool) -> Principals:
    """Compile a decoded Principal (or NotPrincipal) element; ValueError names what is no principal."""
    if element == "*":
        return Principals(True, frozenset(), frozenset(), frozenset(), negated)
    if not isinstance(element, Mapping) or not element:
        raise ValueError(f"not a principal: {element!r:.200}")
    everyone = False
    names: set[str] = set()
    accounts: set[str] = set()
    services: set[str] = set()
    for kind, values in element.items():
        for value in _names(kind, values):
            if kind == "AWS" and value == "*":
                everyone = True
            elif kind == "AWS" and (account := _account(value)):
                accounts.add(account)
            else:
                _check(kind, value)
                if kind == "AWS":
                    names.add(value)
                elif kind == "Service":
                    services.add(value)
    return Principals(everyone, frozenset(names), frozenset(accounts), frozenset(services), negated)


def _names(kind: object, values: object) -> list[str]:
    names = [values] if isinstance(values, str) else values
    if not isinstance(names, list) or not names:
        raise ValueError(f"{kind} principal without a name")
    strings = [name for name in names if isinstance(name, str)]
    if len(strings) != len(names):
        raise ValueError(f"{kind} principal that is no string")
    return strings


def _account(value: str) -> str | None:
    """The account that `value` names, by its id or by its root ARN."""
    account = value.removeprefix("arn:aws:iam::").removesuffix(":root")
    return account if _ACCOUNT.fullmatch(account) and value in (account, root_arn(account)) else None


def _check(kind: object, value: str) -> None:
    form = _FORMS.get(kind) if isinstance(kind, str) else None
    if form is None or not form(value):
        raise ValueError(f"not a principal: {kind} {value[:200]}")


def _is_aws(value: str) -> bool:
    if _PRINCIPAL_ID.fullmatch(value):
        return True
    try:
        arn = Arn.parse(value)
    except ValueError:
        return False
    kind, _, name = arn.resource.partition("/")
    known = (arn.service, kind) in _ARN_KINDS
    plain = not arn.region and arn.partition == "aws" and bool(_ACCOUNT.fullmatch(arn.account))
    return known and plain and bool(name) and "*" not in name and "?" not in name


_ARN_KINDS = frozenset({("iam", "user"), ("iam", "role"), ("sts", "assumed-role"), ("sts", "federated-user")})

_FORMS: dict[str, Callable[[str], bool]] = {
    "AWS": _is_aws,
    "Service": lambda value: bool(_SERVICE.fullmatch(value)),
    "Federated": lambda value: bool(_FEDERATED.fullmatch(value)),
    "CanonicalUser": lambda value: bool(_CANONICAL_USER.fullmatch(value)),
}
