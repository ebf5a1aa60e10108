"""CompleteMultipartUpload: parts become an object, in one step, and the answer can be asked for again.

The footer, which names every part with its salt, is sealed here: an object made of other parts, or of these in another
order, does not verify. The store's commit is the moment of truth; if we die before the database knows of it, a repeated
Complete finds the object that the first one made.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

from sseproxy.cipher.footer import Footer, PartEntry, tail
from sseproxy.cipher.geometry import MIN_PART, sealed_size
from sseproxy.control import uploads
from sseproxy.control.uploads import Part, Upload
from sseproxy.objects.protection import answer_for, open_object, read_envelope
from sseproxy.objects.writer import COMPOSITE, SALT, Checksum, checksum_tlv
from sseproxy.s3 import checksums, xml
from sseproxy.s3 import errors as s3
from sseproxy.s3.checksums import Algorithm
from sseproxy.s3.encryption import KEY_ID
from sseproxy.s3.etags import bare, multipart_etag, opaque_etag, quote
from sseproxy.s3.fields import Header, Query, number
from sseproxy.s3.operation import BodyKind, Call, Operation, Reply, Scope
from sseproxy.s3.operations.objects_read import version_header
from sseproxy.s3.operations.objects_write import WriteConditions, commit_error
from sseproxy.s3.operations.uploads import MAX_PARTS, all_parts, find_upload, kind_of
from sseproxy.store import contract as store


@dataclass(frozen=True, slots=True)
class ClaimedChecksums:
    """The x-amz-checksum-* headers of Complete: they are about the object, not about this request's body."""

    crc32: Annotated[str | None, Header("x-amz-checksum-crc32")] = None
    crc32c: Annotated[str | None, Header("x-amz-checksum-crc32c")] = None
    crc64nvme: Annotated[str | None, Header("x-amz-checksum-crc64nvme")] = None
    sha1: Annotated[str | None, Header("x-amz-checksum-sha1")] = None
    sha256: Annotated[str | None, Header("x-amz-checksum-sha256")] = None
    sha512: Annotated[str | None, Header("x-amz-checksum-sha512")] = None
    md5: Annotated[str | None, Header("x-amz-checksum-md5")] = None
    xxhash64: Annotated[str | None, Header("x-amz-checksum-xxhash64")] = None
    xxhash3: Annotated[str | None, Header("x-amz-checksum-xxhash3")] = None
    xxhash128: Annotated[str | None, Header("x-amz-checksum-xxhash128")] = None


@dataclass(frozen=True, slots=True)
class CompleteMultipartUpload:
    """The input of CompleteMultipartUpload, beside its document."""

    upload_id: Annotated[str, Query("uploadId")] = ""
    object_size: Annotated[int | None, Header("x-amz-mp-object-size", number)] = None
    checksum_type: Annotated[str | None, Header("x-amz-checksum-type")] = None
    claimed: ClaimedChecksums = field(default_factory=ClaimedChecksums)
    conditions: WriteConditions = field(default_factory=WriteConditions)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A part as Complete's document lists it."""

    number: int
    etag: str
    checksums: dict[Algorithm, str]


def _read_parts(body: bytes) -> list[_Listed]:
    """MalformedXML, InvalidPartOrder."""
    known = xml.children(xml.parse(body, "CompleteMultipartUpload"), ("Part",))
    names = {f"Checksum{algorithm}": algorithm for algorithm in Algorithm}
    found: list[_Listed] = []
    for node in known["Part"]:
        fields = xml.children(node, ("PartNumber", "ETag", *names))
        digits, etag = xml.text_of(fields["PartNumber"]), xml.text_of(fields["ETag"])
        if digits is None or etag is None or not (digits.isascii() and digits.isdecimal()) or len(digits) > 9:
            raise s3.MalformedXML
        sums = {algorithm: text for name, algorithm in names.items() if (text := xml.text_of(fields[name]))}
        found.append(_Listed(int(digits), bare(etag), sums))
    if not 1 <= len(found) <= MAX_PARTS:
        raise s3.MalformedXML
    if any(one.number >= other.number for one, other in pairwise(found)):
        raise s3.InvalidPartOrder
    return found


def _chosen_parts(upload: Upload, listed: Sequence[_Listed], present: Sequence[Part]) -> list[Part]:
    """The parts that Complete names, in order. InvalidPart, EntityTooSmall, InvalidRequest."""
    by_number = {part.number: part for part in present}
    chosen: list[Part] = []
    for one in listed:
        part = by_number.get(one.number)
        if part is None or part.etag != one.etag:
            raise s3.InvalidPart(UploadId=upload.id, PartNumber=str(one.number), ETag=one.etag)
        for algorithm, text in one.checksums.items():
            if part.sums.get(algorithm) != checksums.decode(algorithm, text).hex():
                raise s3.InvalidPart(UploadId=upload.id, PartNumber=str(one.number), ETag=one.etag)
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < MIN_PART:
            raise s3.EntityTooSmall(
                ProposedSize=str(part.size),
                MinSizeAllowed=str(MIN_PART),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return chosen


def _object_checksum(upload: Upload, parts: Sequence[Part]) -> Checksum | None:
    """The object's checksum from its parts'."""
    algorithm, kind = kind_of(upload)
    digests = [bytes.fromhex(part.sums[algorithm]) for part in parts if algorithm in part.sums]
    if len(digests) != len(parts):
        return None
    if kind == COMPOSITE:
        whole = checksums.new_digest(algorithm)
        for digest in digests:
            whole.update(digest)
        return Checksum(algorithm, whole.digest(), COMPOSITE)
    sizes = [part.size for part in parts]
    return Checksum(algorithm, checksums.full_object(algorithm, list(zip(digests, sizes, strict=True))))


def _checksum_text(checksum: Checksum, parts: int) -> str:
    return checksums.encode(checksum.digest) + (f"-{parts}" if checksum.type == COMPOSITE else "")


def _check_claims(call: Call[CompleteMultipartUpload], checksum: Checksum | None, parts: Sequence[Part]) -> None:
    """What the request says of the whole object. InvalidRequest, BadDigest."""
    given = call.input
    size = sum(part.size for part in parts)
    if given.object_size is not None and given.object_size != size:
        raise s3.InvalidRequest(
            "The provided 'x-amz-mp-object-size' header value "
            f"{given.object_size} does not match what was computed: {size}"
        )
    if given.checksum_type is not None and checksum is not None and given.checksum_type.upper() != checksum.type:
        raise s3.InvalidRequest(
            f"The upload was created using the {checksum.type} checksum mode. "
            "The complete request must use the same checksum mode."
        )
    for algorithm in Algorithm:
        claimed = getattr(given.claimed, algorithm.lower())
        if claimed is None:
            continue
        if checksum is None or checksum.algorithm is not algorithm:
            raise s3.InvalidRequest("The upload was created with another checksum algorithm.")
        if claimed.partition("-")[0] != checksums.encode(checksum.digest):
            raise s3.BadDigest(f"The {algorithm} you specified did not match the calculated checksum.")


async def _complete(call: Call[CompleteMultipartUpload]) -> Reply:
    given, services = call.input, call.services
    expect = given.conditions.expectation()
    upload = await find_upload(call, given.upload_id, ended=True)
    opened = open_object(services, call.caller, call.facts, call.target, upload.headers)
    if upload.result is not None:
        return _completed(call, upload, dict(upload.result))
    listed = _read_parts(call.document)
    present = await all_parts(call, upload.id)
    parts = _chosen_parts(upload, listed, present)
    checksum = _object_checksum(upload, parts)
    _check_claims(call, checksum, parts)
    md5s = [bytes.fromhex(part.sums[Algorithm.MD5]) for part in parts if Algorithm.MD5 in part.sums]
    shows_md5 = services.store.keeps_etags and len(md5s) == len(parts) and _is_sse_s3(upload)
    etag = multipart_etag(md5s) if shows_md5 else opaque_etag(services.random, len(parts))
    algorithm = kind_of(upload)[0]
    entries = tuple(
        PartEntry(part.number, part.size, part.salt, bytes.fromhex(part.sums.get(algorithm, ""))) for part in parts
    )
    footer = Footer(True, sum(part.size for part in parts), entries, checksum_tlv(None, checksum))
    ending = await asyncio.get_running_loop().run_in_executor(
        services.workers, tail, footer, opened.oek, services.random(SALT)
    )
    await call.audit.before_effect()
    places = [(part.place, sealed_size(part.size)) for part in parts]
    try:
        done = await services.store.complete_upload(
            call.target.bucket,
            call.target.key,
            upload.id,
            upload.headers,
            places,
            ending,
            etag,
            expect,
            highest=present[-1].number,
        )
    except store.StoreError as problem:
        condition = "If-None-Match" if expect is not None and expect.absent else "If-Match"
        raise commit_error(problem, condition, call.target.key) from problem
    result = {"etag": done.etag, "version": done.version}
    if checksum is not None:
        result |= {
            "algorithm": checksum.algorithm,
            "checksum": _checksum_text(checksum, len(parts)),
            "type": checksum.type,
        }
    held = await services.write(lambda transaction: uploads.finish(transaction, upload.id, call.facts.at, result))
    unused = set(held) - {part.place for part in parts}
    await services.store.discard_parts(call.target.bucket, sorted(unused))
    return _completed(call, upload, result)


def _is_sse_s3(upload: Upload) -> bool:
    return KEY_ID not in answer_for(read_envelope(upload.headers))


def _completed(call: Call[CompleteMultipartUpload], upload: Upload, result: dict[str, str]) -> Reply:
    """The answer, the first time and every time it is repeated."""
    parts = [
        xml.element("Location", f"/{call.target.bucket}/{call.target.key}"),
        xml.element("Bucket", call.target.bucket),
        xml.element("Key", call.target.key),
        xml.element("ETag", quote(result["etag"])),
    ]
    if "checksum" in result:
        parts.append(xml.element(f"Checksum{result['algorithm']}", result["checksum"]))
        parts.append(xml.element("ChecksumType", result["type"]))
    headers = {**xml.HEADERS, **version_header(result["version"]), **answer_for(read_envelope(upload.headers))}
    return Reply(200, headers, xml.document("CompleteMultipartUploadResult", parts))


OPERATIONS = (
    Operation(
        "CompleteMultipartUpload",
        "POST",
        Scope.OBJECT,
        "s3:PutObject",
        CompleteMultipartUpload,
        _complete,
        query=(("uploadId", None),),
        body=BodyKind.DOCUMENT,
        read_only=False,
    ),
)
