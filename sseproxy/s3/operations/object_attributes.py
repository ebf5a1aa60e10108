"""GetObjectAttributes: what an object is, without its body (API Reference, GetObjectAttributes).

The size and the checksums lie in the sealed footer, so the key service is asked as for a GET.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Annotated

from sseproxy.authorize import decide, denial
from sseproxy.cipher.footer import PartEntry
from sseproxy.objects.protection import open_object
from sseproxy.objects.reader import Layout, read_layout
from sseproxy.objects.writer import COMPOSITE, Checksum, footer_checksum
from sseproxy.s3 import xml
from sseproxy.s3.checksums import digest_size, encode
from sseproxy.s3.encryption import ReadEncryptionFields, check_read_fields
from sseproxy.s3.errors import InvalidArgument, InvalidRequest
from sseproxy.s3.fields import Header, Query, number
from sseproxy.s3.listing import limit
from sseproxy.s3.operation import Call, Operation, Reply, Scope
from sseproxy.s3.operations.objects_read import find

_NAMES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


@dataclass(frozen=True, slots=True)
class GetObjectAttributes:
    """The input."""

    wanted: Annotated[str | None, Header("x-amz-object-attributes")] = None
    max_parts: Annotated[int | None, Header("x-amz-max-parts", number)] = None
    marker: Annotated[int | None, Header("x-amz-part-number-marker", number)] = None
    version: Annotated[str | None, Query("versionId", blank=True)] = None
    encryption: ReadEncryptionFields = field(default_factory=ReadEncryptionFields)


def _wanted(header: str | None) -> frozenset[str]:
    names = frozenset(name.strip() for name in (header or "").split(",") if name.strip())
    if not names:
        raise InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty"
        )
    if not names <= frozenset(_NAMES):
        raise InvalidArgument(
            "Invalid attribute name specified.",
            ArgumentName="x-amz-object-attributes",
            ArgumentValue=header or "",
        )
    return names


def _checksum(found: Checksum, parts: int) -> str:
    suffix = f"-{parts}" if found.type == COMPOSITE else ""
    return xml.group(
        "Checksum",
        xml.element(f"Checksum{found.algorithm}", encode(found.digest) + suffix),
        xml.element("ChecksumType", found.type),
    )


def _part(entry: PartEntry, checksum: Checksum | None) -> str:
    own = ""
    if checksum is not None:
        digest = entry.checksum[: digest_size(checksum.algorithm)]
        own = xml.element(f"Checksum{checksum.algorithm}", encode(digest))
    return xml.group("Part", xml.element("PartNumber", entry.number), xml.element("Size", entry.length), own)


def _parts(given: GetObjectAttributes, entries: Sequence[PartEntry], checksum: Checksum | None) -> str:
    count, marker = limit(given.max_parts), given.marker or 0
    later = [entry for entry in entries if entry.number > marker]
    shown = later[:count]
    rows = [_part(entry, checksum) for entry in shown]
    return xml.group(
        "ObjectParts",
        xml.element("PartsCount", len(entries)),
        xml.element("PartNumberMarker", marker),
        xml.element("NextPartNumberMarker", shown[-1].number if shown else 0),
        xml.element("MaxParts", count),
        xml.element("IsTruncated", len(later) > count),
        *rows,
    )


async def _get(call: Call[GetObjectAttributes]) -> Reply:
    given, services = call.input, call.services
    check_read_fields(given.encryption)
    wanted = _wanted(given.wanted)
    action = "s3:GetObjectAttributes"
    decision = decide(call.caller, call.facts, call.snapshot, call.bucket, action, call.target.arn, call.conditions)
    if not decision.allowed:
        raise denial(call.caller, call.bucket, action, call.target.arn, decision)
    stat = await find(call, given.version)
    opened = open_object(services, call.caller, call.facts, call.target, stat.headers)
    layout: Layout = await read_layout(services, stat, opened, footer=True, body=False)
    checksum = footer_checksum(layout.footer) if layout.footer is not None else None
    shown: list[str] = []
    if "ETag" in wanted:
        shown.append(xml.element("ETag", stat.etag))
    if "Checksum" in wanted and checksum is not None:
        shown.append(_checksum(checksum, len(layout.lengths)))
    if "ObjectParts" in wanted and layout.footer is not None and layout.footer.multipart:
        shown.append(_parts(given, layout.footer.parts, checksum))
    if "StorageClass" in wanted:
        shown.append(xml.element("StorageClass", "STANDARD"))
    if "ObjectSize" in wanted:
        shown.append(xml.element("ObjectSize", layout.size))
    headers = {"content-type": "application/xml", "last-modified": formatdate(int(stat.modified), usegmt=True)}
    return Reply(200, headers, xml.document("GetObjectAttributesResponse", shown))


OPERATIONS = (
    Operation(
        "GetObjectAttributes",
        "GET",
        Scope.OBJECT,
        "s3:GetObject",
        GetObjectAttributes,
        _get,
        query=(("attributes", None),),
    ),
)
