"""ListMultipartUploads: the uploads of a bucket that are in progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from sseproxy.control import uploads
from sseproxy.control.uploads import Upload
from sseproxy.s3 import xml
from sseproxy.s3.fields import Query, number
from sseproxy.s3.listing import check_encoding, encoded, limit
from sseproxy.s3.operation import Call, Operation, Reply, Scope
from sseproxy.s3.operations.uploads import who


@dataclass(frozen=True, slots=True)
class ListMultipartUploads:
    """The input of ListMultipartUploads."""

    prefix: Annotated[str, Query("prefix")] = ""
    delimiter: Annotated[str, Query("delimiter")] = ""
    key_marker: Annotated[str, Query("key-marker")] = ""
    id_marker: Annotated[str, Query("upload-id-marker")] = ""
    max_uploads: Annotated[int | None, Query("max-uploads", number)] = None
    encoding: Annotated[str | None, Query("encoding-type")] = None


@dataclass(frozen=True, slots=True)
class _UploadsPage:
    uploads: list[Upload]
    prefixes: list[str]
    truncated: bool
    last: tuple[str, str]


def _page(given: ListMultipartUploads, found: Sequence[Upload], count: int) -> _UploadsPage:
    """A page of uploads, with prefixes rolled up. The rows come by key and then by age.

    Within the marker's key the rows go on behind the marker's upload; if that has ended meanwhile, they begin anew:
    a row told twice does less harm than one not told.
    """
    shown: list[Upload] = []
    prefixes: list[str] = []
    last = ("", "")
    known = any((upload.key, upload.id) == (given.key_marker, given.id_marker) for upload in found)
    behind = not known  # within the marker's key: whether the marker's upload has been passed
    for upload in found:
        prefix = _common_prefix(upload.key, given.prefix, given.delimiter)
        if prefix is not None:
            passed = prefix <= given.key_marker or prefix in prefixes
        elif upload.key == given.key_marker:
            passed = not given.id_marker or not behind
            behind = behind or upload.id == given.id_marker
        else:
            passed = upload.key < given.key_marker
        if passed:
            continue
        if len(shown) + len(prefixes) == count:
            return _UploadsPage(shown, prefixes, True, last)
        if prefix is None:
            shown.append(upload)
            last = (upload.key, upload.id)
        else:
            prefixes.append(prefix)
            last = (prefix, "")
    return _UploadsPage(shown, prefixes, False, last)


def _common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    if not delimiter:
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


async def _list(call: Call[ListMultipartUploads]) -> Reply:
    given, count = call.input, limit(call.input.max_uploads)
    encoding = check_encoding(given.encoding)
    bucket, prefix = call.target.bucket, given.prefix
    found = await call.services.read(lambda connection: uploads.in_progress(connection, bucket, prefix))
    page = _page(given, found, count)
    parts = [
        xml.element("Bucket", call.target.bucket),
        xml.element("KeyMarker", encoded(given.key_marker, encoding)),
        xml.element("UploadIdMarker", given.id_marker),
        xml.element("NextKeyMarker", encoded(page.last[0], encoding) if page.truncated else None),
        xml.element("NextUploadIdMarker", page.last[1] if page.truncated else None),
        xml.element("Prefix", encoded(given.prefix, encoding)),
        xml.element("Delimiter", encoded(given.delimiter, encoding) or None),
        xml.element("EncodingType", encoding),
        xml.element("MaxUploads", count),
        xml.element("IsTruncated", page.truncated),
    ]
    for upload in page.uploads:
        algorithm, _, kind = (upload.checksum or "").partition("/")
        parts.append(
            xml.group(
                "Upload",
                xml.element("Key", encoded(upload.key, encoding)),
                xml.element("UploadId", upload.id),
                *who(call, upload),
                xml.element("StorageClass", "STANDARD"),
                xml.element("Initiated", xml.timestamp(upload.created)),
                xml.element("ChecksumAlgorithm", algorithm or None),
                xml.element("ChecksumType", kind or None),
            )
        )
    parts += [xml.group("CommonPrefixes", xml.element("Prefix", encoded(prefix, encoding))) for prefix in page.prefixes]
    return Reply(200, xml.HEADERS, xml.document("ListMultipartUploadsResult", parts))


OPERATIONS = (
    Operation(
        "ListMultipartUploads",
        "GET",
        Scope.BUCKET,
        "s3:ListBucketMultipartUploads",
        ListMultipartUploads,
        _list,
        query=(("uploads", None),),
    ),
)
