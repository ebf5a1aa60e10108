"""Multipart uploads: begun and aborted; and how the operations on parts find the one that is meant.

What an upload is lives in the control database until it ends; what its object will need lies with the object from the
beginning. Create makes the data key; every later call asks the key service for kms:Decrypt, as on AWS.
"""

from dataclasses import dataclass, field
from typing import Annotated

from sseproxy.control import uploads
from sseproxy.control.uploads import Part, Upload
from sseproxy.objects.protection import protect
from sseproxy.objects.writer import COMPOSITE, FULL_OBJECT
from sseproxy.s3 import checksums, xml
from sseproxy.s3 import errors as s3
from sseproxy.s3.checksums import Algorithm
from sseproxy.s3.encryption import EncryptionFields
from sseproxy.s3.fields import Header, Metadata, Query
from sseproxy.s3.listing import canonical_id
from sseproxy.s3.metadata import Pairs, SystemHeaders, check_metadata
from sseproxy.s3.operation import Call, Operation, Reply, Scope
from sseproxy.s3.operations.objects_write import DEFAULT_ALGORITHM, wanted_encryption
from sseproxy.s3.unserved import UnservedFields, check_unserved

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
    found = await call.services.read(lambda connection: uploads.get(connection, upload_id))
    if found is None or (found.bucket, found.key) != (call.target.bucket, call.target.key):
        raise s3.NoSuchUpload(UploadId=upload_id)
    if found.ended is not None and not ended:
        raise s3.NoSuchUpload(UploadId=upload_id)
    return found


async def all_parts(call: Call[object], upload_id: str, after: int = 0, count: int = MAX_PARTS) -> list[Part]:
    """The parts of an upload."""
    return await call.services.read(lambda connection: call.services.parts.of(connection, upload_id, after, count))


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
    await services.write(lambda transaction: uploads.create(transaction, upload))
    headers = {**xml.HEADERS, **kept.answer}
    if kind is not None:
        headers["x-amz-checksum-algorithm"], _, headers["x-amz-checksum-type"] = kind.partition("/")
    result = [
        xml.element("Bucket", call.target.bucket),
        xml.element("Key", call.target.key),
        xml.element("UploadId", upload_id),
    ]
    return Reply(200, headers, xml.document("InitiateMultipartUploadResult", result))


async def _abort(call: Call[OneUpload]) -> Reply:
    services = call.services
    upload = await find_upload(call, call.input.upload_id)
    await call.audit.before_effect()
    held = await services.write(lambda transaction: uploads.finish(transaction, upload.id, call.facts.at, None))
    await services.store.discard_parts(call.target.bucket, held)
    await services.store.abort_upload(call.target.bucket, call.target.key, upload.id)
    return Reply(204)


def who(call: Call[object], upload: Upload) -> tuple[str, str]:
    """Initiator and owner. A user of IAM is shown by ARN, a root user by the account's canonical id, as on AWS."""
    initiator = upload.initiator
    shown = canonical_id(call.bucket.account) if initiator.endswith(":root") else initiator
    return (
        xml.group("Initiator", xml.element("ID", shown)),
        xml.group("Owner", xml.element("ID", canonical_id(call.bucket.account))),
    )


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
        "AbortMultipartUpload",
        "DELETE",
        Scope.OBJECT,
        "s3:AbortMultipartUpload",
        OneUpload,
        _abort,
        query=(("uploadId", None),),
        read_only=False,
    ),
)
