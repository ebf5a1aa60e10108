"""The canonical form of a request: the text that SigV4 hashes and signs.

Source: IAM User Guide, "Create a signed AWS API request", and S3 API Reference, "Signature Calculations for the
Authorization Header". All of it is bytes, since a path or a header value need not be text.

Two raw requests may have one canonical form (`%7e` and `~`, `+` and `%20` in a query). That is safe only because what
is executed is decoded by the same rules: percent-decoding once, and `+` for a space in the query alone.
"""

from collections.abc import Iterable
from urllib.parse import quote_from_bytes, unquote_to_bytes

from kms_core.identity.http import HttpHead

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_UNRESERVED_AND_SLASH = _UNRESERVED + b"/"
_EXTRA_SAFE_IN_PATH = "/"
_SIGNATURE_PARAMETER = b"X-Amz-Signature"


def query_pairs(raw_query: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of a raw query, decoded, in their order. `name` alone is `name=`; empty pairs are dropped."""
    if b"+" in raw_query:
        raw_query = raw_query.replace(b"+", b" ")
    pairs = []
    for pair in raw_query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)) if b"%" in pair else (name, value))
    return pairs


def _encoded(text: bytes, literal: bytes, extra_safe: str) -> bytes:
    """RFC 3986 percent-encoding with upper-case hex digits; what needs none is passed through."""
    return text if not text.translate(None, literal) else quote_from_bytes(text, safe=extra_safe).encode("ascii")


def canonical_query(raw_query: bytes, *, presigned: bool) -> bytes:
    """The query, decoded and encoded again, sorted by encoded name, then by encoded value.

    Of a presigned request the signature itself is left out; in any other it is a parameter like all the rest.
    """
    if not raw_query:
        return b""
    pairs = [
        (_encoded(name, _UNRESERVED, ""), _encoded(value, _UNRESERVED, ""))
        for name, value in query_pairs(raw_query)
        if not (presigned and name == _SIGNATURE_PARAMETER)
    ]
    pairs.sort()
    return b"&".join([b"%b=%b" % pair for pair in pairs])


def canonical_path(raw_path: bytes, *, normalise: bool) -> bytes:
    """The path: for S3 decoded once and encoded once, with every slash and dot kept, since a key may have them.

    With `normalise`, what all other services do: empty and dot segments removed (RFC 3986, section 5.2.4), and the path
    as it was sent encoded once more.
    """
    if not raw_path:
        return b"/"
    if not normalise:
        decoded = unquote_to_bytes(raw_path) if b"%" in raw_path else raw_path
        return _encoded(decoded, _UNRESERVED_AND_SLASH, _EXTRA_SAFE_IN_PATH)
    kept: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    closing = b"/" if kept and raw_path.endswith(b"/") else b""
    return _encoded(b"/" + b"/".join(kept) + closing, _UNRESERVED_AND_SLASH, _EXTRA_SAFE_IN_PATH)


def canonical_headers(headers: Iterable[tuple[bytes, bytes]], signed: tuple[bytes, ...]) -> bytes:
    """One `name:value` line for each signed header that is there, runs of white space made one space.

    Values of a repeated header are joined with commas, so a doubled header changes its line. An absent header has no
    line, not an empty one: a header signed as empty can't be taken out unnoticed, since the number of lines is signed
    with the list of names.
    """
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in signed:
            trimmed = b" ".join(value.split())
            values[name] = trimmed if name not in values else values[name] + b"," + trimmed
    return b"".join([b"%b:%b\n" % (name, values[name]) for name in signed if name in values])


def canonical_request(
    head: HttpHead, signed: tuple[bytes, ...], payload_hash: str, *, normalise_path: bool, presigned: bool
) -> bytes:
    """The whole canonical request. `signed` are the signed headers' names in the order in which they were listed."""
    return b"%b\n%b\n%b\n%b\n%b\n%b" % (
        head.method.encode("latin-1"),
        canonical_path(head.raw_path, normalise=normalise_path),
        canonical_query(head.raw_query, presigned=presigned),
        canonical_headers(head.headers, signed),
        b";".join(signed),
        payload_hash.encode("latin-1"),
    )
