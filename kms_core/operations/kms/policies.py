"""Key policies: put, got, listed. A key has exactly one, by the name `default`."""

from sqlalchemy import update

from kms_core.errors import NotFound, ValidationException
from kms_core.keystore import schema
from kms_core.keystore.topics import KEYS
from kms_core.operations.call import Call, Context, Operation, Output, Target
from kms_core.operations.kms.default_policies import POLICY_NAME
from kms_core.operations.kms.find import by_member
from kms_core.operations.kms.paging import page
from kms_core.operations.kms.policy_check import check_new_policy


def _put(call: Call) -> Output:
    if call.params.maybe_text("PolicyName") not in (None, POLICY_NAME):
        raise ValidationException('1 validation error detected: PolicyName must be "default"')
    text = call.params.text("Policy")
    bypass = call.params.flag("BypassPolicyLockoutSafetyCheck")
    check_new_policy(call, text, account=call.key.account, bypass_lockout=bypass)
    call.transaction.connection.execute(update(schema.key).where(schema.key.c.arn == call.key.arn).values(policy=text))
    call.transaction.changed(KEYS, call.key.arn)
    return {}


def _bypass_context(call: Call) -> Context:
    bypass = call.params.flag("BypassPolicyLockoutSafetyCheck")
    return {"kms:bypasspolicylockoutsafetycheck": "true" if bypass else "false"}


def _get(call: Call) -> Output:
    if call.params.maybe_text("PolicyName") not in (None, POLICY_NAME):
        raise NotFound("No such policy exists")
    return {"Policy": call.key.policy, "PolicyName": POLICY_NAME}


def _list(call: Call) -> Output:
    names, more = page(call.params, [POLICY_NAME], str, 100)
    return {"PolicyNames": list(names), **more}


OPERATIONS = (
    Operation("PutKeyPolicy", (Target("kms:PutKeyPolicy", by_member(), _bypass_context),), _put, writes=True),
    Operation("GetKeyPolicy", (Target("kms:GetKeyPolicy", by_member()),), _get),
    Operation("ListKeyPolicies", (Target("kms:ListKeyPolicies", by_member()),), _list),
)
