"""Parts of multipart uploads: put, copied from objects, listed.

Each part is sealed on its own, under a key made of the upload's object key, the part number and a salt of this attempt.
Every attempt asks the key service for kms:Decrypt as this caller, as AWS does.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.geometry import sealed_size
from sseproxy.cipher.stream import ObjectSealer
from sseproxy.control.uploads import Part, Upload
from sseproxy.objects.protection import answer_for, open_object
from sseproxy.objects.writer import SALT, pour
from sseproxy.s3 import errors as s3
from sseproxy.s3 import xml
from sseproxy.s3.checksums import Algorithm, encode, new_digest
from sseproxy.s3.encryption import KEY_ID, ReadEncryptionFields, check_read_fields
from sseproxy.s3.etags import opaque_etag, plaintext_etag, quote
from sseproxy.s3.fields import Header, Query, number
from sseproxy.s3.listing import limit
from sseproxy.s3.operation import BodyKind, Call, Operation, Payload, Reply, Scope
from sseproxy.s3.operations.objects_write import MAX_PUT, SourceFields, open_source, source_blocks
from sseproxy.s3.operations.uploads import MAX_PARTS, all_parts, find_upload, kind_of, who

_COPY_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})")


@dataclass(frozen=True, slots=True)
class UploadPart:
    """The input of UploadPart, beside the body."""

    upload_id: Annotated[str, Query("uploadId")] = ""
    part_number: Annotated[str, Query("partNumber")] = ""
    encryption: ReadEncryptionFields = field(default_factory=ReadEncryptionFields)


@dataclass(frozen=True, slots=True)
class UploadPartCopy:
    """The input of UploadPartCopy."""

    upload_id: Annotated[str, Query("uploadId")] = ""
    part_number: Annotated[str, Query("partNumber")] = ""
    source: SourceFields = field(default_factory=SourceFields)
    source_range: Annotated[str | None, Header("x-amz-copy-source-range")] = None
    encryption: ReadEncryptionFields = field(default_factory=ReadEncryptionFields)


@dataclass(frozen=True, slots=True)
class ListParts:
    """The input of ListParts."""

    upload_id: Annotated[str, Query("uploadId")] = ""
    marker: Annotated[int | None, Query("part-number-marker", number)] = None
    max_parts: Annotated[int | None, Query("max-parts", number)] = None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 6 or not 1 <= int(text) <= MAX_PARTS:
        raise s3.InvalidArgument(
            "Part number must be an integer between 1 and 10000, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=text,
        )
    return int(text)


class Digesting(Protocol):
    """The digests of a part's bytes."""

    def update(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> tuple[dict[str, str], bytes | None]:
        """The checksums by name, in hex, and the MD5 if the ETag shows it. S3Error if the bytes are not as claimed."""
        ...


async def _stage(
    call: Call[object],
    upload: Upload,
    which: int,
    size: int,
    blocks: AsyncIterator[bytes | bytearray],
    digests: Digesting,
    oek: ObjectKey,
) -> Part:
    """Seal a body as an attempt at a part, and keep it: the same for bytes from a client and for bytes of an object."""
    services = call.services
    salt = services.random(SALT)
    sealer = ObjectSealer(oek, which, salt)
    stage = await services.store.stage_part(upload.bucket, upload.key, upload.id, which, sealed_size(size))
    try:
        await pour(services, blocks, digests.update, sealer, stage)
        sums, md5 = digests.finish()
        await stage.write(sealer.finish())
        await call.audit.before_effect()
        stored = await stage.commit(plaintext_etag(md5) if md5 is not None else opaque_etag(services.random))
    except BaseException:
        await stage.abort()
        raise
    part = Part(which, stored.place, stored.etag, salt, size, sums, stored.modified)
    obsolete = await services.write(lambda transaction: services.parts.put(transaction, upload.id, part))
    if obsolete is not None:
        await services.store.discard_parts(upload.bucket, [obsolete])
    if obsolete == part.place:
        raise s3.NoSuchUpload(UploadId=upload.id)
    return part


def _hex_sums(checksums: Mapping[Algorithm, bytes], md5: bytes | None) -> dict[str, str]:
    sums = {str(algorithm): digest.hex() for algorithm, digest in checksums.items()}
    if md5 is not None:
        sums[Algorithm.MD5] = md5.hex()
    return sums


class _FromClient:
    """The digests of a request's body, with all that the client claimed of it."""

    def __init__(self, payload: Payload, *, shows_md5: bool) -> None:
        self.update = payload.update
        self._payload = payload
        self._shows_md5 = shows_md5

    def finish(self) -> tuple[dict[str, str], bytes | None]:
        found = self._payload.verify()
        md5 = found.md5 if self._shows_md5 else None
        return _hex_sums(found.checksums, md5), md5


class _FromObject:
    """The digests of bytes that are copied."""

    def __init__(self, algorithm: Algorithm, *, shows_md5: bool) -> None:
        self._digests = {one: new_digest(one) for one in {algorithm, *([Algorithm.MD5] if shows_md5 else [])}}
        self._shows_md5 = shows_md5

    def update(self, block: bytes | bytearray | memoryview) -> None:
        for digest in self._digests.values():
            digest.update(block)

    def finish(self) -> tuple[dict[str, str], bytes | None]:
        found = {algorithm: digest.digest() for algorithm, digest in self._digests.items()}
        md5 = found.get(Algorithm.MD5) if self._shows_md5 else None
        return _hex_sums(found, md5), md5


def _shows_md5(call: Call[object], headers: Mapping[str, str]) -> bool:
    return call.services.store.keeps_etags and KEY_ID not in headers


async def _put(call: Call[UploadPart]) -> Reply:
    given, services, payload = call.input, call.services, call.payload
    which, size = _number(given.part_number), payload.length
    check_read_fields(given.encryption)
    if size > MAX_PUT:
        raise s3.EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(MAX_PUT))
    upload = await find_upload(call, given.upload_id)
    algorithm, _ = kind_of(upload)
    sent = payload.checksum_algorithm
    if upload.checksum is not None and sent is not None and sent is not algorithm:
        raise s3.InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, "
            f"actual checksum Type: {sent.lower()}"
        )
    opened = open_object(services, call.caller, call.facts, call.target, upload.headers)
    headers = answer_for(opened.envelope)
    shows_md5 = _shows_md5(call, headers)
    payload.compute(md5=shows_md5, algorithm=algorithm)
    digests = _FromClient(payload, shows_md5=shows_md5)
    part = await _stage(call, upload, which, size, payload.blocks(), digests, opened.oek)
    headers["etag"] = quote(part.etag)
    shown = sent or algorithm
    headers[shown.header] = encode(bytes.fromhex(part.sums[shown]))
    return Reply(200, headers)


def _copy_range(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte of the source, inclusive. InvalidArgument, InvalidRange."""
    if header is None:
        return 0, size - 1
    found = _COPY_RANGE.fullmatch(header)
    first, last = (int(one) for one in found.groups()) if found else (1, 0)
    if first > last:
        raise s3.InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    if last >= size:
        raise s3.InvalidArgument(
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return first, last


async def _copy(call: Call[UploadPartCopy]) -> Reply:
    given, services = call.input, call.services
    which = _number(given.part_number)
    check_read_fields(given.encryption)
    upload = await find_upload(call, given.upload_id)
    opened = open_object(services, call.caller, call.facts, call.target, upload.headers)
    source = await open_source(call, given.source)
    first, last = _copy_range(given.source_range, source.layout.size)
    size = last - first + 1
    if size > MAX_PUT:
        raise s3.InvalidRequest("The specified copy range is larger than the maximum allowable size for a part")
    headers = answer_for(opened.envelope)
    algorithm, _ = kind_of(upload)
    digests = _FromObject(algorithm, shows_md5=_shows_md5(call, headers))
    part = await _stage(call, upload, which, size, source_blocks(call, source, first, last), digests, opened.oek)
    result = [
        xml.element("LastModified", xml.timestamp(part.modified)),
        xml.element("ETag", quote(part.etag)),
    ]
    if upload.checksum is not None:
        result.append(xml.element(f"Checksum{algorithm}", encode(bytes.fromhex(part.sums[algorithm]))))
    headers["content-type"] = "application/xml"
    return Reply(200, headers, xml.document("CopyPartResult", result))


async def _list(call: Call[ListParts]) -> Reply:
    given, count = call.input, limit(call.input.max_parts)
    upload = await find_upload(call, given.upload_id)
    marker = given.marker or 0
    found = await all_parts(call, upload.id, marker, count + 1)
    shown, more = found[:count], len(found) > count
    algorithm, kind = kind_of(upload)
    parts = [
        xml.element("Bucket", call.target.bucket),
        xml.element("Key", call.target.key),
        xml.element("UploadId", upload.id),
        *who(call, upload),
        xml.element("StorageClass", "STANDARD"),
        xml.element("PartNumberMarker", marker),
        xml.element("NextPartNumberMarker", shown[-1].number if shown else 0),
        xml.element("MaxParts", count),
        xml.element("IsTruncated", more),
        xml.element("ChecksumAlgorithm", algorithm if upload.checksum else None),
        xml.element("ChecksumType", kind if upload.checksum else None),
    ]
    for part in shown:
        sums = [
            xml.element(f"Checksum{name}", encode(bytes.fromhex(digest)))
            for name, digest in part.sums.items()
            if upload.checksum is not None and name == algorithm
        ]
        parts.append(
            xml.group(
                "Part",
                xml.element("PartNumber", part.number),
                xml.element("LastModified", xml.timestamp(part.modified)),
                xml.element("ETag", quote(part.etag)),
                xml.element("Size", part.size),
                *sums,
            )
        )
    return Reply(200, xml.HEADERS, xml.document("ListPartsResult", parts))


_QUERY = (("partNumber", None), ("uploadId", None))
OPERATIONS = (
    Operation(
        "UploadPartCopy",
        "PUT",
        Scope.OBJECT,
        "s3:PutObject",
        UploadPartCopy,
        _copy,
        query=_QUERY,
        header="x-amz-copy-source",
        read_only=False,
    ),
    Operation(
        "UploadPart",
        "PUT",
        Scope.OBJECT,
        "s3:PutObject",
        UploadPart,
        _put,
        query=_QUERY,
        body=BodyKind.STREAM,
        read_only=False,
    ),
    Operation(
        "ListParts",
        "GET",
        Scope.OBJECT,
        "s3:ListMultipartUploadParts",
        ListParts,
        _list,
        query=(("uploadId", None),),
    ),
)
