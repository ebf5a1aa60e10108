"""Names: buckets, keys, and which of them a request means.

Bucket naming rules: Amazon S3 user guide, "General purpose bucket naming rules". A key is up to 1,024 bytes of UTF-8,
used as it was sent: `//`, `.` and `..` mean nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from kms_core import arn
from sseproxy.s3.errors import InvalidBucketName, InvalidURI, KeyTooLongError

MAX_KEY_BYTES = 1024
_BUCKET = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_ENDINGS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about: nothing, a bucket, or an object. Empty strings stand for absence."""

    bucket: str = ""
    key: str = ""

    @property
    def arn(self) -> str:
        """The ARN that policies name."""
        if self.key:
            return arn.object_arn(self.bucket, self.key)
        return arn.bucket_arn(self.bucket) if self.bucket else "*"


def is_bucket_name(name: str) -> bool:
    """Whether a bucket may be called that."""
    return (
        _BUCKET.fullmatch(name) is not None
        and ".." not in name
        and not _ADDRESS.fullmatch(name)
        and not name.endswith(_RESERVED_ENDINGS)
    )


def check_bucket_name(name: str) -> str:
    """The same name. InvalidBucketName."""
    if not is_bucket_name(name):
        raise InvalidBucketName(BucketName=name)
    return name


def check_key(key: str) -> str:
    """The same key. KeyTooLongError."""
    size = len(key.encode())
    if size > MAX_KEY_BYTES:
        raise KeyTooLongError(Size=str(size), MaxSizeAllowed=str(MAX_KEY_BYTES))
    return key


def decode(raw: bytes) -> str:
    """Percent-encoded UTF-8 as text. InvalidURI."""
    try:
        return unquote_to_bytes(raw).decode() if b"%" in raw else raw.decode()
    except UnicodeDecodeError as problem:
        raise InvalidURI from problem


def read_target(raw_path: bytes, host: str, base_domains: Sequence[str]) -> Target:
    """Path style, or virtual-host style where the host lies under a base domain. InvalidURI, KeyTooLongError."""
    name = host.rsplit(":", 1)[0].lower() if not host.endswith("]") else host
    for domain in base_domains:
        if name.endswith("." + domain):
            return Target(name[: -len(domain) - 1], check_key(decode(raw_path[1:])))
    bucket, _, key = raw_path[1:].partition(b"/")
    if not bucket and key:
        raise InvalidURI
    return Target(decode(bucket), check_key(decode(key)))
