"""DeleteObject and DeleteObjects. A key that is not there counts as deleted, as on AWS."""

from dataclasses import dataclass
from typing import Annotated

from sseproxy.authorize import decide
from sseproxy.s3 import xml
from sseproxy.s3.errors import InvalidRequest, MalformedXML, NotImplementedYet
from sseproxy.s3.fields import Header, Query
from sseproxy.s3.names import Target
from sseproxy.s3.operation import BodyKind, Call, NoInput, Operation, Reply, Scope
from sseproxy.s3.operations.objects_read import NULL_VERSION, check_version

_MAX_KEYS = 1000


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """The input of DeleteObject."""

    version: Annotated[str | None, Query("versionId", blank=True)] = None
    if_match: Annotated[str | None, Header("if-match")] = None
    if_size: Annotated[str | None, Header("x-amz-if-match-size")] = None
    if_modified: Annotated[str | None, Header("x-amz-if-match-last-modified-time")] = None


@dataclass(frozen=True, slots=True)
class _Item:
    """One object of DeleteObjects."""

    key: str
    version: str | None


async def _delete(call: Call[DeleteObject]) -> Reply:
    given = call.input
    if given.if_match is not None or given.if_size is not None or given.if_modified is not None:
        raise NotImplementedYet("Conditional deletes are not implemented")
    check_version(given.version)
    if given.version not in (None, NULL_VERSION):
        raise NotImplementedYet("Deleting one version is not implemented")
    await call.audit.before_effect()
    await call.services.store.delete(call.target.bucket, [call.target.key])
    return Reply(204)


def _read(body: bytes) -> tuple[list[_Item], bool]:
    """The objects, and whether only errors are to be told. MalformedXML."""
    known = xml.children(xml.parse(body, "Delete"), ("Object", "Quiet"))
    items = []
    for node in known["Object"]:
        fields = xml.children(node, ("Key", "VersionId", "ETag", "LastModifiedTime", "Size"))
        key = xml.text_of(fields["Key"], str)
        if not key:
            raise MalformedXML
        if fields["ETag"] or fields["LastModifiedTime"] or fields["Size"]:
            raise NotImplementedYet("Conditional deletes are not implemented")
        items.append(_Item(key, xml.text_of(fields["VersionId"])))
    if not 1 <= len(items) <= _MAX_KEYS:
        raise MalformedXML
    return items, (xml.text_of(known["Quiet"]) or "").lower() == "true"


def _refusal(call: Call[NoInput], item: _Item) -> tuple[str, str] | None:
    """Code and message for an object that is not to be deleted."""
    target = Target(call.target.bucket, item.key)
    action = "s3:DeleteObject" if item.version is None else "s3:DeleteObjectVersion"
    decision = decide(call.caller, call.facts, call.snapshot, call.bucket, action, target.arn, call.conditions)
    if not decision.allowed:
        return "AccessDenied", "Access Denied"
    if item.version not in (None, NULL_VERSION):
        return "NoSuchVersion", "The specified version does not exist."
    return None


async def _delete_many(call: Call[NoInput]) -> Reply:
    if not call.vouched:
        raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
    items, quiet = _read(call.document)
    rows: list[str] = []
    allowed: list[_Item] = []
    for item in items:
        refusal = _refusal(call, item)
        call.audit.about(Target(call.target.bucket, item.key))
        if refusal is None:
            allowed.append(item)
        else:
            code, message = refusal
            rows.append(
                xml.group(
                    "Error",
                    xml.element("Key", item.key),
                    xml.element("VersionId", item.version),
                    xml.element("Code", code),
                    xml.element("Message", message),
                )
            )
    if len(allowed) < len(items):
        call.audit.note(refused=[item.key for item in items if item not in allowed])
    await call.audit.before_effect()
    await call.services.store.delete(call.target.bucket, [item.key for item in allowed])
    if not quiet:
        rows += [
            xml.group("Deleted", xml.element("Key", item.key), xml.element("VersionId", item.version))
            for item in allowed
        ]
    return Reply(200, xml.HEADERS, xml.document("DeleteResult", rows))


OPERATIONS = (
    Operation(
        "DeleteObject",
        "DELETE",
        Scope.OBJECT,
        "s3:DeleteObject",
        DeleteObject,
        _delete,
        read_only=False,
        version_action="s3:DeleteObjectVersion",
    ),
    Operation(
        "DeleteObjects",
        "POST",
        Scope.BUCKET,
        None,
        NoInput,
        _delete_many,
        query=(("delete", None),),
        body=BodyKind.DOCUMENT,
        read_only=False,
    ),
)
