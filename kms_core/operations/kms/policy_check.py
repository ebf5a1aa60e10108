"""What a key policy must pass before it is kept (KMS developer guide, "Creating a key policy", PutKeyPolicy).

Whoever puts a policy must be able to put the next one, unless the check is bypassed; every principal must exist.
"""

from kms_core.caller import CallerKind
from kms_core.errors import LimitExceeded, MalformedPolicyDocument
from kms_core.identity.principals import exists
from kms_core.operations.call import Call
from kms_core.policy.document import Grammar, MalformedPolicy, Policy, parse_policy
from kms_core.policy.evaluate import AccessRequest, NamedPolicy, ResourceRule, evaluate

MAX_POLICY_BYTES = 32_768
_ALLOW_ALL = parse_policy(
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', Grammar.IDENTITY
)


def check_new_policy(call: Call, text: str, *, account: str, bypass_lockout: bool) -> None:
    """MalformedPolicyDocument, LimitExceeded; the reason in detail goes to the audit, AWS gives none."""
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise LimitExceeded(f"Policy exceeds the maximum size of {MAX_POLICY_BYTES} bytes")
    try:
        policy = parse_policy(text, Grammar.KEY)
    except MalformedPolicy as problem:
        call.notes["policyProblem"] = str(problem)
        raise MalformedPolicyDocument(str(problem)) from problem
    for principal in policy.aws_principals:
        if not exists(call.snapshot, principal):
            call.notes["policyProblem"] = f"no such principal: {principal}"
            raise MalformedPolicyDocument("Policy contains a statement with one or more invalid principals.")
    if not bypass_lockout and not _may_put_again(call, policy, account):
        raise MalformedPolicyDocument("The new key policy will not allow you to update the key policy in the future.")


def _may_put_again(call: Call, policy: Policy, account: str) -> bool:
    """The key policy's own word on the caller; what IAM says can change at any time and does not count."""
    if call.caller.kind is CallerKind.SERVICE:
        return True
    resource = call.key.arn if call.keys else "*"  # a key that is being made has no name yet
    context = {"kms:calleraccount": call.caller.account}
    request = AccessRequest(call.caller, "kms:PutKeyPolicy", resource, account, context)
    allow_all = [NamedPolicy("any", _ALLOW_ALL)]
    return evaluate(request, allow_all, NamedPolicy("key policy", policy), ResourceRule.KEY).allowed
