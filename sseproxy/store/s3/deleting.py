"""Objects deleted: one alone by its name, many by documents of at most 1,000 keys."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Final

from sseproxy.store.contract import StoreFailure

from .client import Client, Request
from .documents import deletion, fits_xml, read_document
from .errors import code_of, refusal

_AT_ONCE: Final = 1000


async def delete(client: Client, bucket: str, keys: Sequence[str]) -> None:
    """Absent keys count as deleted. A key that XML cannot name is deleted by its own request. StoreError."""
    named = [key for key in keys if fits_xml(key)]
    alone = [key for key in keys if not fits_xml(key)]
    if len(named) == 1:
        alone, named = alone + named, []
    for start in range(0, len(named), _AT_ONCE):
        await _many(client, bucket, named[start : start + _AT_ONCE])
    for key in alone:
        await _one(client, bucket, key)


async def _one(client: Client, bucket: str, key: str) -> None:
    answer = await client.ask(Request("DELETE", bucket, key), again=True)
    if not answer.ok and code_of(answer) != "NoSuchKey":
        raise refusal(answer, "DeleteObject")


async def _many(client: Client, bucket: str, keys: Sequence[str]) -> None:
    body = deletion(keys)
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    request = Request("POST", bucket, query=(("delete", ""),), headers={"content-md5": md5}, body=body)
    answer = await client.expect(request, again=True)
    failed = [error.text("Code") for error in read_document(answer.body).children("Error")]
    if any(code != "NoSuchKey" for code in failed):
        raise StoreFailure(f"the backend did not delete {len(failed)} of {len(keys)} objects: {failed[0]}")
