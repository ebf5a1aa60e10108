"""May this caller do this to this bucket or object? Identity policies and the bucket policy, in one decision.

KMS is not asked here: what a key allows is decided where the key is used (`sseproxy.keys`).
"""

from collections.abc import Mapping

from kms_core.arn import bucket_arn
from kms_core.caller import Caller, CallerKind, RequestFacts
from kms_core.identity.policies import compiled, identity_policies
from kms_core.keystore.contract import Snapshot
from kms_core.policy.document import Grammar
from kms_core.policy.evaluate import AccessRequest, Decision, NamedPolicy, Reason, ResourceRule, because, evaluate
from kms_core.policy.request_context import RequestContext
from sseproxy.control.buckets import Bucket
from sseproxy.s3.errors import AccessDenied

Conditions = Mapping[str, str | tuple[str, ...]]


def decide(
    caller: Caller,
    facts: RequestFacts,
    snapshot: Snapshot,
    bucket: Bucket | None,
    action: str,
    resource: str,
    conditions: Conditions,
) -> Decision:
    """The decision on one action. `resource` is an ARN or `*`; without a bucket the caller's account owns it."""
    account = caller.account if bucket is None else bucket.account
    policy = None
    if bucket is not None and bucket.policy is not None:
        policy = NamedPolicy("bucket policy", compiled(bucket.policy, Grammar.BUCKET))
    context = RequestContext(facts, {"s3:resourceaccount": account, "aws:resourceaccount": account, **conditions})
    request = AccessRequest(caller, action, resource, account, context)
    return evaluate(request, identity_policies(snapshot, caller), policy, ResourceRule.BUCKET)


def denial(caller: Caller, bucket: Bucket | None, action: str, resource: str, decision: Decision) -> AccessDenied:
    """What the caller is told. Only a caller of the bucket's own account learns which kind of policy it was, as on AWS
    (Amazon S3 user guide, "Troubleshoot access denied errors")."""
    own = bucket is None or bucket.account == caller.account
    if not own or caller.kind is CallerKind.ANONYMOUS or decision.reason is Reason.CROSS_ACCOUNT:
        return AccessDenied()
    reason = because(decision.reason, action)
    return AccessDenied(f'User: {caller.arn} is not authorized to perform: {action} on resource: "{resource}" {reason}')


def may_list(caller: Caller, facts: RequestFacts, snapshot: Snapshot, bucket: Bucket, conditions: Conditions) -> bool:
    """Whether the caller may learn that a key is absent: only who may list the bucket (API Reference, GetObject)."""
    return decide(caller, facts, snapshot, bucket, "s3:ListBucket", bucket_arn(bucket.name), conditions).allowed
