"""What lies beside a body, as headers of the backend, and back: both directions in one file, so that they fit.

The envelope is `x-amz-meta-ssep`, user metadata are `x-amz-meta-*`, system headers go natively. What comes back must be
what was sent, or the object does not verify. Some servers drop a metadata header whose value is empty, so an empty
value goes as an empty encoded word (RFC 2047), and a value that looks like one gets another `=` behind it. Some take
`application/octet-stream` for "unknown", and make a type of the key's ending: it goes with a parameter of ours.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from sseproxy.store.contract import StoredHeaders, StoreFailure, Unsupported

META: Final = "x-amz-meta-"
ENVELOPE: Final = META + "ssep"
REDIRECT: Final = "x-amz-website-redirect-location"
SYSTEM: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    REDIRECT,
)
_TYPE = "content-type"
_KEPT = "; ssep=1"
_UNKNOWN = re.compile(rf"application/octet-stream(?:{_KEPT})*")
_EMPTY = "=?UTF-8?B??="
_LOOKS_EMPTY = re.compile(r"=\?UTF-8\?B\?\?=+")


def to_backend(headers: StoredHeaders, *, keeps_redirect: bool) -> dict[str, str]:
    """The headers to send with a new object. Unsupported for a redirect that the backend would drop."""
    sent = dict(headers.system)
    if _UNKNOWN.fullmatch(sent.get(_TYPE, "")):
        sent[_TYPE] += _KEPT
    if not keeps_redirect and REDIRECT in sent:
        raise Unsupported(f"the backend does not keep {REDIRECT}")
    for name, value in headers.user:
        sent[META + name] = _filled(value)
    sent[ENVELOPE] = headers.envelope
    return sent


def from_backend(headers: Mapping[str, str]) -> StoredHeaders:
    """What lies with an object. One that is not ours has an empty envelope, which nothing opens."""
    system = []
    for name in SYSTEM:
        value = headers.get(name)
        if value is not None:
            plain = value.removesuffix(_KEPT) if name == _TYPE else value
            system.append((name, plain if _UNKNOWN.fullmatch(plain) else value))
    user = sorted(
        (name.removeprefix(META), _emptied(value))
        for name, value in headers.items()
        if name.startswith(META) and name != ENVELOPE
    )
    return StoredHeaders(headers.get(ENVELOPE, ""), tuple(system), tuple(user))


def http_time(headers: Mapping[str, str], name: str) -> float:
    """Seconds since the epoch of a header with a time. StoreFailure if there is none."""
    try:
        return parsedate_to_datetime(headers[name]).timestamp()
    except (KeyError, ValueError) as problem:
        raise StoreFailure(f"the backend's answer has no {name}") from problem


def _filled(value: str) -> str:
    if value == "":
        return _EMPTY
    return value + "=" if _LOOKS_EMPTY.fullmatch(value) else value


def _emptied(value: str) -> str:
    if not _LOOKS_EMPTY.fullmatch(value):
        return value
    return "" if value == _EMPTY else value[:-1]
