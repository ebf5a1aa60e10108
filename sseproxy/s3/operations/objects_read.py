"""GetObject and HeadObject.

GET asks the key service as the caller, then verifies everything that lies beside the body, and only then looks at
preconditions and range; no body byte is read before. HEAD asks no key (as on AWS) unless checksums are wanted, so the
metadata it shows is the store's word.
"""

from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from typing import Annotated

from kms_core.caller import CallerKind
from sseproxy.authorize import may_list
from sseproxy.cipher.envelope import Envelope
from sseproxy.control.buckets import Bucket
from sseproxy.objects.protection import Opened, answer_for, open_object, read_envelope
from sseproxy.objects.reader import SMALL, Layout, begin, plaintext, read_layout, stored_plaintext_size, whole
from sseproxy.objects.writer import COMPOSITE, footer_checksum
from sseproxy.s3.checksums import digest_size, encode
from sseproxy.s3.encryption import ReadEncryptionFields, check_read_fields
from sseproxy.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidPartNumber,
    InvalidRequest,
    NoSuchKey,
    NoSuchVersion,
    NotModified,
)
from sseproxy.s3.etags import quote
from sseproxy.s3.fields import Header, Query, number
from sseproxy.s3.metadata import PREFIX
from sseproxy.s3.names import Target
from sseproxy.s3.operation import Call, Operation, Reply, Scope
from sseproxy.s3.preconditions import ReadConditions, check_read
from sseproxy.s3.ranges import ByteRange, read_range
from sseproxy.store import contract as store
from sseproxy.store.contract import ObjectStat

_ATTEMPTS = 5
NULL_VERSION = "null"


@dataclass(frozen=True, slots=True)
class Overrides:
    """The `response-*` parameters."""

    content_type: Annotated[str | None, Query("response-content-type")] = None
    content_language: Annotated[str | None, Query("response-content-language")] = None
    content_encoding: Annotated[str | None, Query("response-content-encoding")] = None
    content_disposition: Annotated[str | None, Query("response-content-disposition")] = None
    cache_control: Annotated[str | None, Query("response-cache-control")] = None
    expires: Annotated[str | None, Query("response-expires")] = None

    def pairs(self) -> dict[str, str]:
        """The headers that are overridden."""
        given = (
            ("content-type", self.content_type),
            ("content-language", self.content_language),
            ("content-encoding", self.content_encoding),
            ("content-disposition", self.content_disposition),
            ("cache-control", self.cache_control),
            ("expires", self.expires),
        )
        return {name: value for name, value in given if value is not None}


@dataclass(frozen=True, slots=True)
class ReadObject:
    """The input of GET and HEAD."""

    range: Annotated[str | None, Header("range")] = None
    part_number: Annotated[int | None, Query("partNumber", number)] = None
    version: Annotated[str | None, Query("versionId", blank=True)] = None
    checksum_mode: Annotated[str | None, Header("x-amz-checksum-mode")] = None
    conditions: ReadConditions = field(default_factory=ReadConditions)
    overrides: Overrides = field(default_factory=Overrides)
    encryption: ReadEncryptionFields = field(default_factory=ReadEncryptionFields)

    @property
    def wants_checksums(self) -> bool:
        """Whether checksums are to be shown."""
        return (self.checksum_mode or "").upper() == "ENABLED"


def check_version(version: str | None) -> None:
    """InvalidArgument for a version id that is none."""
    if version == "":
        raise InvalidArgument("Version id cannot be the empty string", ArgumentName="versionId", ArgumentValue="")


async def find(call: Call[object], version: str | None = None) -> ObjectStat:
    """The object, or the error that this caller may learn of. A version is the store's to know."""
    return await find_at(call, call.bucket, call.target, version)


async def find_at(call: Call[object], bucket: Bucket, target: Target, version: str | None) -> ObjectStat:
    """The same for an object elsewhere: the source of a copy."""
    check_version(version)
    try:
        return await call.services.store.stat(target.bucket, target.key, version)
    except store.NoSuchKey as problem:
        if not may_list(call.caller, call.facts, call.snapshot, bucket, call.conditions):
            raise AccessDenied from problem
        if version not in (None, NULL_VERSION):
            raise NoSuchVersion(Key=target.key, VersionId=version or "") from problem
        raise NoSuchKey(Key=target.key) from problem


def version_header(version: str) -> dict[str, str]:
    """The id of a version, where the store has versions."""
    return {} if version == NULL_VERSION else {"x-amz-version-id": version}


@lru_cache(maxsize=4096)
def _http_date(at: int) -> str:
    return formatdate(at, usegmt=True)


def _headers(stat: ObjectStat, envelope: Envelope) -> dict[str, str]:
    headers = {
        "last-modified": _http_date(int(stat.modified)),
        "etag": quote(stat.etag),
        "accept-ranges": "bytes",
        **version_header(stat.version),
        **answer_for(envelope),
    }
    headers.update(stat.headers.system)
    for name, value in stat.headers.user:
        headers[PREFIX + name] = value
    return headers


_VALIDATORS = frozenset({"etag", "last-modified", "cache-control", "expires"})


def _unchanged(given: ReadObject, stat: ObjectStat, envelope: Envelope) -> Reply | None:
    """304 with what a cache brings its copy up to date by (RFC 9110 section 15.4.5), or None. PreconditionFailed."""
    try:
        check_read(given.conditions, stat.etag, stat.modified)
    except NotModified:
        headers = _headers(stat, envelope)
        return Reply(304, {name: value for name, value in headers.items() if name in _VALIDATORS})
    return None


def _add_checksum(headers: dict[str, str], layout: Layout, part: int | None) -> None:
    """The object's checksum; or, of a multipart object of which one part was asked for, that part's."""
    footer = layout.footer
    checksum = footer_checksum(footer) if footer is not None else None
    if footer is None or checksum is None:
        return
    if part is not None and footer.multipart:
        digest = footer.parts[layout.numbers.index(part)].checksum[: digest_size(checksum.algorithm)]
        shown = encode(digest)
    else:
        shown = encode(checksum.digest) + (f"-{len(layout.lengths)}" if checksum.type == COMPOSITE else "")
    headers[checksum.algorithm.header] = shown
    headers["x-amz-checksum-type"] = checksum.type


def _part_range(wanted: int, layout: Layout) -> ByteRange:
    """The bytes of one part; an object that was put whole has one. InvalidPartNumber."""
    numbers = layout.numbers if layout.numbers != (0,) else (1,)
    if wanted not in numbers:
        raise InvalidPartNumber(PartNumberRequested=str(wanted), ActualPartCount=str(len(numbers)))
    index = numbers.index(wanted)
    first = sum(layout.lengths[:index])
    return ByteRange(first, first + layout.lengths[index] - 1, layout.size)


def _narrow(given: ReadObject, layout: Layout, headers: dict[str, str], wanted: ByteRange | None) -> ByteRange | None:
    """What a part number and checksum mode ask for: the part's bytes, how many parts there are, a checksum."""
    part = given.part_number
    if part is not None:
        wanted = _part_range(part, layout)
        if layout.numbers != (0,):
            headers["x-amz-mp-parts-count"] = str(len(layout.numbers))
    if given.wants_checksums and (part is not None or wanted is None):
        _add_checksum(headers, layout, part)
    return wanted


def _check(call: Call[ReadObject]) -> None:
    check_read_fields(call.input.encryption)
    if call.caller.kind is CallerKind.ANONYMOUS and call.input.overrides != Overrides():
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
    if call.input.part_number is not None:
        if call.input.range is not None:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
        if not 1 <= call.input.part_number <= 10_000:
            raise InvalidArgument("Part number must be an integer between 1 and 10000, inclusive")


async def _get(call: Call[ReadObject]) -> Reply:
    _check(call)
    for _ in range(_ATTEMPTS):
        try:
            return await _read(call, await find(call, call.input.version))
        except store.Replaced:
            continue  # overwritten between stat and read: look again, so that no reader sees a mix
    raise store.StoreFailure("sseproxy.s3.operations.objects_read: the object is replaced faster than it is read")


async def _read(call: Call[ReadObject], stat: ObjectStat) -> Reply:
    given, services = call.input, call.services
    opened = open_object(services, call.caller, call.facts, call.target, stat.headers)
    if (unchanged := _unchanged(given, stat, opened.envelope)) is not None:
        return unchanged
    size = stored_plaintext_size(stat)
    wanted = read_range(given.range, size)
    footer = given.part_number is not None or (given.wants_checksums and wanted is None)
    layout = await read_layout(services, stat, opened, footer=footer)
    headers = _headers(stat, opened.envelope) | given.overrides.pairs()
    wanted = _narrow(given, layout, headers, wanted)
    if wanted is None or wanted.length == 0:
        return await _reply(200, headers, call, stat, opened, layout, 0, size - 1)
    headers["content-range"] = wanted.content_range
    return await _reply(206, headers, call, stat, opened, layout, wanted.first, wanted.last)


async def _reply(
    status: int,
    headers: dict[str, str],
    call: Call[ReadObject],
    stat: ObjectStat,
    opened: Opened,
    layout: Layout,
    first: int,
    last: int,
) -> Reply:
    """The range, in one piece if it is small, else as a stream whose first segment has verified."""
    if last - first < SMALL:
        return Reply(status, headers, await whole(call.services, stat, opened, layout, first, last))
    blocks = plaintext(call.services, stat, opened, layout, first, last)
    return Reply(status, headers, await begin(blocks), last - first + 1)


async def _head(call: Call[ReadObject]) -> Reply:
    _check(call)
    given = call.input
    stat = await find(call, given.version)
    envelope = read_envelope(stat.headers)
    if (unchanged := _unchanged(given, stat, envelope)) is not None:
        return unchanged
    size = stored_plaintext_size(stat)
    wanted = read_range(given.range, size)
    headers = _headers(stat, envelope) | given.overrides.pairs()
    if given.wants_checksums or given.part_number is not None:
        opened = open_object(call.services, call.caller, call.facts, call.target, stat.headers)
        layout = await read_layout(call.services, stat, opened, footer=True, body=False)
        wanted = _narrow(given, layout, headers, wanted)
    if wanted is None or wanted.length == 0:
        return Reply(200, headers, b"", size)
    headers["content-range"] = wanted.content_range
    return Reply(206, headers, b"", wanted.length)


_VERSION = "s3:GetObjectVersion"
OPERATIONS = (
    Operation("GetObject", "GET", Scope.OBJECT, "s3:GetObject", ReadObject, _get, version_action=_VERSION),
    Operation("HeadObject", "HEAD", Scope.OBJECT, "s3:GetObject", ReadObject, _head, version_action=_VERSION),
)
