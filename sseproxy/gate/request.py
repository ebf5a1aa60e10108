"""An ASGI request as values: its head for the signature, its named fields for the operation, its conditions for
policies.

Past this file nobody reads a header. Names repeated in one request count as one, joined by a comma (RFC 9110 section
5.3).
"""

from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from kms_core.identity.canonical import query_pairs
from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import Signed
from sseproxy.s3.encryption import KEY_ID, SSE
from sseproxy.s3.errors import InvalidURI
from sseproxy.s3.fields import Request
from sseproxy.s3.metadata import PREFIX

Scope = MutableMapping[str, Any]

_CONDITION_HEADERS = {
    SSE: "s3:x-amz-server-side-encryption",
    KEY_ID: "s3:x-amz-server-side-encryption-aws-kms-key-id",
    f"{SSE}-customer-algorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "x-amz-copy-source": "s3:x-amz-copy-source",
    "x-amz-metadata-directive": "s3:x-amz-metadata-directive",
    "x-amz-acl": "s3:x-amz-acl",
    "x-amz-storage-class": "s3:x-amz-storage-class",
    "x-amz-content-sha256": "s3:x-amz-content-sha256",
    "referer": "aws:referer",
}
_CONDITION_QUERIES = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}


def read_head(scope: Scope, at: float) -> HttpHead:
    """The head, untouched. The peer is the socket's: what a proxy in between may claim is not looked at."""
    client = scope.get("client")
    return HttpHead(
        method=scope["method"],
        raw_path=scope["raw_path"],
        raw_query=scope["query_string"],
        headers=tuple(scope["headers"]),
        client_ip=client[0] if client else "",
        secure=scope["scheme"] == "https",
        at=at,
    )


def _text(raw: bytes) -> str:
    try:
        return raw.decode().strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def read_request(head: HttpHead) -> Request:
    """The named fields. InvalidURI for a query that is no UTF-8."""
    headers: dict[str, str] = {}
    metadata: list[tuple[str, str]] = []
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode("latin-1"), _text(raw_value)
        if name.startswith(PREFIX):
            metadata.append((name[len(PREFIX) :], value))
        elif name in headers:
            headers[name] = f"{headers[name]},{value}"
        else:
            headers[name] = value
    query: dict[str, str] = {}
    if head.raw_query:
        for name_bytes, value_bytes in query_pairs(head.raw_query):  # decoded, once
            try:
                query.setdefault(name_bytes.decode(), value_bytes.decode())
            except UnicodeDecodeError as problem:
                raise InvalidURI from problem
    return Request(query, headers, tuple(metadata))


def read_conditions(
    request: Request, signed: Signed | None, at: float, *, listing: bool
) -> Mapping[str, str | tuple[str, ...]]:
    """S3's condition keys as this request carries them (Service Authorization Reference, "Amazon S3")."""
    found: dict[str, str | tuple[str, ...]] = {}
    for header, key in _CONDITION_HEADERS.items():
        value = request.headers.get(header)
        if value is not None:
            found[key] = unquote(value).lstrip("/") if header == "x-amz-copy-source" else value
    for name, key in _CONDITION_QUERIES.items() if listing else ():
        value = request.query.get(name)
        if value is not None:
            found[key] = value
    if signed is not None:
        found["s3:signatureversion"] = "AWS4-HMAC-SHA256"
        found["s3:authtype"] = "REST-QUERY-STRING" if signed.presigned else "REST-HEADER"
        found["s3:signatureage"] = str(int((at - signed.timestamp) * 1000))
    return found
