"""Buckets: made, looked at, listed, located, deleted. The owner's account and the region are ours to keep."""

import contextlib
from dataclasses import dataclass
from typing import Annotated

from kms_core.caller import CallerKind
from kms_core.keystore.contract import Transaction
from sseproxy.control import buckets
from sseproxy.control.buckets import BUCKETS, Bucket
from sseproxy.s3 import errors as s3
from sseproxy.s3 import xml
from sseproxy.s3.fields import Header, Query, number
from sseproxy.s3.listing import from_token, owner, to_token
from sseproxy.s3.names import check_bucket_name
from sseproxy.s3.operation import BodyKind, Call, NoInput, Operation, Reply, Scope
from sseproxy.store import contract as store

DEFAULT_REGION = "us-east-1"
_REGIONS_OF_OLD = {"EU": "eu-west-1"}
_MAX_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class CreateBucket:
    """The input of CreateBucket, beside its document."""

    acl: Annotated[str | None, Header("x-amz-acl")] = None
    grant: Annotated[str | None, Header("x-amz-grant-full-control")] = None
    object_lock: Annotated[str | None, Header("x-amz-bucket-object-lock-enabled")] = None
    ownership: Annotated[str | None, Header("x-amz-object-ownership")] = None


@dataclass(frozen=True, slots=True)
class ListBuckets:
    """The input of ListBuckets."""

    prefix: Annotated[str, Query("prefix")] = ""
    region: Annotated[str | None, Query("bucket-region")] = None
    max_buckets: Annotated[int | None, Query("max-buckets", number)] = None
    token: Annotated[str | None, Query("continuation-token")] = None


def _region(body: bytes, signed_for: str) -> str:
    """The region that the bucket goes to. S3Error."""
    asked = None
    if body.strip():
        known = xml.children(
            xml.parse(body, "CreateBucketConfiguration"), ("LocationConstraint", "Location", "Bucket", "Tags")
        )
        if known["Location"] or known["Bucket"] or known["Tags"]:
            raise s3.NotImplementedYet("Directory buckets and tags at creation are not implemented")
        asked = xml.text_of(known["LocationConstraint"])
    region = _REGIONS_OF_OLD.get(asked or "", asked) or DEFAULT_REGION
    if region == DEFAULT_REGION and asked:
        raise s3.InvalidLocationConstraint(LocationConstraint=asked)
    if signed_for not in (region, DEFAULT_REGION):
        which = "unspecified" if asked is None else asked
        raise s3.IllegalLocationConstraint(
            f"The {which} location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
    return region


async def _create(call: Call[CreateBucket]) -> Reply:
    given, name = call.input, check_bucket_name(call.target.bucket)
    if given.acl not in (None, "private") or given.grant is not None:
        raise s3.InvalidBucketAclWithObjectOwnership
    if given.ownership not in (None, "BucketOwnerEnforced"):
        raise s3.NotImplementedYet(Header="x-amz-object-ownership")
    if (given.object_lock or "").lower() == "true":
        raise s3.NotImplementedYet(Header="x-amz-bucket-object-lock-enabled")
    if call.caller.kind is CallerKind.ANONYMOUS:
        raise s3.AccessDenied
    region = _region(call.document, call.facts.region)
    headers = {"location": f"/{name}"}
    existing = call.snapshot.get(BUCKETS, name)
    if existing is not None:
        if existing.account != call.caller.account:
            raise s3.BucketAlreadyExists(BucketName=name)
        if region == existing.region == DEFAULT_REGION:
            with contextlib.suppress(store.BucketExists):  # a delete that died half-way left the row alone
                await call.services.store.create_bucket(name)
            return Reply(200, headers)  # us-east-1 alone answers so (API Reference, CreateBucket)
        raise s3.BucketAlreadyOwnedByYou(BucketName=name)
    await call.audit.before_effect()
    await make(call, Bucket(name, call.caller.account, region, call.facts.at))
    return Reply(200, headers)


async def make(call: Call[CreateBucket], bucket: Bucket) -> None:
    """At the store first: an empty bucket there that we don't know of is harmless, the reverse is not.

    One with something in it is somebody's. Who would make it anew here does not become its owner.
    """
    try:
        await call.services.store.create_bucket(bucket.name)
    except store.BucketExists as problem:
        if (await call.services.store.list(bucket.name, "", "", "", 1)).rows:
            raise s3.BucketAlreadyExists(BucketName=bucket.name) from problem

    def write(transaction: Transaction) -> None:
        winner = call.services.database.snapshot().get(BUCKETS, bucket.name)
        if winner is None:
            buckets.create(transaction, bucket)
        elif winner.account != bucket.account:
            raise s3.BucketAlreadyExists(BucketName=bucket.name)

    await call.services.write(write)


async def _delete(call: Call[NoInput]) -> Reply:
    name = call.target.bucket
    await call.audit.before_effect()
    with contextlib.suppress(store.NoSuchBucket):  # an earlier delete may have died half-way
        await call.services.store.delete_bucket(name)
    await call.services.write(lambda transaction: buckets.remove(transaction, call.bucket))
    return Reply(204)


async def _head(call: Call[NoInput]) -> Reply:
    headers = {"x-amz-bucket-region": call.bucket.region, "x-amz-access-point-alias": "false"}
    return Reply(200, {**headers, "content-type": "application/xml"})


async def _location(call: Call[NoInput]) -> Reply:
    region = call.bucket.region
    shown = "" if region == DEFAULT_REGION else xml.escape(region)
    return Reply(200, xml.HEADERS, xml.document("LocationConstraint", [shown]))


async def _list(call: Call[ListBuckets]) -> Reply:
    given = call.input
    if call.caller.kind is CallerKind.ANONYMOUS:
        raise s3.AccessDenied
    limit = _MAX_BUCKETS if given.max_buckets is None else given.max_buckets
    if not 1 <= limit <= _MAX_BUCKETS:
        raise s3.InvalidArgument(
            "Argument max-buckets must be an integer between 1 and 10000",
            ArgumentName="max-buckets",
            ArgumentValue=str(limit),
        )
    after = from_token(given.token) if given.token else ""
    mine = sorted(
        (
            bucket
            for bucket in call.snapshot.all(BUCKETS).values()
            if bucket.account == call.caller.account
            and bucket.name.startswith(given.prefix)
            and bucket.name > after
            and given.region in (None, bucket.region)
        ),
        key=lambda bucket: bucket.name,
    )
    rows = [
        xml.group(
            "Bucket",
            xml.element("Name", bucket.name),
            xml.element("CreationDate", xml.timestamp(bucket.created)),
            xml.element("BucketRegion", bucket.region),
        )
        for bucket in mine[:limit]
    ]
    parts = [owner(call.caller.account), xml.group("Buckets", *rows)]
    if len(mine) > limit:
        parts.append(xml.element("ContinuationToken", to_token(mine[limit - 1].name)))
    parts.append(xml.element("Prefix", given.prefix or None))
    return Reply(200, xml.HEADERS, xml.document("ListAllMyBucketsResult", parts))


async def _versioning(_call: Call[NoInput]) -> Reply:
    """No bucket has versions yet: the empty configuration says so."""
    return Reply(200, xml.HEADERS, xml.document("VersioningConfiguration", []))


OPERATIONS = (
    Operation("ListBuckets", "GET", Scope.SERVICE, "s3:ListAllMyBuckets", ListBuckets, _list),
    Operation(
        "CreateBucket",
        "PUT",
        Scope.BUCKET,
        "s3:CreateBucket",
        CreateBucket,
        _create,
        body=BodyKind.DOCUMENT,
        read_only=False,
        bucket_must_exist=False,
    ),
    Operation("HeadBucket", "HEAD", Scope.BUCKET, "s3:ListBucket", NoInput, _head),
    Operation("DeleteBucket", "DELETE", Scope.BUCKET, "s3:DeleteBucket", NoInput, _delete, read_only=False),
    Operation(
        "GetBucketLocation",
        "GET",
        Scope.BUCKET,
        "s3:GetBucketLocation",
        NoInput,
        _location,
        query=(("location", None),),
    ),
    Operation(
        "GetBucketVersioning",
        "GET",
        Scope.BUCKET,
        "s3:GetBucketVersioning",
        NoInput,
        _versioning,
        query=(("versioning", None),),
    ),
)
