"""ListObjects, ListObjectsV2 and ListObjectVersions. Sizes are plaintext sizes, from stored ones by the length law."""

from dataclasses import dataclass
from typing import Annotated

from sseproxy.cipher.errors import CipherError
from sseproxy.cipher.geometry import plaintext_size
from sseproxy.s3 import xml
from sseproxy.s3.errors import InvalidArgument
from sseproxy.s3.etags import quote
from sseproxy.s3.fields import Query, number
from sseproxy.s3.listing import check_encoding, encoded, from_token, limit, owner, to_token
from sseproxy.s3.operation import Call, Operation, Reply, Scope
from sseproxy.store.contract import Listed, Page


@dataclass(frozen=True, slots=True)
class ListObjects:
    """The input of version 1."""

    prefix: Annotated[str, Query("prefix")] = ""
    delimiter: Annotated[str, Query("delimiter")] = ""
    marker: Annotated[str, Query("marker")] = ""
    max_keys: Annotated[int | None, Query("max-keys", number)] = None
    encoding: Annotated[str | None, Query("encoding-type")] = None


@dataclass(frozen=True, slots=True)
class ListObjectsV2:
    """The input of version 2."""

    prefix: Annotated[str, Query("prefix")] = ""
    delimiter: Annotated[str, Query("delimiter")] = ""
    token: Annotated[str | None, Query("continuation-token", blank=True)] = None
    start_after: Annotated[str, Query("start-after")] = ""
    max_keys: Annotated[int | None, Query("max-keys", number)] = None
    fetch_owner: Annotated[str | None, Query("fetch-owner")] = None
    encoding: Annotated[str | None, Query("encoding-type")] = None


@dataclass(frozen=True, slots=True)
class ListObjectVersions:
    """The input of the versions listing."""

    prefix: Annotated[str, Query("prefix")] = ""
    delimiter: Annotated[str, Query("delimiter")] = ""
    key_marker: Annotated[str, Query("key-marker")] = ""
    version_marker: Annotated[str | None, Query("version-id-marker", blank=True)] = None
    max_keys: Annotated[int | None, Query("max-keys", number)] = None
    encoding: Annotated[str | None, Query("encoding-type")] = None


def shown_size(row: Listed) -> int:
    """The plaintext size; 0 for bytes that no object of ours can have, which a GET will refuse."""
    try:
        return plaintext_size(row.size)
    except CipherError:
        return 0


def _row(name: str, row: Listed, encoding: str | None, *more: str) -> str:
    return xml.group(
        name,
        xml.element("Key", encoded(row.key, encoding)),
        *more,
        xml.element("LastModified", xml.timestamp(row.modified)),
        xml.element("ETag", quote(row.etag)),
        xml.element("Size", shown_size(row)),
        xml.element("StorageClass", "STANDARD"),
    )


def _prefixes(page: Page, encoding: str | None) -> list[str]:
    return [
        xml.group("CommonPrefixes", xml.element("Prefix", encoded(row.key, encoding)))
        for row in page.rows
        if row.prefix
    ]


async def _page(
    call: Call[ListObjects] | Call[ListObjectsV2] | Call[ListObjectVersions], after: str, count: int
) -> Page:
    if count == 0:
        return Page((), truncated=False)
    given = call.input
    return await call.services.store.list(call.target.bucket, given.prefix, given.delimiter, after, count)


async def _list(call: Call[ListObjects]) -> Reply:
    given, count = call.input, limit(call.input.max_keys)
    encoding = check_encoding(given.encoding)
    page = await _page(call, given.marker, count)
    who = owner(call.bucket.account)
    parts = [
        xml.element("Name", call.target.bucket),
        xml.element("Prefix", encoded(given.prefix, encoding)),
        xml.element("Marker", encoded(given.marker, encoding)),
        xml.element("MaxKeys", count),
        xml.element("Delimiter", encoded(given.delimiter, encoding) or None),
        xml.element("EncodingType", encoding),
        xml.element("IsTruncated", page.truncated),
    ]
    if page.truncated and given.delimiter:  # without a delimiter the last key is the next marker
        parts.append(xml.element("NextMarker", encoded(page.rows[-1].key, encoding)))
    parts += [_row("Contents", row, encoding, who) for row in page.rows if not row.prefix]
    return Reply(200, xml.HEADERS, xml.document("ListBucketResult", parts + _prefixes(page, encoding)))


async def _list_v2(call: Call[ListObjectsV2]) -> Reply:
    given, count = call.input, limit(call.input.max_keys)
    encoding = check_encoding(given.encoding)
    if given.token == "":
        raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")
    after = given.start_after if given.token is None else from_token(given.token)
    page = await _page(call, after, count)
    who = [owner(call.bucket.account)] if given.fetch_owner == "true" else []
    parts = [
        xml.element("Name", call.target.bucket),
        xml.element("Prefix", encoded(given.prefix, encoding)),
        xml.element("StartAfter", encoded(given.start_after, encoding) or None),
        xml.element("ContinuationToken", given.token),
        xml.element("KeyCount", len(page.rows)),
        xml.element("MaxKeys", count),
        xml.element("Delimiter", encoded(given.delimiter, encoding) or None),
        xml.element("EncodingType", encoding),
        xml.element("IsTruncated", page.truncated),
    ]
    if page.truncated:
        parts.append(xml.element("NextContinuationToken", to_token(page.rows[-1].key)))
    parts += [_row("Contents", row, encoding, *who) for row in page.rows if not row.prefix]
    return Reply(200, xml.HEADERS, xml.document("ListBucketResult", parts + _prefixes(page, encoding)))


async def _list_versions(call: Call[ListObjectVersions]) -> Reply:
    """Buckets have no versions yet: every object is its own, `null`, latest version."""
    given, count = call.input, limit(call.input.max_keys)
    encoding = check_encoding(given.encoding)
    if given.version_marker is not None and not given.key_marker:
        raise InvalidArgument(
            "A version-id marker cannot be specified without a key marker.", ArgumentName="version-id-marker"
        )
    page = await _page(call, given.key_marker, count)
    who = owner(call.bucket.account)
    parts = [
        xml.element("Name", call.target.bucket),
        xml.element("Prefix", encoded(given.prefix, encoding)),
        xml.element("KeyMarker", encoded(given.key_marker, encoding)),
        xml.element("VersionIdMarker", given.version_marker or ""),
        xml.element("MaxKeys", count),
        xml.element("Delimiter", encoded(given.delimiter, encoding) or None),
        xml.element("EncodingType", encoding),
        xml.element("IsTruncated", page.truncated),
    ]
    if page.truncated:
        parts.append(xml.element("NextKeyMarker", encoded(page.rows[-1].key, encoding)))
        if not page.rows[-1].prefix:
            parts.append(xml.element("NextVersionIdMarker", page.rows[-1].version))
    for row in page.rows:
        if not row.prefix:
            version = (xml.element("VersionId", row.version), xml.element("IsLatest", row.latest), who)
            parts.append(_row("Version", row, encoding, *version))
    return Reply(200, xml.HEADERS, xml.document("ListVersionsResult", parts + _prefixes(page, encoding)))


OPERATIONS = (
    Operation(
        "ListObjectsV2",
        "GET",
        Scope.BUCKET,
        "s3:ListBucket",
        ListObjectsV2,
        _list_v2,
        query=(("list-type", "2"),),
    ),
    Operation(
        "ListObjectVersions",
        "GET",
        Scope.BUCKET,
        "s3:ListBucketVersions",
        ListObjectVersions,
        _list_versions,
        query=(("versions", None),),
    ),
    Operation("ListObjects", "GET", Scope.BUCKET, "s3:ListBucket", ListObjects, _list),
)
