"""User metadata and the system headers that lie with an object, in the canonical form that is authenticated.

Canonical: lower-case names, values trimmed, ASCII, with RFC 2047 encoding for what is not ASCII, sorted by name.
Servers fold, trim and re-encode; what comes back from one must be what was sent, or it would not verify.
"""

import base64
from dataclasses import dataclass
from typing import Annotated

from sseproxy.s3.errors import MetadataTooLarge
from sseproxy.s3.fields import Header

PREFIX = "x-amz-meta-"
ENVELOPE = "ssep"
"""The name under which an envelope lies with an object; a client's own header of that name is dropped."""
MAX_BYTES = 2048
DEFAULT_TYPE = "binary/octet-stream"
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SystemHeaders:
    """The headers that S3 keeps with an object and gives back."""

    content_type: Annotated[str | None, Header("content-type")] = None
    content_encoding: Annotated[str | None, Header("content-encoding")] = None
    content_language: Annotated[str | None, Header("content-language")] = None
    content_disposition: Annotated[str | None, Header("content-disposition")] = None
    cache_control: Annotated[str | None, Header("cache-control")] = None
    expires: Annotated[str | None, Header("expires")] = None
    redirect: Annotated[str | None, Header("x-amz-website-redirect-location")] = None

    def pairs(self) -> Pairs:
        """The headers that are set, by their stored names. `aws-chunked` is transport, and is not kept."""
        encoding = None
        if self.content_encoding is not None:
            words = self.content_encoding.split(",")
            kept = [word for word in words if word.strip().lower() not in ("", "aws-chunked")]
            encoding = ",".join(kept).strip() or None
        given = (
            ("content-type", self.content_type or DEFAULT_TYPE),
            ("content-encoding", encoding),
            ("content-language", self.content_language),
            ("content-disposition", self.content_disposition),
            ("cache-control", self.cache_control),
            ("expires", self.expires),
            ("x-amz-website-redirect-location", self.redirect),
        )
        return tuple((name, canonical(value)) for name, value in given if value is not None)


def canonical(value: str) -> str:
    """A header value as it is stored: trimmed ASCII."""
    value = value.strip()
    if value.isascii():
        return value
    return f"=?UTF-8?B?{base64.b64encode(value.encode()).decode()}?="


def check_metadata(pairs: Pairs) -> Pairs:
    """User metadata, canonical and sorted, values of one name joined by a comma. MetadataTooLarge over 2 KB."""
    merged: dict[str, str] = {}
    for name, value in pairs:
        if name != ENVELOPE:
            merged[name] = f"{merged[name]},{canonical(value)}" if name in merged else canonical(value)
    size = sum(len(name) + len(value.encode()) for name, value in merged.items())
    if size > MAX_BYTES:
        raise MetadataTooLarge(Size=str(size), MaxSizeAllowed=str(MAX_BYTES))
    return tuple(sorted(merged.items()))
