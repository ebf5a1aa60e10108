"""The decision: may this caller do this action on this resource? A pure function of compiled policies and a request.

Sources: IAM User Guide, "Policy evaluation logic" and "Cross-account policy evaluation logic"; KMS Developer Guide,
"Default key policy" and "Determining access to AWS KMS keys"; Amazon S3 User Guide, "How Amazon S3 authorizes a
request".

Invariants: an explicit Deny that matches wins, wherever it stands; without an Allow the answer is no; a caller of
another account needs both sides. What a condition asks about the caller comes from the `Caller` itself, never from the
request's context, and only when a condition or variable asks.

Left out on purpose: grants, permissions boundaries, session policies and SCPs; each is a step of its own beside these.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum

from kms_core.caller import Caller, CallerKind
from kms_core.policy.principals import Standing
from kms_core.policy.statements import Policy, Statement, StatementEffect
from kms_core.policy.variables import ContextValue, Lookup

Context = Mapping[str, ContextValue]
"""Lower-cased context keys; a tuple is a multivalued key; a missing key is absent."""


class Effect(StrEnum):
    """The outcome."""

    ALLOW = "Allow"
    IMPLICIT_DENY = "ImplicitDeny"
    EXPLICIT_DENY = "ExplicitDeny"


class Reason(Enum):
    """Why not, as far as AWS's denial sentence tells a caller."""

    NO_IDENTITY_ALLOW = "no identity-based policy allows"
    NO_RESOURCE_ALLOW = "no resource-based policy allows"
    EXPLICIT_DENY_IDENTITY = "explicit deny in an identity-based policy"
    EXPLICIT_DENY_RESOURCE = "explicit deny in a resource-based policy"
    CROSS_ACCOUNT = "the other account's resource does not allow"


def because(reason: Reason | None, action: str) -> str:
    """The end of AWS's denial sentence (IAM User Guide, "Troubleshoot access denied error messages")."""
    match reason:
        case Reason.EXPLICIT_DENY_IDENTITY:
            return "with an explicit deny in an identity-based policy"
        case Reason.EXPLICIT_DENY_RESOURCE:
            return "with an explicit deny in a resource-based policy"
        case Reason.NO_RESOURCE_ALLOW:
            return f"because no resource-based policy allows the {action} action"
        case _:
            return f"because no identity-based policy allows the {action} action"


class ResourceRule(Enum):
    """How a resource policy counts beside the caller's own.

    KEY: nothing is allowed that the key policy does not allow, in person or by naming the account. BUCKET: within the
    account either side is enough. NONE: the action has no resource policy.
    """

    KEY = "key"
    BUCKET = "bucket"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question. `resource` is an ARN (or `*`), `resource_account` the 12-digit account that owns it."""

    caller: Caller
    action: str
    resource: str
    resource_account: str
    context: Context


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy and what an administrator knows it by."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class StatementRef:
    """The statement that decided: its policy's name, and its Sid or place."""

    policy: str
    statement: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `why` is for administrators and the audit only; `reason` is None when allowed."""

    effect: Effect
    statement: StatementRef | None
    why: str
    reason: Reason | None

    @property
    def allowed(self) -> bool:
        """Whether the action may go on."""
        return self.effect is Effect.ALLOW


_Found = tuple[NamedPolicy, Statement]
_ALLOW, _DENY = StatementEffect.ALLOW, StatementEffect.DENY
_ROOT, _SERVICE, _ANONYMOUS = CallerKind.ROOT, CallerKind.SERVICE, CallerKind.ANONYMOUS
_NONE, _ACCOUNT, _DIRECT = Standing
_KEY, _BUCKET = ResourceRule.KEY, ResourceRule.BUCKET


def evaluate(
    request: AccessRequest, identity: Sequence[NamedPolicy], resource: NamedPolicy | None, rule: ResourceRule
) -> Decision:
    """Decide `request` on the caller's `identity` policies and the `resource` policy, if the resource has one."""
    lookup = _lookup(request)
    caller = request.caller
    outside_iam = caller.kind is _SERVICE or caller.kind is _ANONYMOUS
    foreign = caller.account != request.resource_account and not outside_iam
    standing, by_resource = (_NONE, None) if resource is None else _ask_resource(request, resource, lookup)
    if by_resource is not None and by_resource[1].effect is _DENY:
        return _denied(by_resource, Reason.CROSS_ACCOUNT if foreign else Reason.EXPLICIT_DENY_RESOURCE)
    if outside_iam:
        return _allowed(by_resource) if standing is _DIRECT else _refused(Reason.NO_RESOURCE_ALLOW)
    by_identity = _ask_identity(request, identity, lookup)
    if by_identity is not None and by_identity[1].effect is _DENY:
        return _denied(by_identity, Reason.EXPLICIT_DENY_IDENTITY)
    has_identity = by_identity is not None or caller.kind is _ROOT
    if rule is _KEY or (rule is _BUCKET and foreign):
        if standing is _NONE:
            return _refused(Reason.CROSS_ACCOUNT if foreign else Reason.NO_RESOURCE_ALLOW)
        if standing is _DIRECT and not foreign:
            return _allowed(by_resource)
        return _allowed(by_identity or by_resource) if has_identity else _refused(Reason.NO_IDENTITY_ALLOW)
    if has_identity:
        return _allowed(by_identity)
    return _allowed(by_resource) if standing is _DIRECT else _refused(Reason.NO_IDENTITY_ALLOW)


def _ask_identity(request: AccessRequest, identity: Sequence[NamedPolicy], lookup: Lookup) -> _Found | None:
    """The first Deny that matches, else the first Allow. Candidates come Deny first, so an Allow ends its policy."""
    allow: _Found | None = None
    for named in identity:
        for statement in named.policy.candidates(request.action):
            if statement.effect is _ALLOW:
                if allow is not None:
                    break
                if statement.covers(request.resource, lookup):
                    allow = (named, statement)
                    break
            elif statement.covers(request.resource, lookup):
                return named, statement
    return allow


def _ask_resource(request: AccessRequest, named: NamedPolicy, lookup: Lookup) -> tuple[Standing, _Found | None]:
    """The first Deny about this caller, else the Allow that knows the caller best."""
    best: tuple[Standing, _Found | None] = (_NONE, None)
    for statement in named.policy.candidates(request.action):
        principals = statement.principals
        standing = _NONE if principals is None else principals.standing(request.caller)
        if standing is _NONE or standing is best[0] or not statement.covers(request.resource, lookup):
            continue
        best = (standing, (named, statement))
        if statement.effect is _DENY or standing is _DIRECT:
            break
    return best


def _allowed(found: _Found | None) -> Decision:
    if found is None:
        return Decision(Effect.ALLOW, None, "the account's root user", None)
    ref = StatementRef(found[0].name, found[1].label)
    return Decision(Effect.ALLOW, ref, f"allowed by {ref.policy} {ref.statement}", None)


def _denied(found: _Found, reason: Reason) -> Decision:
    ref = StatementRef(found[0].name, found[1].label)
    return Decision(Effect.EXPLICIT_DENY, ref, f"denied by {ref.policy} {ref.statement}", reason)


def _refused(reason: Reason) -> Decision:
    return Decision(Effect.IMPLICIT_DENY, None, reason.value, reason)


_TAG_FAMILY = "aws:principaltag/"
_PRINCIPAL_TYPES = {_ROOT: "Account", CallerKind.USER: "User", _ANONYMOUS: "Anonymous"}
_OF_CALLER: dict[str, Callable[[Caller], str | None]] = {
    "aws:principalarn": lambda caller: caller.arn,
    "aws:principalaccount": lambda caller: caller.account,
    "aws:principaltype": lambda caller: _PRINCIPAL_TYPES.get(caller.kind),
    "aws:userid": lambda caller: caller.principal_id,
    "aws:username": lambda caller: caller.user_name,
}


def _lookup(request: AccessRequest) -> Lookup:
    """The request's context with the caller's own keys in front, so that the context can't stand in for them."""
    caller, context = request.caller, request.context

    def lookup(key: str) -> ContextValue | None:
        of_caller = _OF_CALLER.get(key)
        if of_caller is not None:
            return None if caller.kind is _SERVICE else of_caller(caller)
        if key.startswith(_TAG_FAMILY):
            return _tag(caller, key[len(_TAG_FAMILY) :])
        return context.get(key)

    return lookup


def _tag(caller: Caller, wanted: str) -> str | None:
    for name, value in caller.tags.items():
        if name.lower() == wanted:
            return value
    return None
