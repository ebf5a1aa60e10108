"""Conditional requests (RFC 9110 section 13; API Reference, GetObject and CopyObject).

`If-Match` that holds overrules `If-Unmodified-Since`; `If-None-Match` that is given overrules `If-Modified-Since`.
Times compare by whole seconds, since that is what Last-Modified shows.
"""

from dataclasses import dataclass
from typing import Annotated

from sseproxy.s3.errors import NotModified, PreconditionFailed
from sseproxy.s3.fields import Header, http_date


@dataclass(frozen=True, slots=True)
class ReadConditions:
    """The four conditions of GET and HEAD."""

    if_match: Annotated[str | None, Header("if-match")] = None
    if_none_match: Annotated[str | None, Header("if-none-match")] = None
    if_modified_since: Annotated[float | None, Header("if-modified-since", http_date)] = None
    if_unmodified_since: Annotated[float | None, Header("if-unmodified-since", http_date)] = None


@dataclass(frozen=True, slots=True)
class CopyConditions:
    """The same four, on the source of a copy."""

    if_match: Annotated[str | None, Header("x-amz-copy-source-if-match")] = None
    if_none_match: Annotated[str | None, Header("x-amz-copy-source-if-none-match")] = None
    if_modified_since: Annotated[float | None, Header("x-amz-copy-source-if-modified-since", http_date)] = None
    if_unmodified_since: Annotated[float | None, Header("x-amz-copy-source-if-unmodified-since", http_date)] = None


def names_etag(header: str, etag: str) -> bool:
    """Whether a list of entity tags (quoted or bare) has this one, or is `*`."""
    return any(one.strip().removeprefix("W/").strip('"') in (etag, "*") for one in header.split(","))


def check_read(conditions: ReadConditions, etag: str, modified: float) -> None:
    """PreconditionFailed or NotModified."""
    _check(conditions, etag, int(modified), NotModified)


def check_copy(conditions: CopyConditions, etag: str, modified: float) -> None:
    """PreconditionFailed."""
    _check(conditions, etag, int(modified), PreconditionFailed)


def _check(
    given: ReadConditions | CopyConditions, etag: str, modified: int, unchanged: type[NotModified | PreconditionFailed]
) -> None:
    if given.if_match is not None:
        if not names_etag(given.if_match, etag):
            raise PreconditionFailed(Condition="If-Match")
    elif given.if_unmodified_since is not None and modified > given.if_unmodified_since:
        raise PreconditionFailed(Condition="If-Unmodified-Since")
    if given.if_none_match is not None:
        if names_etag(given.if_none_match, etag):
            raise unchanged(Condition="If-None-Match")
    elif given.if_modified_since is not None and modified <= given.if_modified_since:
        raise unchanged(Condition="If-Modified-Since")
