"""Write the golden vectors of the stored format: `python tests/vectors/format/make.py` from the root of the repository.

Randomness is SHAKE-256 of a label, so the files come out the same each time: a change in them is a change of the
format. A vector holds everything a reader needs, what it must read, and twins: one edit each, and the error it must
give. Bodies of more than 4 KiB are given by their digest and are made again from the vector's own inputs.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.envelope import Kind, seal_envelope
from sseproxy.cipher.footer import Footer, PartEntry, Tag, tail
from sseproxy.cipher.geometry import MIN_PART, SEALED_SEGMENT, SEGMENT, sealed_size
from sseproxy.cipher.stream import ObjectSealer

FOLDER = Path(__file__).parent
INLINE = 4096


def fixed(label: str, length: int) -> bytes:
    """Randomness of the vectors, and their plaintext."""
    return hashlib.shake_256(f"ssep vectors: {label}".encode()).digest(length)


def stored_object(vector: dict[str, Any]) -> bytes:
    """The stored bytes that the vector's inputs make."""
    oek = ObjectKey(bytes.fromhex(vector["oek"]))
    out = bytearray()
    entries = []
    for part in vector["parts"]:
        text = fixed(part["text"], part["length"])
        salt = bytes.fromhex(part["salt"])
        sealer = ObjectSealer(oek, part["number"], salt)
        out += sealer.update(text) + sealer.finish()
        entries.append(PartEntry(part["number"], len(text), salt, hashlib.sha256(text).digest()))
    size = sum(part["length"] for part in vector["parts"])
    tlv: dict[int, bytes] = {Tag.SHA256: bytes.fromhex(vector["sha256"]), Tag.CHECKSUM_TYPE: b"F"}
    footer = Footer(vector["multipart"], size, tuple(entries), tlv)
    return bytes(out + tail(footer, oek, bytes.fromhex(vector["footer_salt"])))


def make(
    name: str, sse: Kind, parts: list[tuple[int, int]], twins: list[dict[str, Any]], context: str | None
) -> dict[str, Any]:
    """One vector; `parts` are (number, plaintext length)."""
    text = b"".join(fixed(f"{name} text {number}", length) for number, length in parts)
    multipart = parts[0][0] != 0
    brought = sse is Kind.SSE_C
    vector: dict[str, Any] = {
        "name": name,
        "data_key": fixed(f"{name} dk", 32).hex(),
        "oek": fixed(f"{name} oek", 32).hex(),
        "seal_salt": fixed(f"{name} seal salt", 32).hex(),
        "footer_salt": fixed(f"{name} footer salt", 16).hex(),
        "multipart": multipart,
        "parts": [
            {"number": n, "length": p, "text": f"{name} text {n}", "salt": fixed(f"{name} salt {n}", 16).hex()}
            for n, p in parts
        ],
        "sha256": hashlib.sha256(text).hexdigest(),
        "arn": f"arn:aws:s3:::vectors/{name}.bin",
        "system": [["content-type", "application/octet-stream"], ["cache-control", "max-age=60"]],
        "user": [["colour", "blue"], ["empty", ""]],
    }
    envelope = seal_envelope(
        dk=Secret(bytes.fromhex(vector["data_key"])),
        oek=ObjectKey(bytes.fromhex(vector["oek"])),
        sse=sse,
        multipart=multipart,
        bucket_key=sse is Kind.SSE_S3,
        oid=fixed(f"{name} oid", 16),
        size=None if multipart else len(text),
        context=context,
        wrapped_key=None if brought else fixed(f"{name} wrapped", 138),
        key_arn="arn:aws:kms:us-east-1:111122223333:key/5b0c1b9e-0d1f-4c0e-9b7e-2f8f4a1d6c11"
        if sse is Kind.KMS
        else None,
        object_arn=vector["arn"],
        system=[(key, value) for key, value in vector["system"]],
        user=[(key, value) for key, value in vector["user"]],
        seal_salt=bytes.fromhex(vector["seal_salt"]),
    )
    vector["envelope"] = envelope.encode()
    stored = stored_object(vector)
    vector["stored_size"] = len(stored)
    vector["stored_sha256"] = hashlib.sha256(stored).hexdigest()
    if len(stored) <= INLINE:
        vector["stored"] = base64.b64encode(stored).decode()
    vector["twins"] = [*HEADER_TWINS, *twins]
    return vector


def flip(what: str, at: int, error: str, *, of: str = "stored") -> dict[str, Any]:
    """A twin with the lowest bit of byte `at` flipped, in the stored bytes or in the envelope's."""
    return {"what": what, "edit": {"do": "flip", "of": of, "at": at}, "error": error}


def edit(what: str, error: str, **change: object) -> dict[str, Any]:
    """A twin with any other edit."""
    return {"what": what, "edit": change, "error": error}


HEADER_TWINS = [
    flip("version", 0, "BadEnvelope", of="envelope"),
    flip("suite", 1, "BadEnvelope", of="envelope"),
    flip("multipart flag", 3, "WrongKey", of="envelope"),
    flip("object id", 4, "WrongKey", of="envelope"),
    flip("mac", -1, "MacMismatch", of="envelope"),
    edit("envelope cut short", "BadEnvelope", do="cut", of="envelope", length=1),
    edit("envelope with a byte more", "BadEnvelope", do="append", of="envelope", hex="00"),
    edit("another object's place", "WrongKey", do="set", of="arn", value="arn:aws:s3:::vectors/other.bin"),
    edit("another data key", "WrongKey", do="set", of="data_key", value="00" * 32),
    edit("content type edited", "MacMismatch", do="set", of="system", value=[["content-type", "text/html"]]),
    edit("metadata edited", "MacMismatch", do="set", of="user", value=[["colour", "red"], ["empty", ""]]),
    edit("metadata dropped", "MacMismatch", do="set", of="user", value=[]),
    edit("stored bytes appended", "BadFooter", do="append", of="stored", hex="00" * 31),
    edit("one stored byte cut, and the tail with it", "BadFooter", do="cut", of="stored", length=1),
    flip("tail magic", -16, "BadFooter"),
    flip("footer tag", -17, "BadFooter"),
    flip("first salt", 0, "BadSegment"),
]


def swap(what: str, first: int, second: int, length: int) -> dict[str, Any]:
    """A twin with two runs of stored bytes exchanged."""
    return edit(what, "BadSegment", do="swap", of="stored", first=first, second=second, length=length)


def main() -> None:
    """Write every file."""
    part = sealed_size(MIN_PART)
    vectors = [
        make("empty", Kind.KMS, [(0, 0)], [flip("the empty segment's tag", 16, "BadSegment")], None),
        make("one-byte", Kind.SSE_S3, [(0, 1)], [flip("the byte", 16, "BadSegment")], None),
        make("small", Kind.KMS, [(0, 1024)], [flip("last tag byte", 1055, "BadSegment")], '{"team":"blue"}'),
        make("customer-key", Kind.SSE_C, [(0, 100)], [flip("the middle", 60, "BadSegment")], None),
        make(
            "three-segments",
            Kind.KMS,
            [(0, 2 * SEGMENT + 1)],
            [
                swap("segments swapped", 0, SEALED_SEGMENT, SEALED_SEGMENT),
                edit("a segment repeated", "BadSegment", do="copy", of="stored", first=0, second=65_568, length=65_568),
                edit("a segment dropped", "BadLayout", do="remove", of="stored", first=0, length=SEALED_SEGMENT),
                flip("the final segment", 2 * SEALED_SEGMENT + 16, "BadSegment"),
            ],
            None,
        ),
        make(
            "three-parts",
            Kind.KMS,
            [(1, MIN_PART), (2, MIN_PART), (5, 3)],
            [
                swap("parts swapped", 0, part, part),
                edit("the last part dropped", "BadLayout", do="remove", of="stored", first=2 * part, length=35),
                flip("the last part's text", 2 * part + 16, "BadSegment"),
            ],
            None,
        ),
    ]
    for vector in vectors:
        (FOLDER / f"{vector['name']}.json").write_text(json.dumps(vector, indent=1) + "\n")


if __name__ == "__main__":
    main()
