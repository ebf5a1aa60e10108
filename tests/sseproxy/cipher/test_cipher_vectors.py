"""The golden vectors of the stored format: each reads back, and each tampered twin fails by the name it must."""

import base64
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from kms_core.crypto.secret import Secret
from sseproxy.cipher import errors
from sseproxy.cipher.envelope import Envelope, open_envelope, verify_mac
from sseproxy.cipher.footer import open_footer, open_tail
from sseproxy.cipher.geometry import footer_size, plaintext_size, sealed_size, spans
from sseproxy.cipher.stream import RangeOpener

FOLDER = Path(__file__).parents[2] / "vectors" / "format"
VECTORS = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
NAMES = [vector["name"] for vector in VECTORS]
TWINS = [
    pytest.param(vector, twin, id=f"{vector['name']}: {twin['what']}") for vector in VECTORS for twin in vector["twins"]
]

_spec = importlib.util.spec_from_file_location("format_vectors_make", FOLDER / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)
STORED = {vector["name"]: make.stored_object(vector) for vector in VECTORS}


def read(vector: dict[str, Any], envelope_text: str, stored: bytes) -> bytes:
    """What a proxy does with an object: envelope, MAC, tail, footer, then every part."""
    headers = ([(key, value) for key, value in vector[name]] for name in ("system", "user"))
    envelope = Envelope.decode(envelope_text)
    oek = open_envelope(envelope, Secret(bytes.fromhex(vector["data_key"])), vector["arn"])
    verify_mac(envelope, oek, vector["arn"], *headers)
    size = open_tail(stored[-16:])
    footer = open_footer(stored[-16 - size : -16], oek, len(stored))
    assert (footer.multipart, footer.size) == (envelope.multipart, plaintext_size(len(stored)))
    out = b""
    for part in spans([entry.length for entry in footer.parts], 0, footer.size - 1):
        entry = footer.parts[part.index]
        opener = RangeOpener(oek, entry.number, entry.length, part.span, entry.salt)
        first = part.offset + part.span.first
        out += opener.update(stored[first : part.offset + part.span.last + 1])
        opener.finish()
    return out


def edited(data: bytes, edit: dict[str, Any]) -> bytes:
    changed = bytearray(data)
    match edit["do"]:
        case "flip":
            changed[edit["at"]] ^= 1
        case "cut":
            del changed[-edit["length"] :]
        case "append":
            changed += bytes.fromhex(edit["hex"])
        case "remove":
            del changed[edit["first"] : edit["first"] + edit["length"]]
        case "swap" | "copy":
            first = slice(edit["first"], edit["first"] + edit["length"])
            second = slice(edit["second"], edit["second"] + edit["length"])
            changed[second] = data[first]
            if edit["do"] == "swap":
                changed[first] = data[second]
        case _:
            raise AssertionError(edit)
    return bytes(changed)


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_the_inputs_of_a_vector_still_make_its_bytes(vector: dict[str, Any]) -> None:
    stored = STORED[vector["name"]]
    assert len(stored) == vector["stored_size"]
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]
    assert "stored" not in vector or base64.b64decode(vector["stored"]) == stored


@pytest.mark.parametrize("vector", VECTORS, ids=NAMES)
def test_a_vector_reads_back(vector: dict[str, Any]) -> None:
    text = read(vector, vector["envelope"], STORED[vector["name"]])
    assert text == b"".join(make.fixed(part["text"], part["length"]) for part in vector["parts"])
    assert hashlib.sha256(text).hexdigest() == vector["sha256"]


@pytest.mark.parametrize(("vector", "twin"), TWINS)
def test_a_tampered_twin_gives_the_error_that_the_vector_names(vector: dict[str, Any], twin: dict[str, Any]) -> None:
    edit = twin["edit"]
    envelope, stored = vector["envelope"], STORED[vector["name"]]
    if edit["do"] == "set":
        vector = vector | {edit["of"]: edit["value"]}
    elif edit["of"] == "stored":
        stored = edited(stored, edit)
    else:
        raw = edited(base64.urlsafe_b64decode(envelope + "=" * (-len(envelope) % 4)), edit)
        envelope = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(errors.CipherError) as caught:
        read(vector, envelope, stored)
    assert type(caught.value).__name__ == twin["error"]


def test_a_pad_byte_carries_nothing_and_is_not_looked_at() -> None:
    vector = next(vector for vector in VECTORS if vector["name"] == "three-parts")
    stored = STORED["three-parts"]
    body = sum(sealed_size(part["length"]) for part in vector["parts"])
    assert stored[body : -16 - footer_size(3)].strip(b"\0") == b""
    changed = bytearray(stored)
    changed[body] ^= 1
    assert read(vector, vector["envelope"], bytes(changed)) == read(vector, vector["envelope"], stored)
