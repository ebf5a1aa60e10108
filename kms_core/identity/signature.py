"""The signature that a request carries, parsed: from the Authorization header, or from the query if it is presigned.

Source: IAM User Guide, "AWS Signature Version 4 for API requests"; S3 API Reference, "Authenticating Requests (AWS
Signature Version 4)". Only parsing happens here: nothing in a `Signed` may be believed before `sigv4.verify` returned.

Left out on purpose: Signature Version 2 and SigV4A are named and refused; whose key it is, whether the session token
fits it, and whether the region and the service are the right ones are questions of the door.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from kms_core.identity.canonical import query_pairs
from kms_core.identity.errors import (
    IncompleteSignature,
    MalformedAuthorization,
    TooManyAuthentications,
    UnsupportedAlgorithm,
)
from kms_core.identity.http import HttpHead

ALGORITHM: Final = "AWS4-HMAC-SHA256"
MAX_EXPIRES: Final = 604_800
"""Seconds, a week: the longest life of a presigned request."""

TERMINATOR: Final = "aws4_request"
_HEADER_FIELDS = ("Credential", "SignedHeaders", "Signature")
_QUERY_FIELDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_BASIC_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request says about its signature.

    `date` is the scope's day (`YYYYMMDD`), `signature` the text that was sent, `timestamp` the time of signing in
    seconds since the epoch and `amz_date` the same as it is signed (`YYYYMMDDTHHMMSSZ`). `expires` is the life of a
    presigned request in seconds. `payload_hash` is x-amz-content-sha256, be it a hash or one of S3's words.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: float
    amz_date: str
    expires: int | None
    presigned: bool
    payload_hash: str | None
    session_token: str | None

    @property
    def scope(self) -> str:
        """The credential scope: day, region, service and terminator."""
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


def read_signature(head: HttpHead) -> Signed | None:
    """Parse the signature of a request, from the Authorization header or from the query; None if there is none.

    An AuthError says what is wrong: MalformedAuthorization, IncompleteSignature, UnsupportedAlgorithm,
    TooManyAuthentications.
    """
    authorization: list[str] = []
    date = amz_date = payload_hash = token = None
    for name, value in head.headers:
        if name == b"authorization":
            authorization.append(value.decode("latin-1").strip())
        elif name == b"x-amz-date":
            amz_date = amz_date or value.decode("latin-1").strip()
        elif name == b"x-amz-content-sha256":
            payload_hash = payload_hash or value.decode("latin-1").strip()
        elif name == b"x-amz-security-token":
            token = token or value.decode("latin-1").strip()
        elif name == b"date":
            date = value.decode("latin-1").strip()
    query = _signing_parameters(head.raw_query)
    if not any(authorization):
        return _from_query(query, payload_hash) if query else None
    if query:
        raise TooManyAuthentications
    if len(authorization) > 1:
        raise MalformedAuthorization("Only one Authorization header is allowed.")
    fields = _header_fields(authorization[0])
    missing = tuple(name for name in _HEADER_FIELDS if not fields.get(name))
    if not (amz_date or date):
        missing += ("X-Amz-Date",)
    if missing:
        raise IncompleteSignature(missing, presigned=False)
    timestamp, amz_date = _basic_time(amz_date) if amz_date else _date_header(date or "")
    key_id, day, region, service = _credential(fields["Credential"], amz_date)
    return Signed(
        access_key_id=key_id,
        date=day,
        region=region,
        service=service,
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        timestamp=timestamp,
        amz_date=amz_date,
        expires=None,
        presigned=False,
        payload_hash=payload_hash,
        session_token=token,
    )


def _signing_parameters(raw_query: bytes) -> dict[str, str]:
    """The query's parameters if it is signed, else none.

    A query that spells these names in percent-encoding is not looked at: such a request is not presigned, which gives
    it fewer rights, not more.
    """
    if b"X-Amz-" not in raw_query and b"Signature" not in raw_query:
        return {}
    fields: dict[str, str] = {}
    doubled = []
    for name, value in query_pairs(raw_query):
        text = name.decode("latin-1")
        if text in fields:
            doubled.append(text)
        fields[text] = value.decode("latin-1")
    if "AWSAccessKeyId" in fields and "Signature" in fields:
        raise UnsupportedAlgorithm("AWS")
    if not ("X-Amz-Algorithm" in fields or "X-Amz-Credential" in fields or "X-Amz-Signature" in fields):
        return {}
    for text in doubled:
        if text in _QUERY_FIELDS or text in ("X-Amz-Security-Token", "X-Amz-Content-Sha256"):
            raise MalformedAuthorization(f"{text} is given more than once.")
    return fields


def _from_query(fields: dict[str, str], header_hash: str | None) -> Signed:
    algorithm = fields.get("X-Amz-Algorithm", ALGORITHM)
    if algorithm != ALGORITHM:
        raise UnsupportedAlgorithm(algorithm)
    missing = tuple(name for name in _QUERY_FIELDS if not fields.get(name))
    if missing:
        raise IncompleteSignature(missing, presigned=True)
    timestamp, amz_date = _basic_time(fields["X-Amz-Date"])
    key_id, day, region, service = _credential(fields["X-Amz-Credential"], amz_date)
    return Signed(
        access_key_id=key_id,
        date=day,
        region=region,
        service=service,
        signed_headers=tuple(fields["X-Amz-SignedHeaders"].split(";")),
        signature=fields["X-Amz-Signature"],
        timestamp=timestamp,
        amz_date=amz_date,
        expires=_expires(fields["X-Amz-Expires"]),
        presigned=True,
        payload_hash=fields.get("X-Amz-Content-Sha256") or header_hash,
        session_token=fields.get("X-Amz-Security-Token"),
    )


def _header_fields(text: str) -> dict[str, str]:
    """The fields of an Authorization header."""
    algorithm, _, rest = text.partition(" ")
    if algorithm != ALGORITHM:
        raise UnsupportedAlgorithm(algorithm)
    fields: dict[str, str] = {}
    for item in rest.split(","):
        name, equals, value = item.strip().partition("=")
        if not equals or name in fields:
            raise MalformedAuthorization("The authorization header is malformed; its fields must be key=value pairs.")
        fields[name] = value
    return fields


def _credential(text: str, amz_date: str) -> Sequence[str]:
    """Access key id, day, region and service."""
    parts = text.split("/")
    if len(parts) != 5 or not all(parts):
        raise MalformedAuthorization(
            'The Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    if parts[4] != TERMINATOR:
        raise MalformedAuthorization(f'Credential should end with "{TERMINATOR}".')
    if parts[1] != amz_date[:8]:
        raise MalformedAuthorization(
            f'Invalid credential date "{parts[1]}". This date is not the same as X-Amz-Date: "{amz_date[:8]}".'
        )
    if not _REGION.fullmatch(parts[2]):  # it becomes part of ARNs
        raise MalformedAuthorization(f"the region '{parts[2]}' is wrong")
    return parts[:4]


def _basic_time(text: str) -> tuple[float, str]:
    """Seconds since the epoch of `YYYYMMDDTHHMMSSZ`, and that text."""
    try:
        if _BASIC_TIME.fullmatch(text):
            return datetime.fromisoformat(text).timestamp(), text
    except ValueError:
        pass
    raise MalformedAuthorization("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")


def _date_header(text: str) -> tuple[float, str]:
    """The same of a Date header, which may also be an HTTP or a mail date; `-0000` is UTC (RFC 5322, section 3.3)."""
    if _BASIC_TIME.fullmatch(text):
        return _basic_time(text)
    try:
        at = parsedate_to_datetime(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise MalformedAuthorization("The Date header is no date.") from error
    return at.timestamp(), at.strftime("%Y%m%dT%H%M%SZ")


def _expires(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise MalformedAuthorization("X-Amz-Expires should be a number")
    seconds = int(text)
    if seconds < 1:
        raise MalformedAuthorization("X-Amz-Expires must be positive")
    if seconds > MAX_EXPIRES:
        raise MalformedAuthorization(f"X-Amz-Expires must be less than a week (in seconds); that is, {MAX_EXPIRES}")
    return seconds
