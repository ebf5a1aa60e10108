"""`x-amz-copy-source`: `bucket/key`, percent-encoded, with a slash before it or not, `?versionId=` behind it or not."""

from dataclasses import dataclass

from sseproxy.s3.errors import InvalidArgument
from sseproxy.s3.names import Target, check_key, decode

_VERSION = b"?versionId="


@dataclass(frozen=True, slots=True)
class CopySource:
    """What a copy reads."""

    target: Target
    version: str | None = None


def read_copy_source(header: str) -> CopySource:
    """The source named by the header. InvalidArgument if it names no object."""
    raw = header.encode("latin-1", "replace").removeprefix(b"/")
    path, mark, version = raw.partition(_VERSION)
    bucket, _, key = path.partition(b"/")
    if not bucket or not key:
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=header,
        )
    return CopySource(Target(decode(bucket), check_key(decode(key))), decode(version) if mark else None)
