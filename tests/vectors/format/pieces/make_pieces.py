"""Write the golden vectors of single pieces: `python tests/vectors/format/pieces/make_pieces.py` from the repository.

Segments, footers, envelopes and sizes, each alone, and what must be refused although its maker knew the keys: a footer
that opens and contradicts itself, an envelope with reserved or unknown values. As in `make.py` nothing is random.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import FOOTER_NUMBER, ObjectKey, part_key
from sseproxy.cipher.envelope import Kind, seal_envelope
from sseproxy.cipher.footer import Footer, PartEntry, Tag, seal_footer
from sseproxy.cipher.geometry import MIN_PART, SEGMENT, object_size
from sseproxy.cipher.stream import ObjectSealer

FOLDER = Path(__file__).parent
OEK = "6f" * 32
SALT = "a1" * 16
DATA_KEY = "d0" * 32
ARN = "arn:aws:s3:::pieces/object"


def fixed(label: str, length: int) -> bytes:
    """Randomness and plaintext of the vectors."""
    return hashlib.shake_256(f"ssep pieces: {label}".encode()).digest(length)


def segment(name: str, number: int, p: int, index: int) -> dict[str, Any]:
    """Segment `index` of a part of `p` plaintext bytes, sealed by FORMAT.md's text; twins are set beside it."""
    last = (index + 1) * SEGMENT >= p
    text = fixed(name, min(SEGMENT, p - index * SEGMENT))
    nonce = bytes((0, last, 0, 0)) + index.to_bytes(8, "big")
    salt = bytes.fromhex(SALT)
    sealed = salt + AESGCM(part_key(ObjectKey(bytes.fromhex(OEK)), number, salt).reveal()).encrypt(nonce, text, None)
    vector = {"name": name, "number": number, "p": p, "index": index, "text_sha256": hashlib.sha256(text).hexdigest()}
    sealed_text = sealed.hex() if len(sealed) <= 256 else None
    changes = [
        {"number": number ^ 1},
        {"salt": "a2" * 16},
        {"oek": "6e" * 32},
        {"p": p + 1 if last else (index + 1) * SEGMENT},
    ]
    changes += [
        {"index": index + 1, "p": p + SEGMENT} if p else {"flip": 1},
        {"flip": 0},
        {"flip": 15},
        {"flip": 16},
        {"flip": -1},
        {"cut": 1},
    ]
    twins = [{"set": change, "error": "BadSegment"} for change in changes]
    return {
        **vector,
        "oek": OEK,
        "salt": SALT,
        "sealed": sealed_text,
        "sealed_sha256": hashlib.sha256(sealed).hexdigest(),
        "twins": twins,
    }


def segments() -> list[dict[str, Any]]:
    """Each shape of a segment. Full ones are sealed again from their own fields: a digest stands for them."""
    return [
        segment("an empty part's only segment", 0, 0, 0),
        segment("one byte", 1, 1, 0),
        segment("one block of the cipher", 10_000, 16, 0),
        segment("a full segment that is the only one", 0, SEGMENT, 0),
        segment("a full segment that is not the last", 2, SEGMENT + 1, 0),
        segment("the last segment, of one byte", 2, SEGMENT + 1, 1),
        segment("the last segment of the largest object", 0, (1 << 48) - 1 - 65_436, (1 << 32) - 1),
    ]


def good_footers() -> Iterator[tuple[str, Footer]]:
    """Footers of every kind."""
    salts = [fixed(f"salt {n}", 16) for n in range(1000)]
    every = {
        tag: fixed(tag.name, size)
        for tag, size in zip(list(Tag)[:10], (16, 4, 4, 8, 20, 32, 64, 8, 8, 16), strict=True)
    }
    yield "of an empty object, without checksums", Footer(False, 0, (PartEntry(0, 0, salts[0]),), {})
    one = PartEntry(0, 9, salts[0], fixed("sum", 32))
    yield (
        "with a checksum of the whole",
        Footer(False, 9, (one,), {Tag.CRC64NVME: b"8 bytes.", Tag.CHECKSUM_TYPE: b"F"}),
    )
    full = {tag: value for tag, value in every.items() if tag not in (Tag.SHA1,)}
    yield "with all but one of the checksums", Footer(False, 9, (one,), {**full, Tag.CHECKSUM_TYPE: b"C"})
    later = Footer(False, 9, (one,), {Tag.MD5: every[Tag.MD5], 33: b"of a later day", 255: b""})
    yield "with tags that are not known yet", later
    parts = (PartEntry(2, MIN_PART, salts[2], fixed("sum 2", 4)), PartEntry(10_000, 0, salts[3]))
    yield "of two parts, the last one empty", Footer(True, MIN_PART, parts, {Tag.CHECKSUM_TYPE: b"C"})
    many = tuple(PartEntry(n + 1, MIN_PART + n, salts[n], fixed(f"sum {n}", 20)) for n in range(1000))
    yield "of a thousand parts, in two segments", Footer(True, sum(part.length for part in many), many, {})


def footer_text(kind: int, size: int, entries: list[tuple[int, int]], tlv: bytes = b"", **more: int) -> bytes:
    """A footer's plaintext as FORMAT.md has it, whether or not it makes sense."""
    count = more.get("count", len(entries))
    block = bytes((more.get("version", 1), kind)) + more.get("zeros", 0).to_bytes(2, "big") + count.to_bytes(4, "big")
    parts = [n.to_bytes(2, "big") + p.to_bytes(6, "big") + fixed(f"salt {n}", 16) + bytes(64) for n, p in entries]
    return block + size.to_bytes(8, "big") + tlv.ljust(240, b"\0") + b"".join(parts)


def bad_footers() -> Iterator[tuple[str, bytes]]:
    """Footers that open and must be refused: (what is wrong, plaintext)."""
    m = MIN_PART
    yield "version 2", footer_text(0, 5, [(0, 5)], version=2)
    yield "kind 2", footer_text(2, 5, [(0, 5)])
    yield "reserved bytes that are not zero", footer_text(0, 5, [(0, 5)], zeros=1)
    yield "a count that is not that of the entries", footer_text(0, 5, [(0, 5)], count=2)
    yield "one piece with a part number", footer_text(0, 5, [(1, 5)])
    yield "one piece in two entries", footer_text(0, m + 5, [(0, m), (1, 5)])
    yield "a part numbered 0", footer_text(1, 5, [(0, 5)])
    yield "a part numbered 10,001", footer_text(1, 5, [(10_001, 5)])
    yield "part numbers that fall", footer_text(1, m + 5, [(2, m), (1, 5)])
    yield "a part number twice", footer_text(1, m + 5, [(2, m), (2, 5)])
    yield "a first part that is too small", footer_text(1, m + 4, [(1, m - 1), (2, 5)])
    yield "lengths that add up to more", footer_text(1, m + 5, [(1, m), (2, 6)])
    yield "lengths that add up to less", footer_text(0, 6, [(0, 5)])
    yield "values: a tag twice", footer_text(0, 5, [(0, 5)], b"\1\1a\1\1b")
    yield "values: tags that fall", footer_text(0, 5, [(0, 5)], b"\2\1a\1\1b")
    yield "values: one that is longer than its room", footer_text(0, 5, [(0, 5)], b"\1\x80" + bytes(128) + b"\2\xff")
    yield "values: bytes after the last", footer_text(0, 5, [(0, 5)], b"\1\1a\0\0\1")


def footers() -> dict[str, Any]:
    """Good ones with their twins, bad ones with the error they give."""
    oek, salt = ObjectKey(bytes.fromhex(OEK)), bytes.fromhex(SALT)
    good = []
    for name, footer in good_footers():
        end = seal_footer(footer, oek, salt)
        reads = [[part.number, part.length, part.salt.hex()] for part in footer.parts]
        shown = reads if len(reads) < 9 else hashlib.sha256(json.dumps(reads).encode()).hexdigest()
        values = {str(int(tag)): value.hex() for tag, value in footer.tlv.items()}
        vector = {"name": name, "oek": OEK, "multipart": footer.multipart, "size": footer.size, "parts": shown}
        vector |= {"values": values, "stored_size": object_size(footer.size), "end": base64.b64encode(end).decode()}
        changes: list[tuple[dict[str, Any], str]] = [
            ({"flip": at}, "BadFooter") for at in (0, 16, -17, -16, -12, -9, -1)
        ]
        changes += [({"cut": 1}, "BadFooter"), ({"oek": "6e" * 32}, "BadFooter"), ({"stored_size": 5000}, "BadLayout")]
        good.append(vector | {"twins": [{"set": change, "error": error} for change, error in changes]})
    bad = []
    for name, text in bad_footers():
        sealer = ObjectSealer(oek, FOOTER_NUMBER, salt)
        ct = sealer.update(text) + sealer.finish()
        end = bytes(ct) + b"SSEP\1\0\0\0" + len(ct).to_bytes(8, "big")
        size = object_size(int.from_bytes(text[8:16], "big"))
        vector = {"name": name, "oek": OEK, "stored_size": size, "end": base64.b64encode(end).decode()}
        bad.append(vector | {"error": "BadFooter"})
    return {"good": good, "refused": bad}


def envelope(
    kind: Kind, context: str | None, key_arn: str | None, size: int | None, *, multipart: bool
) -> dict[str, Any]:
    """An envelope under one OEK and one data key, with the fields that a reader must find in it."""
    wrapped = None if kind is Kind.SSE_C else b"a wrapped key"
    made = seal_envelope(
        dk=Secret(bytes.fromhex(DATA_KEY)),
        oek=ObjectKey(bytes.fromhex(OEK)),
        sse=kind,
        multipart=multipart,
        bucket_key=multipart,
        oid=fixed("oid", 16),
        size=size,
        context=context,
        wrapped_key=wrapped,
        key_arn=key_arn,
        object_arn=ARN,
        system=[("content-type", "a/b")],
        user=[("n", "v")],
        seal_salt=fixed("seal salt", 32),
    )
    reads = {"sse": int(kind), "flags": made.flags, "oid": made.oid.hex(), "size": size, "context": context}
    reads |= {"wrapped_key": wrapped and wrapped.hex(), "key_arn": key_arn, "mac": made.mac.hex()}
    return {"text": made.encode(), "data_key": DATA_KEY, "oek": OEK, "arn": ARN, "reads": reads}


def bad_envelopes(raw: bytes) -> Iterator[tuple[str, str]]:
    """Texts that are no envelope, from the bytes of one of kind SSE-KMS without context: (what is wrong, text)."""

    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def put(at: int, new: bytes, length: int | None = None) -> str:
        return text(raw[:at] + new + raw[at + (len(new) if length is None else length) :])

    whole = text(raw + b"?")
    yield "nothing", ""
    yield "version 0", put(0, b"\0")
    yield "version 2", put(0, b"\2")
    yield "suite 2", put(1, b"\2")
    yield "kind 0", put(2, b"\0")
    yield "kind 4, reserved for two layers", put(2, b"\4")
    yield "kind 5", put(2, b"\5")
    yield "flag 4, reserved for two layers", put(3, b"\4")
    yield "flag 8, reserved for sealed metadata", put(3, b"\x08")
    yield "flag 128", put(3, b"\x80")
    yield "size 2^48", put(20, (1 << 48).to_bytes(8, "big"))
    yield "no sealed key", put(30, b"\0")
    yield "two sealed keys", put(30, b"\2")
    yield "a sealed key of another kind", put(31, b"\1")
    yield "no wrapped key", put(112, b"\xff\xff", 15)
    yield "a wrapped key for a customer's key", text(raw[:2] + b"\3" + raw[3:31] + b"\3" + raw[32:])
    yield "a context that is not UTF-8", put(28, b"\0\1\xff", 2)
    yield "a key ARN that is not UTF-8", put(129, b"\xff")
    yield "a context longer than the envelope", put(28, b"\xff\xfe")
    yield "a byte after the MAC", whole
    yield "padding", text(raw) + "=" * (-len(text(raw)) % 4 or 4)
    yield "the other alphabet", text(raw).replace("-", "+").replace("_", "/")
    yield "a line break", text(raw)[:40] + "\n" + text(raw)[40:]
    yield (
        "unused bits that are not zero",
        next(
            text(raw)[:-1] + last
            for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            if last != text(raw)[-1]
            and base64.urlsafe_b64decode(text(raw)[:-1] + last + "=" * (-len(text(raw)) % 4)) == raw
        ),
    )
    yield "one character more", text(raw) + "A" * (1 - len(text(raw)) % 4 + 4)
    for length in (1, 27, 29, 31, 100, len(raw) - 32, len(raw) - 1):
        yield f"cut after {length} bytes", text(raw[:length])


def envelopes() -> dict[str, Any]:
    """Good ones by what they hold, refused ones by what is wrong."""
    key = "arn:aws:kms:eu-west-1:111122223333:key/0f6c2a5e-6c0b-4c57-9a1f-3f1f6f7f2f10"
    good = [
        envelope(Kind.SSE_S3, None, None, 0, multipart=False),
        envelope(Kind.KMS, '{"a":"b"}', key, 7, multipart=False),
        envelope(Kind.KMS, "", key, (1 << 48) - 1, multipart=True),
        envelope(Kind.KMS, None, "\u00fc", None, multipart=True),
        envelope(Kind.SSE_C, None, None, None, multipart=False),
    ]
    text = envelope(Kind.KMS, None, key, 7, multipart=False)["text"]
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    refused = [{"name": name, "text": text, "error": "BadEnvelope"} for name, text in bad_envelopes(raw)]
    return {"good": good, "refused": refused}


def sizes() -> dict[str, Any]:
    """The length law at its corners; `none` are stored sizes that no object has."""
    plain = [
        0,
        1,
        SEGMENT - 1,
        SEGMENT,
        SEGMENT + 1,
        MIN_PART - 1,
        MIN_PART,
        MIN_PART + 1,
        10 * MIN_PART,
        (1 << 48) - 1,
    ]
    gaps = [0, 1, 423, object_size(SEGMENT) + 1, object_size(SEGMENT) + 32, object_size(MIN_PART) - 1]
    return {"sizes": [[size, object_size(size)] for size in plain], "none": gaps}


def files() -> dict[str, str]:
    """Every file of the folder, by its name."""
    made = {"segments": segments(), "footers": footers(), "envelopes": envelopes(), "sizes": sizes()}
    return {f"{name}.json": json.dumps(content, indent=1) + "\n" for name, content in made.items()}


if __name__ == "__main__":
    for _name, _text in files().items():
        (FOLDER / _name).write_text(_text)
