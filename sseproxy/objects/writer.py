"""Plaintext in, stored bytes out: one pass over a body that digests it, seals it and hands it to the store.

Small bodies are sealed on the event loop. Large ones are gathered into blocks of `_BLOCK` bytes, digested and sealed on
a worker thread while the next block arrives; no more than two blocks are held at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.footer import Footer, PartEntry, Tag, tail
from sseproxy.cipher.stream import ObjectSealer
from sseproxy.s3.checksums import Algorithm
from sseproxy.s3.operation import Digests
from sseproxy.s3.services import Services
from sseproxy.store.contract import Stage

_BLOCK = 1_048_576
_OFF_LOOP = 262_144
SALT = 16
FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
_TYPES = {FULL_OBJECT: b"F", COMPOSITE: b"C"}
_TYPE_NAMES = {value: name for name, value in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class Checksum:
    """An object's checksum: raw digest bytes, and whether it is over the whole object or over the parts' checksums."""

    algorithm: Algorithm
    digest: bytes
    type: str = FULL_OBJECT


Update = Callable[[bytes | bytearray | memoryview], None]


async def pour(
    services: Services, blocks: AsyncIterator[bytes | bytearray], update: Update, sealer: ObjectSealer, stage: Stage
) -> None:
    """Move a whole body to the stage, all but its last segment. Whatever the body or the store raises goes through."""
    loop = asyncio.get_running_loop()

    def work(pieces: list[bytes | bytearray]) -> bytearray:
        block = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        update(block)
        return sealer.update(block)

    gathered: list[bytes | bytearray] = []
    size = 0
    sealing: asyncio.Future[bytearray] | None = None
    try:
        async for block in blocks:
            gathered.append(block)
            size += len(block)
            if size >= _BLOCK:
                if sealing is not None:
                    await stage.write(await sealing)
                sealing = loop.run_in_executor(services.workers, work, gathered)
                gathered, size = [], 0
        if sealing is not None:
            await stage.write(await sealing)
            sealing = None
    finally:
        if sealing is not None:  # the body failed: let the thread finish before its buffers go
            await asyncio.wait([sealing])
    if gathered:
        late = loop.run_in_executor(services.workers, work, gathered) if size >= _OFF_LOOP else None
        sealed = work(gathered) if late is None else await late
        if sealed:
            await stage.write(sealed)


def single_tail(
    oek: ObjectKey, *, size: int, part_salt: bytes, footer_salt: bytes, md5: bytes | None, checksum: Checksum | None
) -> bytes:
    """What follows the body of an object that was put whole."""
    entry = PartEntry(number=0, length=size, salt=part_salt)
    footer = Footer(multipart=False, size=size, parts=(entry,), tlv=checksum_tlv(md5, checksum))
    return tail(footer, oek, footer_salt)


def checksum_tlv(md5: bytes | None, checksum: Checksum | None) -> dict[int, bytes]:
    """The footer's record of an object's checksums."""
    found: dict[int, bytes] = {}
    if md5 is not None:
        found[Tag.MD5] = md5
    if checksum is not None:
        found[Tag[checksum.algorithm.name]] = checksum.digest
        found[Tag.CHECKSUM_TYPE] = _TYPES[checksum.type]
    return found


def footer_checksum(footer: Footer) -> Checksum | None:
    """The object's checksum, from its footer. An MD5 without a type beside it is the ETag's alone."""
    kind = footer.tlv.get(Tag.CHECKSUM_TYPE)
    if kind is None:
        return None
    for algorithm in (*(one for one in Algorithm if one is not Algorithm.MD5), Algorithm.MD5):
        digest = footer.tlv.get(Tag[algorithm.name])
        if digest is not None:
            return Checksum(algorithm, digest, _TYPE_NAMES[kind])
    return None


def sent_checksum(digests: Digests, default: Algorithm) -> Checksum | None:
    """The checksum to keep with a body: the one that the client sent, or else ours."""
    sent = next((one for one in digests.checksums if one is not default), default)
    digest = digests.checksums.get(sent)
    return None if digest is None else Checksum(sent, digest)
