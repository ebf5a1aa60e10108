"""Takes steps for `s3fs.S3FileSystem` as JSON on standard input, and tells what each gave; it runs in s3fs's own
virtual environment, so it imports nothing of ours."""

import hashlib
import json
import sys
from typing import Any

import s3fs

BLOCK = 5 * 1024 * 1024


def plain(value: Any) -> Any:
    """As JSON can tell it."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    return value if isinstance(value, int | str | None) else str(value)


def write_in_blocks(fs: Any, path: str, source: str) -> int:
    """A file object written in pieces of a megabyte, which s3fs sends as parts of 5 MiB."""
    written = 0
    with open(source, "rb") as read, fs.open(path, "wb", block_size=BLOCK) as out:  # noqa: PTH123 - as users do
        while piece := read.read(1 << 20):
            written += out.write(piece)
    return written


def read_at(fs: Any, path: str, at: int, length: int) -> bytes:
    """A file object read from a place on; a negative one counts from the end."""
    with fs.open(path, "rb", block_size=BLOCK) as opened:
        opened.seek(at, 2 if at < 0 else 0)
        data: bytes = opened.read(length)
    return data


def append(fs: Any, path: str, text: str) -> int:
    """A file object that goes on where the object ends."""
    with fs.open(path, "ab") as opened:
        written: int = opened.write(text.encode())
    return written


OWN = {"write_in_blocks": write_in_blocks, "read_at": read_at, "append": append}


def taken(fs: Any, step: list[Any]) -> Any:
    """One step."""
    name, *arguments = step
    named = arguments.pop() if arguments and isinstance(arguments[-1], dict) else {}
    try:
        if name in OWN:
            return plain(OWN[name](fs, *arguments, **named))
        return plain(getattr(fs, name)(*arguments, **named))
    except Exception as error:  # noqa: BLE001 - whatever it is, the test is told
        return {"error": type(error).__name__, "says": str(error)}


def main() -> None:
    """Address and credential come from the environment, as for any AWS tool."""
    fs = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    json.dump([taken(fs, step) for step in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
