"""A second reader, written from FORMAT.md alone: it imports nothing of the cipher package but what made the vectors.

If the two readers ever disagree, the code and its specification have parted.
"""

import base64
import hashlib
import hmac
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NAMES = [
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "x-amz-website-redirect-location",
]
FOLDER = Path(__file__).parents[2] / "vectors" / "format"
VECTORS = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]

_spec = importlib.util.spec_from_file_location("format_vectors_make_again", FOLDER / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def lp(text: str | None) -> bytes:
    return b"\xff\xff" if text is None else len(text.encode()).to_bytes(2, "big") + text.encode()


def open_part(root: bytes, n: int, stored: bytes) -> bytes:
    """Every segment of a part; its stored bytes are given whole."""
    salt = stored[:16]
    aead = AESGCM(mac(root, b"ssep/v1/part\1" + n.to_bytes(2, "big") + salt + b"\1"))
    count = -(-len(stored) // 65_568)
    text = b""
    for index in range(count):
        segment = stored[index * 65_568 : (index + 1) * 65_568]
        assert segment[:16] == salt
        nonce = bytes((0, index == count - 1, 0, 0)) + index.to_bytes(8, "big")
        text += aead.decrypt(nonce, segment[16:], None)
    return text


def read(vector: dict[str, Any], stored: bytes) -> bytes:
    raw = base64.b64decode(vector["envelope"].replace("-", "+").replace("_", "/") + "==")
    fixed, at = raw[:28], 28
    length = number(raw[at : at + 2])
    context = raw[at : at + 2 + (0 if length == 0xFFFF else length)]
    at += len(context) + 1
    kind, salt, sealed = raw[at], raw[at + 1 : at + 33], raw[at + 33 : at + 81]
    kek = mac(mac(salt, bytes.fromhex(vector["data_key"])), b"ssep/v1/kek" + bytes((kind, 1)))
    arn = lp(vector["arn"])
    oek = AESGCM(kek).decrypt(bytes(12), sealed, fixed + arn)
    root = mac(b"ssep/v1", oek)

    system = dict(vector["system"])
    message = fixed + context + raw[at : at + 81] + arn
    message += b"".join(lp(system.get(name)) for name in NAMES)
    message += len(vector["user"]).to_bytes(4, "big")
    message += b"".join(lp(field) for pair in sorted(vector["user"]) for field in pair)
    assert mac(mac(root, b"ssep/v1/meta\1"), message) == raw[-32:]

    end = stored[-16:]
    assert end[:8] == b"SSEP\1\0\0\0"
    footer = open_part(root, 0xFFFF, stored[-16 - number(end[8:]) : -16])
    assert footer[:2] == bytes((1, fixed[3] & 1))
    count, size = number(footer[4:8]), number(footer[8:16])
    assert len(footer) == 256 + 88 * count
    segments = max(1, -(-size // 65_536))
    assert len(stored) == size + 32 * segments + 264 + 128 * (1 + size // 5_242_880)
    text, at = b"", 0
    for entry in (footer[256 + 88 * i : 344 + 88 * i] for i in range(count)):
        p = number(entry[2:8])
        part = stored[at : at + p + 32 * max(1, -(-p // 65_536))]
        assert part[:16] == entry[8:24]
        text += open_part(root, number(entry[:2]), part)
        at += len(part)
    assert len(text) == size
    return text


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_reader_made_from_the_specification_reads_the_vectors(vector: dict[str, Any]) -> None:
    stored = make.stored_object(vector)
    assert hashlib.sha256(read(vector, stored)).hexdigest() == vector["sha256"]


def test_that_reader_refuses_a_flipped_bit_too() -> None:
    vector = next(vector for vector in VECTORS if vector["name"] == "small")
    stored = bytearray(make.stored_object(vector))
    stored[500] ^= 1
    with pytest.raises(InvalidTag):
        read(vector, bytes(stored))
