"""PutObject and CopyObject: a new object, from a request's body or from another object.

The key service is asked before a byte of the body is read, and the object appears only after every digest that the
client sent has been verified and the event is in the journal.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Annotated

from kms_core.caller import CallerKind
from sseproxy.authorize import decide, denial
from sseproxy.cipher.errors import CipherError
from sseproxy.cipher.geometry import object_size
from sseproxy.cipher.stream import ObjectSealer
from sseproxy.control.buckets import BUCKETS
from sseproxy.objects.protection import Opened, Protected, open_object, protect, unreadable
from sseproxy.objects.reader import Layout, plaintext, read_layout
from sseproxy.objects.writer import SALT, Checksum, footer_checksum, pour, sent_checksum, single_tail
from sseproxy.s3 import errors as s3
from sseproxy.s3 import xml
from sseproxy.s3.checksums import Algorithm, encode, new_digest
from sseproxy.s3.copy_source import read_copy_source
from sseproxy.s3.encryption import EncryptionFields, WantedEncryption, wanted
from sseproxy.s3.etags import bare, opaque_etag, plaintext_etag, quote
from sseproxy.s3.fields import Header, Metadata
from sseproxy.s3.metadata import Pairs, SystemHeaders, check_metadata
from sseproxy.s3.names import Target
from sseproxy.s3.operation import BodyKind, Call, Operation, Reply, Scope
from sseproxy.s3.operations.objects_read import find_at, version_header
from sseproxy.s3.preconditions import CopyConditions, check_copy
from sseproxy.s3.unserved import UnservedFields, check_unserved
from sseproxy.store import contract as store
from sseproxy.store.contract import Committed, Expectation, ObjectStat

MAX_PUT = 5 * 1024**3
DEFAULT_ALGORITHM = Algorithm.CRC64NVME


@dataclass(frozen=True, slots=True)
class WriteConditions:
    """Conditions on the object that a write replaces."""

    if_match: Annotated[str | None, Header("if-match")] = None
    if_none_match: Annotated[str | None, Header("if-none-match")] = None

    def expectation(self) -> Expectation | None:
        """For the store, which checks it together with the commit. NotImplementedYet, InvalidArgument."""
        if self.if_none_match is not None:
            if self.if_none_match != "*" or self.if_match is not None:
                raise s3.NotImplementedYet(Header="If-None-Match")
            return Expectation(absent=True)
        if self.if_match is None:
            return None
        if bare(self.if_match) == "*":
            raise s3.NotImplementedYet(Header="If-Match")
        return Expectation(etag=bare(self.if_match))


@dataclass(frozen=True, slots=True)
class PutObject:
    """The input of PutObject, beside the body."""

    write_offset: Annotated[str | None, Header("x-amz-write-offset-bytes")] = None
    system: SystemHeaders = field(default_factory=SystemHeaders)
    metadata: Annotated[Pairs, Metadata()] = ()
    encryption: EncryptionFields = field(default_factory=EncryptionFields)
    conditions: WriteConditions = field(default_factory=WriteConditions)
    unserved: UnservedFields = field(default_factory=UnservedFields)


@dataclass(frozen=True, slots=True)
class SourceFields:
    """What a copy says of its source."""

    source: Annotated[str, Header("x-amz-copy-source")] = ""
    owner: Annotated[str | None, Header("x-amz-source-expected-bucket-owner")] = None
    conditions: CopyConditions = field(default_factory=CopyConditions)


@dataclass(frozen=True, slots=True)
class CopyObject:
    """The input of CopyObject."""

    source: SourceFields = field(default_factory=SourceFields)
    metadata_directive: Annotated[str | None, Header("x-amz-metadata-directive")] = None
    tagging_directive: Annotated[str | None, Header("x-amz-tagging-directive")] = None
    checksum_algorithm: Annotated[str | None, Header("x-amz-checksum-algorithm")] = None
    system: SystemHeaders = field(default_factory=SystemHeaders)
    metadata: Annotated[Pairs, Metadata()] = ()
    encryption: EncryptionFields = field(default_factory=EncryptionFields)
    conditions: WriteConditions = field(default_factory=WriteConditions)
    unserved: UnservedFields = field(default_factory=UnservedFields)


def wanted_encryption(call: Call[object], fields: EncryptionFields) -> WantedEncryption:
    """How this call's object is to be encrypted."""
    default = call.bucket.encryption or call.services.default_encryption
    return wanted(fields, default, signed_v4=call.caller.kind is not CallerKind.ANONYMOUS)


def commit_error(problem: store.StoreError, condition: str, key: str) -> s3.S3Error | store.StoreError:
    """A failed expectation in S3's words; anything else as it is."""
    if isinstance(problem, store.PreconditionFailed):
        return s3.PreconditionFailed(Condition=condition)
    if isinstance(problem, store.NoSuchKey):
        return s3.NoSuchKey(Key=key)
    return problem


async def _put(call: Call[PutObject]) -> Reply:
    given, services, payload = call.input, call.services, call.payload
    check_unserved(given.unserved)
    if given.write_offset is not None:
        raise s3.NotImplementedYet(Header="x-amz-write-offset-bytes")
    expect = given.conditions.expectation()
    size = payload.length
    if size > MAX_PUT:
        raise s3.EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(MAX_PUT))
    choice = wanted_encryption(call, given.encryption)
    system, user = given.system.pairs(), check_metadata(given.metadata)
    kept = await protect(services, call.caller, call.facts, call.target, choice, system, user, size=size)
    shows_md5 = services.store.keeps_etags and not choice.kms
    payload.compute(md5=shows_md5, algorithm=None if payload.checksum_algorithm else DEFAULT_ALGORITHM)
    salt = services.random(SALT)
    sealer = ObjectSealer(kept.oek, 0, salt)
    stage = await services.store.stage(call.target.bucket, call.target.key, kept.headers, object_size(size), expect)
    try:
        await pour(services, payload.blocks(), payload.update, sealer, stage)
        digests = payload.verify()
        checksum = sent_checksum(digests, DEFAULT_ALGORITHM)
        md5 = digests.md5 if shows_md5 else None
        tail = single_tail(
            kept.oek, size=size, part_salt=salt, footer_salt=services.random(SALT), md5=md5, checksum=checksum
        )
        await stage.write(sealer.finish() + tail)
        await call.audit.before_effect()
        etag = plaintext_etag(md5) if md5 is not None else opaque_etag(services.random)
        done = await stage.commit(etag)
    except store.StoreError as problem:
        await stage.abort()
        condition = "If-None-Match" if expect is not None and expect.absent else "If-Match"
        raise commit_error(problem, condition, call.target.key) from problem
    except BaseException:
        await stage.abort()
        raise
    headers = {"etag": quote(done.etag), **version_header(done.version), **kept.answer}
    if checksum is not None:
        headers[checksum.algorithm.header] = encode(checksum.digest)
        headers["x-amz-checksum-type"] = checksum.type
    return Reply(200, headers)


@dataclass(frozen=True, slots=True)
class Source:
    """What a copy reads, opened for this caller."""

    target: Target
    stat: ObjectStat
    opened: Opened
    layout: Layout


async def open_source(call: Call[object], given: SourceFields) -> Source:
    """The source of a copy: s3:GetObject on it, its conditions, then kms:Decrypt as this caller. S3Error."""
    source = read_copy_source(given.source)
    call.audit.about(source.target)
    bucket = call.snapshot.get(BUCKETS, source.target.bucket)
    if bucket is None:
        raise s3.NoSuchBucket(BucketName=source.target.bucket)
    if given.owner not in (None, bucket.account):
        raise s3.AccessDenied
    action = "s3:GetObject" if source.version is None else "s3:GetObjectVersion"
    decision = decide(call.caller, call.facts, call.snapshot, bucket, action, source.target.arn, call.conditions)
    if not decision.allowed:
        raise denial(call.caller, bucket, action, source.target.arn, decision)
    stat = await find_at(call, bucket, source.target, source.version)
    check_copy(given.conditions, stat.etag, stat.modified)
    facts = replace(call.facts, region=bucket.region)  # the source's key is in the source's region
    opened = open_object(call.services, call.caller, facts, source.target, stat.headers)
    layout = await read_layout(call.services, stat, opened, footer=True)
    return Source(source.target, stat, opened, layout)


async def source_blocks(call: Call[object], source: Source, first: int, last: int) -> AsyncIterator[bytes | bytearray]:
    """The source's plaintext. S3Error if it does not verify, so that nothing is committed."""
    try:
        async for block in plaintext(call.services, source.stat, source.opened, source.layout, first, last):
            yield block
    except CipherError as problem:
        raise unreadable() from problem


def _replaces(directive: str | None) -> bool:
    if directive not in (None, "COPY", "REPLACE"):
        raise s3.InvalidArgument(
            "Unknown metadata directive.", ArgumentName="x-amz-metadata-directive", ArgumentValue=directive or ""
        )
    return directive == "REPLACE"


def _copy_algorithm(asked: str | None, source: Source) -> Algorithm:
    if asked is not None:
        try:
            return Algorithm(asked.upper())
        except ValueError as problem:
            raise s3.InvalidRequest(
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
                f"[{', '.join(Algorithm)}]"
            ) from problem
    known = footer_checksum(source.layout.footer) if source.layout.footer is not None else None
    return DEFAULT_ALGORITHM if known is None else known.algorithm


async def _copy(call: Call[CopyObject]) -> Reply:
    given, services = call.input, call.services
    check_unserved(given.unserved)
    if given.tagging_directive not in (None, "COPY"):
        raise s3.NotImplementedYet(Header="x-amz-tagging-directive")
    replaces = _replaces(given.metadata_directive)
    expect = given.conditions.expectation()
    choice = wanted_encryption(call, given.encryption)
    source = await open_source(call, given.source)
    if source.target == call.target and not replaces and given.encryption == EncryptionFields():
        raise s3.InvalidRequest(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    size = source.layout.size
    if size > MAX_PUT:
        raise s3.InvalidRequest(
            f"The specified copy source is larger than the maximum allowable size for a copy: {MAX_PUT}"
        )
    system = given.system.pairs() if replaces else source.stat.headers.system
    user = check_metadata(given.metadata) if replaces else source.stat.headers.user
    algorithm = _copy_algorithm(given.checksum_algorithm, source)
    kept = await protect(services, call.caller, call.facts, call.target, choice, system, user, size=size)
    try:
        done, checksum = await _copy_body(call, source, kept, algorithm, expect, shows_md5=not choice.kms)
    except store.StoreError as problem:
        condition = "If-None-Match" if expect is not None and expect.absent else "If-Match"
        raise commit_error(problem, condition, call.target.key) from problem
    result = [
        xml.element("LastModified", xml.timestamp(done.modified)),
        xml.element("ETag", quote(done.etag)),
        xml.element(f"Checksum{checksum.algorithm}", encode(checksum.digest)),
        xml.element("ChecksumType", checksum.type),
    ]
    headers = {**xml.HEADERS, **version_header(done.version), **kept.answer}
    return Reply(200, headers, xml.document("CopyObjectResult", result))


async def _copy_body(
    call: Call[CopyObject],
    source: Source,
    kept: Protected,
    algorithm: Algorithm,
    expect: Expectation | None,
    *,
    shows_md5: bool,
) -> tuple[Committed, Checksum]:
    """Decrypt the source and seal it anew, in one pass."""
    services, size = call.services, source.layout.size
    shows_md5 = shows_md5 and services.store.keeps_etags
    digests = {one: new_digest(one) for one in {algorithm, *([Algorithm.MD5] if shows_md5 else [])}}

    def update(block: bytes | bytearray | memoryview) -> None:
        for digest in digests.values():
            digest.update(block)

    salt = services.random(SALT)
    sealer = ObjectSealer(kept.oek, 0, salt)
    stage = await services.store.stage(call.target.bucket, call.target.key, kept.headers, object_size(size), expect)
    try:
        await pour(services, source_blocks(call, source, 0, size - 1), update, sealer, stage)
        md5 = digests[Algorithm.MD5].digest() if shows_md5 else None
        checksum = Checksum(algorithm, digests[algorithm].digest())
        tail = single_tail(
            kept.oek, size=size, part_salt=salt, footer_salt=services.random(SALT), md5=md5, checksum=checksum
        )
        await stage.write(sealer.finish() + tail)
        await call.audit.before_effect()
        etag = plaintext_etag(md5) if md5 is not None else opaque_etag(services.random)
        return await stage.commit(etag), checksum
    except BaseException:
        await stage.abort()
        raise


OPERATIONS = (
    Operation(
        "CopyObject",
        "PUT",
        Scope.OBJECT,
        "s3:PutObject",
        CopyObject,
        _copy,
        header="x-amz-copy-source",
        read_only=False,
    ),
    Operation("PutObject", "PUT", Scope.OBJECT, "s3:PutObject", PutObject, _put, body=BodyKind.STREAM, read_only=False),
)
