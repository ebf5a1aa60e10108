"""`Kms.call`: the only door to the operations of the key service.

Every call passes here in the same order: find what it is about, decide, check the key's state, run, write the event,
and only then let the effect stand: the event of a write is in the journal before its transaction commits, the event of
a read before its answer leaves. A call whose event cannot be written fails. No operation can skip a step, since none
sees a request before the door has taken these.
"""

import os
from collections.abc import Callable, Mapping

from kms_core import arn
from kms_core.audit.event import AuditEvent, Resource, new_event_id
from kms_core.audit.journal import Journal, JournalError
from kms_core.caller import Caller, CallerKind, RequestFacts, service_caller
from kms_core.crypto.material import Materials
from kms_core.crypto.root import RootOfTrust
from kms_core.errors import (
    AccessDenied,
    AwsError,
    Disabled,
    DryRun,
    InternalError,
    InvalidGrantToken,
    InvalidKeyUsage,
    InvalidState,
    ServiceUnavailable,
    UnknownOperation,
)
from kms_core.identity.policies import compiled, identity_policies
from kms_core.keystore.contract import Database, Snapshot, Transaction
from kms_core.keystore.topics import ALIASES
from kms_core.model import SERVICE_ACCOUNT, Alias, Key, KeyManager, KeyState
from kms_core.operations.call import Call, Found, Operation, Output, States, Target, Tools
from kms_core.operations.kms import OPERATIONS as KMS
from kms_core.operations.kms.aliases import new_alias
from kms_core.operations.kms.default_policies import managed_policy, service_policy
from kms_core.operations.kms.find import ForeignKeyHidden
from kms_core.operations.kms.keys import new_key
from kms_core.operations.params import Params
from kms_core.operations.sts import OPERATIONS as STS
from kms_core.policy.document import Grammar
from kms_core.policy.evaluate import AccessRequest, Decision, NamedPolicy, Reason, ResourceRule, because, evaluate
from kms_core.policy.request_context import RequestContext

_TABLES: Mapping[str, Mapping[str, Operation]] = {"kms": KMS, "sts": STS}
_HIDDEN_CIPHERTEXT = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
    "or you are not allowed to access."
)
_S3_DESCRIPTION = "Default key that protects my S3 objects when no other key is defined"


class Kms:
    """The key service over one control database."""

    def __init__(
        self,
        database: Database,
        root: RootOfTrust,
        journal: Journal,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._database = database
        self._journal = journal
        self._tools = Tools(root, Materials(root), random)

    @staticmethod
    def serves(service: str, name: str) -> bool:
        """Whether there is such an operation here."""
        return name in _TABLES[service]

    @staticmethod
    def writes(service: str, name: str) -> bool:
        """Whether the operation writes to the database, and so must not run on an event loop."""
        return _TABLES[service][name].writes

    def call(
        self, service: str, name: str, params: Mapping[str, object], caller: Caller, facts: RequestFacts
    ) -> Output:
        """Run one operation for a caller. `params` have passed the wire's validation; the output has the model's
        members (with `Secret`s in it, for the wire to reveal). AwsError, and nothing else."""
        operation = _TABLES[service].get(name)
        if operation is None:
            raise UnknownOperation
        if not operation.writes:
            return self._run(service, operation, params, caller, facts, None)
        try:
            with self._database.begin() as transaction:
                return self._run(service, operation, params, caller, facts, transaction)
        except AwsError:
            raise
        except Exception as problem:  # the database is locked, full or gone; the event may say that all went well
            call = Call(Params(params), caller, facts, Snapshot(-1, {}), self._tools, None)
            call.notes["correction"] = "the change was not committed"
            failure = InternalError(f"kms_core.service: {operation.name} was not committed")
            self._record(service, operation, call, None, failure)
            raise failure from problem

    def _run(
        self,
        service: str,
        operation: Operation,
        params: Mapping[str, object],
        caller: Caller,
        facts: RequestFacts,
        transaction: Transaction | None,
    ) -> Output:
        call = Call(Params(params), caller, facts, self._database.snapshot(), self._tools, transaction)
        try:
            for target in operation.targets:
                self._admit(call, operation, target)
            if call.params.texts("GrantTokens"):
                raise InvalidGrantToken  # there are no grants yet, so nobody was given a token
            output = operation.handle(call)
            if call.params.flag("DryRun"):
                raise DryRun  # what was computed is dropped; a transaction is undone
        except AwsError as error:
            self._record(service, operation, call, None, error)
            raise
        except ForeignKeyHidden as hidden:
            denied = AccessDenied(_hidden_sentence(caller, f"{service}:{operation.name}", hidden))
            self._record(service, operation, call, None, denied)
            raise denied from hidden
        except Exception as problem:
            self._record(service, operation, call, None, InternalError())
            raise InternalError(f"kms_core.service: {operation.name} failed") from problem
        self._record(service, operation, call, output, None)
        return output

    def refuse(self, service: str, name: str, caller: Caller, facts: RequestFacts, error: AwsError) -> None:
        """Record a call that the wire's validation turned away. ServiceUnavailable if that cannot be written."""
        operation = _TABLES[service][name]
        call = Call(Params({}), caller, facts, self._database.snapshot(), self._tools, None)
        self._record(service, operation, call, None, error)

    # Finding and deciding

    def _admit(self, call: Call, operation: Operation, target: Target) -> None:
        """Find one target, decide on it, check the key's state: in that order, as AWS does."""
        try:
            found = target.find(call)
        except ForeignKeyHidden as hidden:
            call.notes["hidden"] = hidden.key_arn
            raise AccessDenied(_hidden_sentence(call.caller, target.action, hidden)) from hidden
        if found.account != call.caller.account and found.key is not None and not operation.cross_account:
            raise AccessDenied(_sentence(call.caller, target.action, found, Reason.CROSS_ACCOUNT))
        decision = self.decide(call.caller, call.facts, call.snapshot, target.action, found, target.context(call))
        call.notes["decision"] = decision.why
        if found.key is not None:
            call.keys.append(found.key)
        if found.alias is not None:
            call.aliases.append(found.alias)
        if not decision.allowed:
            raise AccessDenied(_sentence(call.caller, target.action, found, decision.reason))
        if found.key is not None:
            _check_key(found.key, operation)

    @staticmethod
    def decide(
        caller: Caller,
        facts: RequestFacts,
        snapshot: Snapshot,
        action: str,
        found: Found,
        context: Mapping[str, str | tuple[str, ...]],
    ) -> Decision:
        """May this caller do this with this key (or alias, or at all)? Pure: it writes nothing and asks nobody."""
        key = found.key
        values: dict[str, str | tuple[str, ...]] = {
            "kms:calleraccount": caller.account,
            "aws:resourceaccount": found.account,
            **context,
        }
        if facts.via_service is not None:
            values["kms:viaservice"] = facts.via_service
        resource, rule = None, ResourceRule.NONE
        if key is not None:
            rule = ResourceRule.KEY
            resource = NamedPolicy("key policy", compiled(key.policy, Grammar.KEY))
            values |= _key_context(key, found.request_alias)
        request = AccessRequest(caller, action, found.arn, found.account, RequestContext(facts, values))
        return evaluate(request, identity_policies(snapshot, caller), resource, rule)

    # The audit

    def _record(
        self, service: str, operation: Operation, call: Call, output: Output | None, error: AwsError | None
    ) -> None:
        """Write the event: to the caller's account, and of a success to those of the keys too, as CloudTrail does."""
        owners = [key.account for key in call.keys] if error is None else []
        recipients = [account for account in dict.fromkeys((call.caller.account, *owners)) if account]
        shared = new_event_id() if len(recipients) > 1 else None
        events = [
            AuditEvent(
                source=f"{service}.amazonaws.com",
                name=operation.name,
                caller=call.caller,
                facts=call.facts,
                read_only=not operation.writes,
                parameters={**operation.audit_defaults, **call.params.for_audit()} or None,
                response=_for_audit(output if operation.audit_response else None),
                additional=dict(call.notes) or None,
                resources=[Resource(key.account, "AWS::KMS::Key", key.arn) for key in call.keys],
                error_code=_code(error),
                error_message=error.message if error else None,
                recipient=account,
                shared=shared,
            )
            for account in recipients or [SERVICE_ACCOUNT]
        ]
        try:
            self._journal.append(*events)
        except JournalError as problem:
            raise ServiceUnavailable("The audit trail cannot be written.") from problem

    # Keys of AWS's and of services

    def managed_key(self, account: str, region: str, at: float) -> str:
        """The ARN of `alias/aws/s3` in an account and region; made at the first use. Blocks when it has to be made."""
        return self._standing_key(account, region, at, "alias/aws/s3", managed_policy(account, region, "s3"))

    def service_key(self, region: str, at: float) -> str:
        """The ARN of S3's own key in a region, for SSE-S3; made at the first use. Blocks when it has to be made."""
        return self._standing_key(SERVICE_ACCOUNT, region, at, "alias/aws/s3", service_policy("s3.amazonaws.com"))

    def find_managed_key(self, account: str, region: str) -> str | None:
        """The ARN of `alias/aws/s3`, if it has been made."""
        return self._standing(arn.alias_arn(region, account, "alias/aws/s3"))

    def find_service_key(self, region: str) -> str | None:
        """The ARN of S3's own key, if it has been made."""
        return self._standing(arn.alias_arn(region, SERVICE_ACCOUNT, "alias/aws/s3"))

    def _standing(self, alias_arn: str) -> str | None:
        alias = self._database.snapshot().get(ALIASES, alias_arn)
        return None if alias is None else alias.target

    def _standing_key(self, account: str, region: str, at: float, name: str, policy: str) -> str:
        with self._database.begin() as transaction:
            found = self._standing(arn.alias_arn(region, account, name))  # someone else may have been first
            return found or self._make_standing_key(transaction, account, region, at, name, policy)

    def _make_standing_key(
        self, transaction: Transaction, account: str, region: str, at: float, name: str, policy: str
    ) -> str:
        key = new_key(
            transaction,
            self._tools,
            account=account,
            region=region,
            at=at,
            policy=policy,
            description=_S3_DESCRIPTION,
            manager=KeyManager.AWS,
        )
        new_alias(transaction, Alias(name, account, region, key.arn, at, at))
        event = AuditEvent(
            source="kms.amazonaws.com",
            name="CreateKey",
            caller=service_caller("s3.amazonaws.com"),
            facts=RequestFacts(at, region, "s3.amazonaws.com", True, "s3.amazonaws.com", key.key_id),
            read_only=False,
            resources=[Resource(account, "AWS::KMS::Key", key.arn)],
            recipient=account,
        )
        try:
            self._journal.append(event)
        except JournalError as problem:
            raise ServiceUnavailable("The audit trail cannot be written.") from problem
        return key.arn


def _key_context(key: Key, request_alias: str | None) -> dict[str, str | tuple[str, ...]]:
    """The condition keys that a key brings along (KMS developer guide, "AWS KMS condition keys")."""
    context: dict[str, str | tuple[str, ...]] = {
        "kms:keyspec": key.spec,
        "kms:customermasterkeyspec": key.spec,
        "kms:keyusage": key.usage,
        "kms:customermasterkeyusage": key.usage,
        "kms:keyorigin": key.origin,
        "kms:multiregion": "true" if key.multi_region else "false",
    }
    if key.multi_region:
        context["kms:multiregionkeytype"] = "PRIMARY"
    if key.aliases:
        context["kms:resourcealiases"] = key.aliases
    if request_alias is not None:
        context["kms:requestalias"] = request_alias
    for name, value in key.tags:
        context[f"aws:resourcetag/{name.lower()}"] = value
    return context


def _check_key(key: Key, operation: Operation) -> None:
    """The state and usage that the row asks for."""
    if operation.states is States.ANY:
        return
    if key.state is KeyState.PENDING_DELETION:
        raise InvalidState(f"{key.arn} is pending deletion.")
    if operation.states is States.ENABLED and key.state is KeyState.DISABLED:
        raise Disabled(f"{key.arn} is disabled.")
    if operation.usage is not None and key.usage != operation.usage:
        raise InvalidKeyUsage(f"{key.arn} key usage is {key.usage} which is not valid for {operation.name}.")


def _code(error: AwsError | None) -> str | None:
    """CloudTrail writes a denial as `AccessDenied`, and every other code as the API does."""
    if error is None:
        return None
    return "AccessDenied" if isinstance(error, AccessDenied) else error.code


def _for_audit(output: Output | None) -> dict[str, object] | None:
    """Response elements as CloudTrail shows them."""
    if not output:
        return None
    return {
        name[0].lower() + name[1:]: _for_audit(value) if isinstance(value, Mapping) else value
        for name, value in output.items()
    }


def _user(caller: Caller) -> str:
    return "anonymous" if caller.kind is CallerKind.ANONYMOUS else caller.arn


def _hidden_sentence(caller: Caller, action: str, hidden: ForeignKeyHidden) -> str:
    if not arn.is_arn(hidden.key_arn):
        return _HIDDEN_CIPHERTEXT
    return _sentence(caller, action, Found(arn=hidden.key_arn), Reason.CROSS_ACCOUNT)


def _sentence(caller: Caller, action: str, found: Found, reason: Reason | None) -> str:
    """AWS's words for a denial: what was refused and by which kind of policy, never which statement."""
    cross = reason is Reason.CROSS_ACCOUNT
    if cross and found.by_ciphertext:
        return _HIDDEN_CIPHERTEXT
    where = "the resource associated with this ciphertext" if found.by_ciphertext else f"resource: {found.arn}"
    if cross:
        return (
            f"User: {_user(caller)} is not authorized to perform: {action} on this resource because the resource does "
            "not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
            "denies access"
        )
    return f"User: {_user(caller)} is not authorized to perform: {action} on {where} {because(reason, action)}"
