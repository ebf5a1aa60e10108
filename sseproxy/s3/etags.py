"""ETags. The one place that knows what they look like, going out and coming in.

A store that keeps our ETags gets the plaintext's MD5 for SSE-S3, as AWS does, and `MD5(part MD5s)-N` for a multipart
object; everything else gets random digits with a dash behind, since no ETag may look like an MD5 that is not the
plaintext's (clients compare). Quotes belong to the wire: `quote` puts them on, `bare` takes them off.
"""

import hashlib
from collections.abc import Callable, Sequence

_RANDOM_BYTES = 16


def plaintext_etag(md5: bytes) -> str:
    """The ETag of a body whose MD5 may show."""
    return md5.hex()


def opaque_etag(random: Callable[[int], bytes], parts: int = 1) -> str:
    """An ETag that says nothing of the plaintext."""
    return f"{random(_RANDOM_BYTES).hex()}-{parts}"


def multipart_etag(parts: Sequence[bytes]) -> str:
    """The ETag of a multipart object, from its parts' MD5s."""
    return f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def quote(etag: str) -> str:
    """As headers and XML show it."""
    return f'"{etag}"'


def bare(text: str) -> str:
    """As stores keep it."""
    return text.strip().removeprefix("W/").strip('"')
