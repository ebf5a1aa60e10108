"""Request headers that ask for something not served yet: answered with 501, never ignored.

ACLs: buckets here are "bucket owner enforced", AWS's default, under which only the ACLs that change nothing are
accepted (Amazon S3 user guide, "Controlling ownership of objects and disabling ACLs").
"""

from dataclasses import dataclass
from typing import Annotated

from sseproxy.s3.errors import AccessControlListNotSupported, InvalidStorageClass, NotImplementedYet
from sseproxy.s3.fields import Header

_HARMLESS_ACLS = frozenset({"private", "bucket-owner-full-control"})
_CLASSES = frozenset(
    {
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "DEEP_ARCHIVE",
        "OUTPOSTS",
        "GLACIER_IR",
        "SNOW",
        "EXPRESS_ONEZONE",
    }
)


@dataclass(frozen=True, slots=True)
class UnservedFields:
    """Fields of PUT, Copy and CreateMultipartUpload that must be absent, or say what is so anyway."""

    acl: Annotated[str | None, Header("x-amz-acl")] = None
    grant_full_control: Annotated[str | None, Header("x-amz-grant-full-control")] = None
    grant_read: Annotated[str | None, Header("x-amz-grant-read")] = None
    grant_read_acp: Annotated[str | None, Header("x-amz-grant-read-acp")] = None
    grant_write_acp: Annotated[str | None, Header("x-amz-grant-write-acp")] = None
    storage_class: Annotated[str | None, Header("x-amz-storage-class")] = None
    tagging: Annotated[str | None, Header("x-amz-tagging")] = None
    lock_mode: Annotated[str | None, Header("x-amz-object-lock-mode")] = None
    lock_until: Annotated[str | None, Header("x-amz-object-lock-retain-until-date")] = None
    legal_hold: Annotated[str | None, Header("x-amz-object-lock-legal-hold")] = None


def check_unserved(fields: UnservedFields) -> None:
    """AccessControlListNotSupported, InvalidStorageClass, NotImplementedYet."""
    if fields.acl is not None and fields.acl not in _HARMLESS_ACLS:
        raise AccessControlListNotSupported
    if fields.grant_full_control or fields.grant_read or fields.grant_read_acp or fields.grant_write_acp:
        raise AccessControlListNotSupported
    if fields.storage_class not in (None, "STANDARD"):
        if fields.storage_class not in _CLASSES:
            raise InvalidStorageClass(StorageClassRequested=fields.storage_class or "")
        raise NotImplementedYet(Header="x-amz-storage-class")
    for name, value in (
        ("x-amz-tagging", fields.tagging),
        ("x-amz-object-lock-mode", fields.lock_mode),
        ("x-amz-object-lock-retain-until-date", fields.lock_until),
        ("x-amz-object-lock-legal-hold", fields.legal_hold),
    ):
        if value is not None:
            raise NotImplementedYet(Header=name)
