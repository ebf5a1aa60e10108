"""Which AWS service a request is for: one port serves them all.

In this order: `X-Amz-Target` (KMS), the service in the SigV4 credential scope, an unsigned STS form, else S3.
"""

import re
from enum import Enum, auto

from kms_core.identity.http import HttpHead

_HEADER_SCOPE = re.compile(rb"Credential=[^,]*/([a-z0-9-]+)/aws4_request")
_QUERY_SCOPE = re.compile(rb"(?:^|&)X-Amz-Credential=[^&]*(?:/|%2[Ff])([a-z0-9-]+)(?:/|%2[Ff])aws4_request(?:&|$)")
_TARGET = b"TrentService."
_FORM = b"application/x-www-form-urlencoded"
_STS_ACTION = re.compile(rb"(?:^|&)Action=AssumeRoleWith(?:WebIdentity|SAML)(?:&|$)")


class Service(Enum):
    """The APIs on our port, and those that are not served."""

    KMS = auto()
    STS = auto()
    S3 = auto()
    OTHER = auto()


_BY_NAME = {b"s3": Service.S3, b"kms": Service.KMS, b"sts": Service.STS}


def service_of(head: HttpHead) -> Service:
    """The service meant."""
    target = head.header(b"x-amz-target")
    if target is not None:
        return Service.KMS if target.startswith(_TARGET) else Service.OTHER
    signature = head.header(b"authorization")
    found = _QUERY_SCOPE.search(head.raw_query) if signature is None else _HEADER_SCOPE.search(signature)
    if found is not None:
        return _BY_NAME.get(found[1], Service.OTHER)
    if head.method == "POST" and head.raw_path == b"/" and (head.header(b"content-type") or b"").startswith(_FORM):
        return Service.STS
    if _STS_ACTION.search(head.raw_query):
        return Service.STS
    return Service.S3
