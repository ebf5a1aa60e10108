"""Multipart uploads: begun, listed, completed, aborted.

What an upload is lives in the control database until it ends; what its object will need lies with the object from the
beginning. Create makes the data key; every later call asks the key service for kms:Decrypt, as on AWS.
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
from sseproxy.objects.protection import answer_for, open_object, protect
from sseproxy.objects.writer import COMPOSITE, FULL_OBJECT, SALT, Checksum, checksum_tlv
from sseproxy.s3 import checksums, xml
from sseproxy.s3 import errors as s3
from sseproxy.s3.checksums import Algorithm
from sseproxy.s3.encryption import EncryptionFields
from sseproxy.s3.etags import bare, multipart_etag, opaque_etag, quote
from sseproxy.s3.fields import Header, Metadata, Query, number
from sseproxy.s3.listing import canonical_id, check_encoding, encoded, limit
from sseproxy.s3.metadata import Pairs, SystemHeaders, check_metadata
from sseproxy.s3.operation import BodyKind, Call, Operation, Reply, Scope
from sseproxy.s3.operations.objects_write import DEFAULT_ALGORITHM, WriteConditions, commit_error, wanted_encryption
from sseproxy.s3.unserved import UnservedFields, check_unserved
from sseproxy.store import contract as store

XML = {"content-type": "application/xml"}
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class CreateMultipartUpload:
    """The input of CreateMultipartUpload."""

    checksum_algorithm: Annotated[str | None, Header("x-amz-checksum-algorithm")] = None
    checksum_type: Annotated[str | None, Header("x-amz-checksum-type")] = None
    system: SystemHeaders = field(default_factory=SystemHeaders)
    metadata: Annotated[Pairs, Metadata()] = ()
    encryption: EncryptionFields = field(default_factory=EncryptionFields)
    unserved: UnservedFields = field(default_factory=UnservedFields)


@dataclass(frozen=True, slots=True)
class OneUpload:
    """What names an upload."""

    upload_id: Annotated[str, Query("uploadId")] = ""


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


def _checksum_kind(algorithm: str | None, kind: str | None) -> str | None:
    """What Create fixes, as `ALGORITHM/TYPE`. InvalidRequest for a pair that S3 has not."""
    if algorithm is None:
        if kind is not None:
            raise s3.InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return None
    try:
        found = Algorithm(algorithm.upper())
    except ValueError as problem:
        raise s3.InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            f"[{', '.join(Algorithm)}]"
        ) from problem
    chosen = (kind or (FULL_OBJECT if found not in checksums.COMPOSITE else COMPOSITE)).upper()
    allowed = {FULL_OBJECT: checksums.FULL_OBJECT, COMPOSITE: checksums.COMPOSITE}.get(chosen)
    if allowed is None:
        raise s3.InvalidRequest("Value for x-amz-checksum-type header is invalid.")
    if found not in allowed:
        raise s3.InvalidRequest(
            f"The {chosen} checksum type cannot be used with the {found.lower()} checksum algorithm."
        )
    return f"{found}/{chosen}"


def kind_of(upload: Upload) -> tuple[Algorithm, str]:
    """The checksum that the object will have; S3's own default if Create named none."""
    if upload.checksum is None:
        return DEFAULT_ALGORITHM, FULL_OBJECT
    algorithm, _, kind = upload.checksum.partition("/")
    return Algorithm(algorithm), kind


async def find_upload(call: Call[object], upload_id: str, *, ended: bool = False) -> Upload:
    """The upload that is meant: of this bucket and this key. NoSuchUpload."""

    def read() -> Upload | None:
        with call.services.database.read() as connection:
            return uploads.get(connection, upload_id)

    found = await asyncio.get_running_loop().run_in_executor(call.services.workers, read)
    if found is None or (found.bucket, found.key) != (call.target.bucket, call.target.key):
        raise s3.NoSuchUpload(UploadId=upload_id)
    if found.ended is not None and not ended:
        raise s3.NoSuchUpload(UploadId=upload_id)
    return found


async def all_parts(call: Call[object], upload_id: str, after: int = 0, count: int = MAX_PARTS) -> list[Part]:
    """The parts of an upload."""

    def read() -> list[Part]:
        with call.services.database.read() as connection:
            return call.services.parts.of(connection, upload_id, after, count)

    return await asyncio.get_running_loop().run_in_executor(call.services.workers, read)


async def _create(call: Call[CreateMultipartUpload]) -> Reply:
    given, services = call.input, call.services
    check_unserved(given.unserved)
    kind = _checksum_kind(given.checksum_algorithm, given.checksum_type)
    choice = wanted_encryption(call, given.encryption)
    system, user = given.system.pairs(), check_metadata(given.metadata)
    kept = await protect(
        services, call.caller, call.facts, call.target, choice, system, user, size=None, multipart=True
    )
    await call.audit.before_effect()
    upload_id = await services.store.create_upload(call.target.bucket, call.target.key, kept.headers)
    upload = Upload(upload_id, call.target.bucket, call.target.key, call.caller.arn, call.facts.at, kept.headers, kind)

    def write() -> None:
        with services.database.begin() as transaction:
            uploads.create(transaction, upload)

    await asyncio.get_running_loop().run_in_executor(services.workers, write)
    headers = {**XML, **kept.answer}
    if kind is not None:
        headers["x-amz-checksum-algorithm"], _, headers["x-amz-checksum-type"] = kind.partition("/")
    result = [
        xml.element("Bucket", call.target.bucket),
        xml.element("Key", call.target.key),
        xml.element("UploadId", upload_id),
    ]
    return Reply(200, headers, xml.document("InitiateMultipartUploadResult", result))


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
        if digits is None or etag is None or not digits.isdecimal() or len(digits) > 9:
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
            call.target.bucket, call.target.key, upload.id, upload.headers, places, ending, etag, expect
        )
    except store.StoreError as problem:
        condition = "If-None-Match" if expect is not None and expect.absent else "If-Match"
        raise commit_error(problem, condition, call.target.key) from problem
    result = {"etag": done.etag}
    if checksum is not None:
        result |= {
            "algorithm": checksum.algorithm,
            "checksum": _checksum_text(checksum, len(parts)),
            "type": checksum.type,
        }

    def finish() -> None:
        with services.database.begin() as transaction:
            uploads.finish(transaction, upload.id, call.facts.at, result)

    await asyncio.get_running_loop().run_in_executor(services.workers, finish)
    unused = {part.place for part in present} - {part.place for part in parts}
    await services.store.discard_parts(call.target.bucket, sorted(unused))
    return _completed(call, upload, result)


def _is_sse_s3(upload: Upload) -> bool:
    return "x-amz-server-side-encryption-aws-kms-key-id" not in answer_for(upload.headers)


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
    headers = {**XML, **answer_for(upload.headers)}
    return Reply(200, headers, xml.document("CompleteMultipartUploadResult", parts))


async def _abort(call: Call[OneUpload]) -> Reply:
    services = call.services
    upload = await find_upload(call, call.input.upload_id)
    present = await all_parts(call, upload.id)
    await call.audit.before_effect()

    def finish() -> None:
        with services.database.begin() as transaction:
            uploads.finish(transaction, upload.id, call.facts.at, None)

    await asyncio.get_running_loop().run_in_executor(services.workers, finish)
    await services.store.discard_parts(call.target.bucket, [part.place for part in present])
    return Reply(204)


@dataclass(frozen=True, slots=True)
class _UploadsPage:
    uploads: list[Upload]
    prefixes: list[str]
    truncated: bool
    last: tuple[str, str]


def _page(given: ListMultipartUploads, found: Sequence[Upload], count: int) -> _UploadsPage:
    """A page of uploads, with prefixes rolled up."""
    shown: list[Upload] = []
    prefixes: list[str] = []
    last = ("", "")
    for upload in found:
        prefix = _common_prefix(upload.key, given.prefix, given.delimiter)
        if prefix is None:
            passed = upload.key < given.key_marker or (
                upload.key == given.key_marker and (not given.id_marker or upload.id <= given.id_marker)
            )
        else:
            passed = prefix <= given.key_marker or prefix in prefixes
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

    def read() -> list[Upload]:
        with call.services.database.read() as connection:
            return uploads.in_progress(connection, call.target.bucket, given.prefix)

    found = await asyncio.get_running_loop().run_in_executor(call.services.workers, read)
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
    return Reply(200, XML, xml.document("ListMultipartUploadsResult", parts))


def who(call: Call[object], upload: Upload) -> tuple[str, str]:
    """Initiator and owner. A user of IAM is shown by ARN, a root user by the account's canonical id, as on AWS."""
    initiator = upload.initiator
    shown = canonical_id(call.bucket.account) if initiator.endswith(":root") else initiator
    return (
        xml.group("Initiator", xml.element("ID", shown)),
        xml.group("Owner", xml.element("ID", canonical_id(call.bucket.account))),
    )


_ONE = (("uploadId", None),)
OPERATIONS = (
    Operation(
        "CreateMultipartUpload",
        "POST",
        Scope.OBJECT,
        "s3:PutObject",
        CreateMultipartUpload,
        _create,
        query=(("uploads", None),),
        read_only=False,
    ),
    Operation(
        "CompleteMultipartUpload",
        "POST",
        Scope.OBJECT,
        "s3:PutObject",
        CompleteMultipartUpload,
        _complete,
        query=_ONE,
        body=BodyKind.DOCUMENT,
        read_only=False,
    ),
    Operation(
        "AbortMultipartUpload",
        "DELETE",
        Scope.OBJECT,
        "s3:AbortMultipartUpload",
        OneUpload,
        _abort,
        query=_ONE,
        read_only=False,
    ),
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
