"""Which operation a request means: method, what its path names, and the sub-resource in its query.

A sub-resource that S3 has and we do not serve is 501, whatever the method: never a neighbouring operation, and never
404.
"""

from collections.abc import Iterable, Mapping

from sseproxy.s3.errors import MethodNotAllowed, NotImplementedYet
from sseproxy.s3.names import Target
from sseproxy.s3.operation import Operation, Scope
from sseproxy.s3.operations import (
    bucket_encryption,
    bucket_policy,
    buckets,
    completion,
    deletes,
    listings,
    object_attributes,
    objects_read,
    objects_write,
    parts,
    upload_listing,
    uploads,
)

SUBRESOURCES = frozenset(
    {
        "abac",
        "accelerate",
        "acl",
        "analytics",
        "annotation",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metadataAnnotationTable",
        "metadataConfiguration",
        "metadataInventoryTable",
        "metadataJournalTable",
        "metadataTable",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "renameObject",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "session",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
        "website",
    }
)
"""The query parameters that make another operation of a request; a test holds them against botocore's model."""

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"})
OPERATIONS: tuple[Operation, ...] = (
    *buckets.OPERATIONS,
    *bucket_encryption.OPERATIONS,
    *bucket_policy.OPERATIONS,
    *listings.OPERATIONS,
    *deletes.OPERATIONS,
    *object_attributes.OPERATIONS,
    *objects_read.OPERATIONS,
    *objects_write.OPERATIONS,
    *uploads.OPERATIONS,
    *completion.OPERATIONS,
    *upload_listing.OPERATIONS,
    *parts.OPERATIONS,
)


def _table(rows: Iterable[Operation]) -> dict[tuple[str, Scope], list[Operation]]:
    """Rows by method and scope, the most particular first."""
    table: dict[tuple[str, Scope], list[Operation]] = {}
    for row in rows:
        table.setdefault((row.method, row.scope), []).append(row)
    for found in table.values():
        found.sort(key=lambda row: (len(row.query), row.header is not None), reverse=True)
    return table


_TABLE = _table(OPERATIONS)


def find(method: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """The operation. NotImplementedYet, MethodNotAllowed."""
    scope = Scope.OBJECT if target.key else Scope.BUCKET if target.bucket else Scope.SERVICE
    asked = query.keys() & SUBRESOURCES if query else frozenset()
    for row in _TABLE.get((method, scope), ()):
        if row.header is not None and row.header not in headers:
            continue
        if any(name not in query or value not in (None, query[name]) for name, value in row.query):
            continue
        if asked and not any(name in asked for name, _ in row.query):
            continue
        return row
    if method not in _METHODS or (scope is Scope.OBJECT and method == "POST" and not asked):
        raise MethodNotAllowed(Method=method, ResourceType="OBJECT" if scope is Scope.OBJECT else scope.name)
    raise NotImplementedYet
