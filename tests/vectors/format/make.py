"""Write the golden vectors of the stored format: `python tests/vectors/format/make.py` from the root of the repository.

Randomness is SHAKE-256 of a label, so the files come out the same each time: a change in them is a change of the
format. A vector holds everything a reader needs, what it must read, and twins: one edit each, and the error it must
give. Bodies of more than 4 KiB are given by their digest and are made again from the vector's own inputs.

A vector with `kms` has a wrapped key that opens: under that material, with the context that FORMAT.md tells. Its twins
may have two errors: `error` for a reader that was given the data key (null: the edit is outside of what the envelope
authenticates, and the object still reads), `kms_error` for one that opens the wrapped key first.
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from kms_core.crypto.blob import seal_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.envelope import Kind, seal_envelope
from sseproxy.cipher.footer import Footer, PartEntry, Tag, tail
from sseproxy.cipher.geometry import MIN_PART, SEALED_SEGMENT, SEGMENT, sealed_size
from sseproxy.cipher.stream import ObjectSealer

FOLDER = Path(__file__).parent
INLINE = 4096
KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/"
KEY_ID = "0f6c2a5e-6c0b-4c57-9a1f-3f1f6f7f2f10"
MULTI_REGION = "mrk-0f6c2a5e6c0b4c579a1f3f1f6f7f2f11"
PLAIN = {
    "system": [["content-type", "application/octet-stream"], ["cache-control", "max-age=60"]],
    "user": [["colour", "blue"], ["empty", ""]],
}
EVERY_HEADER = {
    "system": [
        ["content-type", "text/plain; charset=utf-8"],
        ["content-encoding", "gzip"],
        ["content-language", "de, fr"],
        ["content-disposition", 'attachment; filename="a.txt"'],
        ["cache-control", "no-store"],
        ["expires", "Thu, 01 Dec 2044 16:00:00 GMT"],
        ["x-amz-website-redirect-location", "/elsewhere"],
    ],
    "user": [
        ["b", "second"],
        ["a-b", "="],
        ["a", "=?UTF-8?B?w7wg4oKs?="],
        ["a1", ""],
        ["looks-filled", "=?UTF-8?B??="],
    ],
}


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
    name: str,
    sse: Kind,
    parts: list[tuple[int, int]],
    twins: list[dict[str, Any]],
    context: str | None,
    *,
    key: str | None = None,
    headers: dict[str, Any] = PLAIN,
    bucket_key: bool = False,
    key_id: str | None = None,
) -> dict[str, Any]:
    """One vector; `parts` are (number, plaintext length). With a `key_id` the wrapped key is one that opens."""
    text = b"".join(fixed(f"{name} text {number}", length) for number, length in parts)
    multipart = parts[0][0] != 0
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
        "arn": f"arn:aws:s3:::vectors/{key or name + '.bin'}",
        **headers,
    }
    wrapped, key_arn = fixed(f"{name} wrapped", 138), KEY_ARN + "5b0c1b9e-0d1f-4c0e-9b7e-2f8f4a1d6c11"
    if key_id is not None:
        vector["kms"] = {"key_id": key_id, "material": fixed(f"{key_id} material", 32).hex()}
        place = "arn:aws:s3:::vectors" if sse is Kind.SSE_S3 or bucket_key else vector["arn"]
        wrapped, key_arn = wrap(vector, {**json.loads(context or "{}"), "aws:s3:arn": place}), KEY_ARN + key_id

    def envelope(said_multipart: bool, said_size: int | None) -> str:
        return seal_envelope(
            dk=Secret(bytes.fromhex(vector["data_key"])),
            oek=ObjectKey(bytes.fromhex(vector["oek"])),
            sse=sse,
            multipart=said_multipart,
            # the drafts' SSE-S3 vectors carry the flag, which the server does not set: both are read alike
            bucket_key=bucket_key or (sse is Kind.SSE_S3 and key_id is None),
            oid=fixed(f"{name} oid", 16),
            size=said_size,
            context=context,
            wrapped_key=None if sse is Kind.SSE_C else wrapped,
            key_arn=key_arn if sse is Kind.KMS or key_id is not None else None,
            object_arn=vector["arn"],
            system=[(key, value) for key, value in vector["system"]],
            user=[(key, value) for key, value in vector["user"]],
            seal_salt=bytes.fromhex(vector["seal_salt"]),
        ).encode()

    vector["envelope"] = envelope(multipart, None if multipart else len(text))
    stored = stored_object(vector)
    vector["stored_size"] = len(stored)
    vector["stored_sha256"] = hashlib.sha256(stored).hexdigest()
    if len(stored) <= INLINE:
        vector["stored"] = base64.b64encode(stored).decode()
    common = HEADER_TWINS if key_id is None else wrapped_twins(sse, context, bucket_key, multipart)
    vector["twins"] = [*common, *twins]
    if key_id is not None:  # whoever has the keys can contradict himself
        for what, lie in (("parts", envelope(not multipart, None)), ("size", envelope(multipart, len(text) + 1))):
            twin = edit(
                f"an envelope that says otherwise about {what}", "BadLayout", do="set", of="envelope", value=lie
            )
            vector["twins"].append(twin)
    return vector


def wrap(vector: dict[str, Any], context: dict[str, str]) -> bytes:
    """The key service's blob around the vector's data key."""
    key_id = vector["kms"]["key_id"]
    return seal_blob(
        key_id=key_id,
        material_id=fixed(f"{key_id} material id", 32).hex(),
        material=Secret(bytes.fromhex(vector["kms"]["material"])),
        context=canonical_context(context),
        plaintext=Secret(bytes.fromhex(vector["data_key"])),
        salt=fixed(f"{vector['name']} blob salt", 32),
    )


def tampered(vector: dict[str, Any], twin: dict[str, Any], stored: bytes) -> tuple[dict[str, Any], bytes]:
    """The vector and the stored bytes with a twin's one edit made."""
    change = twin["edit"]
    if change["do"] == "set":
        value = vector["kms"] | change["value"] if change["of"] == "kms" else change["value"]
        return vector | {change["of"]: value}, stored
    if change["of"] == "stored":
        return vector, edited(stored, change)
    text = vector["envelope"]
    raw = edited(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), change)
    return vector | {"envelope": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}, stored


def edited(data: bytes, change: dict[str, Any]) -> bytes:
    """Bytes with one edit made."""
    changed = bytearray(data)
    first = slice(change.get("first", 0), change.get("first", 0) + change.get("length", 0))
    match change["do"]:
        case "flip":
            changed[change["at"]] ^= change.get("mask", 1)
        case "cut":
            del changed[-change["length"] :]
        case "append":
            changed += bytes.fromhex(change["hex"])
        case "remove":
            del changed[first]
        case "zero":
            changed[first] = bytes(change["length"])
        case "replace":
            new = bytes.fromhex(change["hex"])
            changed[change["at"] : change["at"] + len(new)] = new
        case "swap" | "copy":
            second = slice(change["second"], change["second"] + change["length"])
            changed[second] = data[first]
            if change["do"] == "swap":
                changed[first] = data[second]
        case _:
            raise ValueError(change)
    return bytes(changed)


def flip(what: str, at: int, error: str | None, *, of: str = "stored") -> dict[str, Any]:
    """A twin with the lowest bit of byte `at` flipped, in the stored bytes or in the envelope's."""
    return {"what": what, "edit": {"do": "flip", "of": of, "at": at}, "error": error}


def edit(what: str, error: str | None, **change: object) -> dict[str, Any]:
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


def wrapped_twins(sse: Kind, context: str | None, bucket_key: bool, multipart: bool) -> list[dict[str, Any]]:
    """The twins of every object whose wrapped key opens."""
    begin = 28 + 2 + len((context or "").encode()) + 1 + 81 + 2
    refused = {"kms_error": "InvalidCiphertext"}
    whole_bucket = sse is Kind.SSE_S3 or bucket_key
    found = [twin for twin in HEADER_TWINS if twin["what"] not in ("metadata edited", "another object's place")]
    found += [
        edit("another object's place", "WrongKey", do="set", of="arn", value="arn:aws:s3:::vectors/other")
        | ({} if whole_bucket else refused),
        edit("another bucket", "WrongKey", do="set", of="arn", value="arn:aws:s3:::vector/s.bin") | refused,
        edit("bucket key flag", "WrongKey", do="flip", of="envelope", at=3, mask=2)
        | ({} if sse is Kind.SSE_S3 else refused),
        edit("reserved flag", "BadEnvelope", do="flip", of="envelope", at=3, mask=4),
        flip("kind of encryption", 2, "BadEnvelope", of="envelope"),
        flip("size", 27, "BadEnvelope" if multipart else "WrongKey", of="envelope"),
        flip("seal salt", begin - 2 - 80, "WrongKey", of="envelope"),
        flip("seal", begin - 3, "WrongKey", of="envelope"),
        edit("other key material", None, do="set", of="kms", value={"material": "00" * 32}) | refused,
        edit("metadata's value moved to its name", "MacMismatch", do="set", of="user", value=[["colourb", "lue"]]),
        edit("no system headers", "MacMismatch", do="set", of="system", value=[]),
        edit("a header twice", "BadEnvelope", do="set", of="system", value=[["expires", "0"], ["expires", "0"]]),
        edit("a header that the MAC leaves out", "BadEnvelope", do="set", of="system", value=[["x-other", "1"]]),
        edit("an empty header for an absent one", "MacMismatch", do="set", of="system", value=[["expires", ""]]),
        flip("key ARN, which is for show", begin + 138 + 2 + 25, None, of="envelope"),
    ]
    places = {"version": 0, "key's name": 5, "material's name": 20, "salt": 30, "ciphertext": 60, "commitment": 137}
    found += [flip(f"wrapped key: {what}", begin + at, None, of="envelope") | refused for what, at in places.items()]
    if context and "team" in context:
        found.append(flip("client context", 30 + context.index("e"), "MacMismatch", of="envelope") | refused)
    return found


def swap(what: str, first: int, second: int, length: int) -> dict[str, Any]:
    """A twin with two runs of stored bytes exchanged."""
    return edit(what, "BadSegment", do="swap", of="stored", first=first, second=second, length=length)


def drafts() -> list[dict[str, Any]]:
    """The objects of the draft, as they were: their wrapped keys are mere bytes."""
    part = sealed_size(MIN_PART)
    return [
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


def objects() -> list[dict[str, Any]]:
    """Objects with wrapped keys that open."""
    first = sealed_size(MIN_PART + 1)
    end = first + sealed_size(MIN_PART + SEGMENT - 1)
    long = '{"team":"gr\\u00fcn", "Zone": "\u00e9 1"}'
    attempt = bytes(ObjectSealer(ObjectKey(fixed("one-part oek", 32)), 10_000, fixed("another attempt", 16)).finish())
    return [
        make(
            "every-header",
            Kind.KMS,
            [(0, 77)],
            [],
            long,
            key="a b/\u00fc+%41?.txt",
            headers=EVERY_HEADER,
            key_id=KEY_ID,
        ),
        make("service-key", Kind.SSE_S3, [(0, 0)], [], None, key_id=KEY_ID),
        make("multi-region", Kind.KMS, [(0, 33)], [], "{}", key_id=MULTI_REGION),
        make(
            "one-segment",
            Kind.KMS,
            [(0, SEGMENT)],
            [
                flip("the last byte of the tag", SEALED_SEGMENT - 1, "BadSegment"),
                edit(
                    "the segment cut short, the end closed up", "BadLayout", do="remove", of="stored", first=9, length=1
                ),
            ],
            '{"team":"blue"}',
            bucket_key=True,
            key_id=KEY_ID,
        ),
        make(
            "segment-border",
            Kind.SSE_S3,
            [(0, SEGMENT + 1)],
            [
                edit(
                    "the last segment made of zeros",
                    "BadSegment",
                    do="zero",
                    of="stored",
                    first=SEALED_SEGMENT,
                    length=33,
                )
            ],
            None,
            key_id=KEY_ID,
        ),
        make(
            "two-segments",
            Kind.KMS,
            [(0, 2 * SEGMENT)],
            [swap("segments swapped", 0, SEALED_SEGMENT, SEALED_SEGMENT)],
            None,
            key_id=MULTI_REGION,
        ),
        make("five-mebibytes", Kind.SSE_S3, [(0, MIN_PART)], [], None, key_id=MULTI_REGION),
        make(
            "unaligned-parts",
            Kind.KMS,
            [(3, MIN_PART + 1), (4, MIN_PART + SEGMENT - 1), (9, 70_001)],
            [
                edit("the last part made of zeros", "BadSegment", do="zero", of="stored", first=end, length=70_065),
                edit(
                    "a part's last segment made of zeros",
                    "BadSegment",
                    do="zero",
                    of="stored",
                    first=first - 33,
                    length=33,
                ),
                edit("a byte of the pad left out", "BadLayout", do="remove", of="stored", first=end + 70_065, length=1),
                flip("the pad, which carries nothing", end + 70_065, None),
                swap("segments of two parts swapped", 0, first, SEALED_SEGMENT),
                flip("a salt within a part", SEALED_SEGMENT, "BadSegment"),
            ],
            '{"team":"blue"}',
            bucket_key=True,
            key_id=KEY_ID,
        ),
        make(
            "one-part",
            Kind.SSE_S3,
            [(10_000, 0)],
            [edit("an attempt that was superseded", "BadSegment", do="replace", of="stored", at=0, hex=attempt.hex())],
            None,
            key_id=KEY_ID,
        ),
        make("empty-last-part", Kind.KMS, [(1, MIN_PART), (2, 0)], [], None, key_id=KEY_ID),
    ]


def files() -> dict[str, str]:
    """Every file of the folder, by its name."""
    return {f"{vector['name']}.json": json.dumps(vector, indent=1) + "\n" for vector in (*drafts(), *objects())}


def main() -> None:
    """Write every file."""
    for name, text in files().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()
