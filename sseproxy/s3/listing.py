"""What the listings share: encoding, limits, owners, and continuation tokens."""

import base64
import binascii
import hashlib
from urllib.parse import quote

from sseproxy.s3 import xml
from sseproxy.s3.errors import InvalidArgument

MAX_KEYS = 1000
_SAFE = "-_./*~"


def check_encoding(encoding: str | None) -> str | None:
    """`url` or nothing. InvalidArgument."""
    if encoding not in (None, "url"):
        raise InvalidArgument(
            "Invalid Encoding Method specified in Request", ArgumentName="encoding-type", ArgumentValue=encoding or ""
        )
    return encoding


def encoded(text: str, encoding: str | None) -> str:
    """A key as the listing shows it. With `url`, a space is `+`, as S3 has it."""
    if encoding != "url":
        return text
    return quote(text, safe=_SAFE + " ").replace(" ", "+")


def limit(asked: int | None) -> int:
    """How many rows a page may have."""
    return MAX_KEYS if asked is None else min(asked, MAX_KEYS)


def canonical_id(account: str) -> str:
    """The 64 hex digits that stand for an account in S3's XML."""
    return hashlib.sha256(b"canonical-user\0" + account.encode()).hexdigest()


def owner(account: str, name: str = "Owner") -> str:
    """An owner element."""
    return xml.group(name, xml.element("ID", canonical_id(account)))


def to_token(key: str) -> str:
    """A continuation token; its content is ours alone."""
    return base64.urlsafe_b64encode(b"1" + key.encode()).decode()


def from_token(token: str) -> str:
    """The key that a token stands for. InvalidArgument."""
    try:
        raw = base64.urlsafe_b64decode(token.encode())
        if raw[:1] == b"1":
            return raw[1:].decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidArgument("The continuation token provided is incorrect", ArgumentName="continuation-token")
