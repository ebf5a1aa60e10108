"""Bucket policies: put, got, deleted. What is put has been understood whole; what is not understood is refused."""

from kms_core.identity.principals import exists
from kms_core.policy.document import Grammar, MalformedPolicy, parse_policy
from sseproxy.control import buckets
from sseproxy.s3 import errors as s3
from sseproxy.s3.operation import BodyKind, Call, NoInput, Operation, Reply, Scope

_MAX_BYTES = 20_480


def _check(call: Call[NoInput], text: str) -> None:
    if len(text.encode()) > _MAX_BYTES:
        raise s3.MalformedPolicy("Policy document exceeds the maximum allowed size")
    try:
        policy = parse_policy(text, Grammar.BUCKET, bucket=call.target.bucket)
    except MalformedPolicy as problem:
        raise s3.MalformedPolicy(str(problem)) from problem
    for principal in policy.aws_principals:
        if not exists(call.snapshot, principal):
            raise s3.MalformedPolicy("Invalid principal in policy", Detail=principal)


async def _store(call: Call[NoInput], policy: str | None) -> None:
    await call.audit.before_effect()
    await call.services.write(lambda transaction: buckets.set_policy(transaction, call.bucket, policy))


async def _put(call: Call[NoInput]) -> Reply:
    try:
        text = call.document.decode()
    except UnicodeDecodeError as problem:
        raise s3.MalformedPolicy from problem
    _check(call, text)
    await _store(call, text)
    return Reply(204)


async def _get(call: Call[NoInput]) -> Reply:
    if call.bucket.policy is None:
        raise s3.NoSuchBucketPolicy(BucketName=call.target.bucket)
    return Reply(200, {"content-type": "application/json"}, call.bucket.policy.encode())


async def _delete(call: Call[NoInput]) -> Reply:
    await _store(call, None)
    return Reply(204)


_QUERY = (("policy", None),)
OPERATIONS = (
    Operation(
        "PutBucketPolicy",
        "PUT",
        Scope.BUCKET,
        "s3:PutBucketPolicy",
        NoInput,
        _put,
        query=_QUERY,
        body=BodyKind.DOCUMENT,
        read_only=False,
        owner_only=True,
    ),
    Operation(
        "GetBucketPolicy", "GET", Scope.BUCKET, "s3:GetBucketPolicy", NoInput, _get, query=_QUERY, owner_only=True
    ),
    Operation(
        "DeleteBucketPolicy",
        "DELETE",
        Scope.BUCKET,
        "s3:DeleteBucketPolicy",
        NoInput,
        _delete,
        query=_QUERY,
        read_only=False,
        owner_only=True,
    ),
)
