"""Names at the backend: ours, one to one. A key that a server would fold into another name is refused, never renamed.

Which shapes a server folds or refuses is asked of it (`probing.py`) and kept as a set of `KeyShape`.
"""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from sseproxy.store.contract import Unsupported

MAX_SEGMENT: Final = 255
"""UTF-8 bytes of a segment that every file system takes."""
_UNRESERVED = "-._~"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class KeyShape(StrEnum):
    """What some servers cannot keep in a key."""

    EMPTY_SEGMENT = "an empty segment"
    DOT_SEGMENT = "a segment of dots"
    TRAILING_SLASH = "a slash at the end"
    BACKSLASH = "a backslash"
    CONTROL = "a control character"
    LONG_SEGMENT = "a segment of over 255 bytes"


def shapes(key: str) -> set[KeyShape]:
    """Every shape that a key has. A leading slash makes an empty segment."""
    found: set[KeyShape] = set()
    body = key.removesuffix("/")
    if key.endswith("/"):
        found.add(KeyShape.TRAILING_SLASH)
    if "//" in key or key.startswith("/"):
        found.add(KeyShape.EMPTY_SEGMENT)
    segments = body.split("/")
    if "." in segments or ".." in segments:
        found.add(KeyShape.DOT_SEGMENT)
    if "\\" in key:
        found.add(KeyShape.BACKSLASH)
    if _CONTROL.search(key):
        found.add(KeyShape.CONTROL)
    if len(key) * 4 > MAX_SEGMENT and any(len(one.encode()) > MAX_SEGMENT for one in segments):
        found.add(KeyShape.LONG_SEGMENT)
    return found


def check_key(key: str, refused: Collection[KeyShape]) -> None:
    """Unsupported if the backend would not keep this key as it is."""
    if refused:
        for shape in shapes(key):
            if shape in refused:
                raise Unsupported(f"the backend keeps no key with {shape}")


def path_of(bucket: str, key: str = "") -> str:
    """The raw path of a bucket or an object, in the one encoding that SigV4 has for it; no dots are resolved."""
    return f"/{bucket}/{quote(key, safe=_UNRESERVED + '/')}" if key else f"/{bucket}"


def query_of(pairs: Collection[tuple[str, str]]) -> str:
    """A raw query in canonical form: encoded, and sorted by encoded name."""
    return "&".join(
        sorted(f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}" for name, value in pairs)
    )
