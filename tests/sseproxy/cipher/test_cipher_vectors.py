"""The golden vectors of the stored format: each reads back, and each tampered twin fails by the name it must."""

import base64
import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_core.crypto.blob import open_blob, read_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret
from kms_core.errors import InvalidCiphertext
from sseproxy.cipher import errors
from sseproxy.cipher.derive import ObjectKey, part_key
from sseproxy.cipher.envelope import Envelope, Kind, open_envelope, verify_mac
from sseproxy.cipher.footer import Footer, open_footer, open_tail
from sseproxy.cipher.geometry import SEGMENT, footer_size, object_size, plaintext_size, sealed_size, spans
from sseproxy.cipher.segments import PartOpener
from sseproxy.cipher.stream import RangeOpener

FOLDER = Path(__file__).parents[2] / "vectors" / "format"
PIECES = FOLDER / "pieces"


def module(path: Path) -> ModuleType:
    """A script of the vectors, by its file."""
    spec = importlib.util.spec_from_file_location(f"cipher_vectors_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


make, make_pieces = module(FOLDER / "make.py"), module(PIECES / "make_pieces.py")
VECTORS = [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]
WRAPPED = [vector for vector in VECTORS if "kms" in vector]
STORED = {vector["name"]: make.stored_object(vector) for vector in VECTORS}
SEGMENTS, FOOTERS, ENVELOPES, SIZES = (
    json.loads((PIECES / f"{name}.json").read_text()) for name in ("segments", "footers", "envelopes", "sizes")
)


def each(vectors: list[dict[str, Any]]) -> Callable[..., Any]:
    """A test for every vector."""
    return pytest.mark.parametrize("vector", [pytest.param(v, id=v["name"]) for v in vectors])


def each_twin(vectors: list[dict[str, Any]]) -> Callable[..., Any]:
    """A test for every twin of every vector."""
    found = [(v, t, f"{v['name']}: {t['what'] if 'what' in t else t['set']}") for v in vectors for t in v["twins"]]
    return pytest.mark.parametrize(("vector", "twin"), [pytest.param(v, t, id=name) for v, t, name in found])


def unwrapped(vector: dict[str, Any]) -> dict[str, Any]:
    """The vector with the data key that its wrapped key gives, in place of the one it tells. InvalidCiphertext."""
    envelope = Envelope.decode(vector["envelope"])
    bucket, key = vector["arn"].removeprefix("arn:aws:s3:::").split("/", 1)
    whole = envelope.bucket_key or envelope.sse is Kind.SSE_S3
    context = {"aws:s3:arn": f"arn:aws:s3:::{bucket}" if whole else f"arn:aws:s3:::{bucket}/{key}"}
    blob = envelope.keys[0].wrapped_key
    assert blob is not None
    if read_blob(blob).key_id != vector["kms"]["key_id"]:
        raise InvalidCiphertext
    try:
        context |= json.loads(envelope.context or "{}")
    except ValueError as problem:
        raise InvalidCiphertext from problem
    material = Secret(bytes.fromhex(vector["kms"]["material"]))
    data_key = open_blob(blob, material=material, context=canonical_context(context))
    return vector | {"data_key": data_key.reveal().hex()}


def read(vector: dict[str, Any], stored: bytes) -> bytes:
    """What a proxy does with an object: envelope, MAC, tail, footer, then every part."""
    headers = ([(key, value) for key, value in vector[name]] for name in ("system", "user"))
    envelope = Envelope.decode(vector["envelope"])
    oek = open_envelope(envelope, Secret(bytes.fromhex(vector["data_key"])), vector["arn"])
    verify_mac(envelope, oek, vector["arn"], *headers)
    size = open_tail(stored[-16:])
    footer = open_footer(stored[-16 - size : -16], oek, len(stored))
    assert footer.size == plaintext_size(len(stored))
    if footer.multipart != envelope.multipart or envelope.size not in (None, footer.size):
        raise errors.BadLayout  # as `objects.reader` does, which answers all of these alike
    out = b""
    for part in spans([entry.length for entry in footer.parts], 0, footer.size - 1):
        entry = footer.parts[part.index]
        opener = RangeOpener(oek, entry.number, entry.length, part.span, entry.salt)
        first = part.offset + part.span.first
        out += opener.update(stored[first : part.offset + part.span.last + 1])
        opener.finish()
    return out


def test_making_the_vectors_again_changes_no_byte() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == make.files()
    assert {path.name: path.read_text() for path in PIECES.glob("*.json")} == make_pieces.files()


def test_the_vectors_are_of_every_kind_of_object() -> None:
    envelopes = [Envelope.decode(vector["envelope"]) for vector in WRAPPED]
    assert {(envelope.sse, envelope.multipart) for envelope in envelopes} == {
        (kind, multipart) for kind in (Kind.SSE_S3, Kind.KMS) for multipart in (False, True)
    }
    assert {(envelope.bucket_key, envelope.context is None) for envelope in envelopes if envelope.sse is Kind.KMS} == {
        (False, False), (False, True), (True, False)
    }  # fmt: skip
    assert {vector["kms"]["key_id"].startswith("mrk-") for vector in WRAPPED} == {False, True}


@each(VECTORS)
def test_the_inputs_of_a_vector_still_make_its_bytes(vector: dict[str, Any]) -> None:
    stored = STORED[vector["name"]]
    assert len(stored) == vector["stored_size"]
    assert hashlib.sha256(stored).hexdigest() == vector["stored_sha256"]
    assert "stored" not in vector or base64.b64decode(vector["stored"]) == stored


@each(VECTORS)
def test_a_vector_reads_back(vector: dict[str, Any]) -> None:
    text = read(vector, STORED[vector["name"]])
    assert text == b"".join(make.fixed(part["text"], part["length"]) for part in vector["parts"])
    assert hashlib.sha256(text).hexdigest() == vector["sha256"]


@each(WRAPPED)
def test_a_wrapped_key_opens_in_the_context_that_the_format_tells(vector: dict[str, Any]) -> None:
    assert unwrapped(vector | {"data_key": ""}) == vector


@each_twin(VECTORS)
def test_a_tampered_twin_gives_the_error_that_the_vector_names(vector: dict[str, Any], twin: dict[str, Any]) -> None:
    changed, stored = make.tampered(vector, twin, STORED[vector["name"]])
    assert (changed, stored) != (vector, STORED[vector["name"]])
    if twin["error"] is None:
        assert hashlib.sha256(read(changed, stored)).hexdigest() == vector["sha256"]
        return
    with pytest.raises(errors.CipherError) as caught:
        read(changed, stored)
    assert type(caught.value).__name__ == twin["error"]


@each_twin([vector | {"twins": [twin for twin in vector["twins"] if "kms_error" in twin]} for vector in WRAPPED])
def test_the_key_service_refuses_the_wrapped_key_of_a_twin_that_says_so(
    vector: dict[str, Any], twin: dict[str, Any]
) -> None:
    changed, _ = make.tampered(vector, twin, b"")
    with pytest.raises(InvalidCiphertext) as caught:
        unwrapped(changed)
    assert type(caught.value).__name__ == twin["kms_error"]


def test_a_pad_byte_carries_nothing_and_is_not_looked_at() -> None:
    vector = next(vector for vector in VECTORS if vector["name"] == "three-parts")
    stored = STORED["three-parts"]
    body = sum(sealed_size(part["length"]) for part in vector["parts"])
    assert stored[body : -16 - footer_size(3)].strip(b"\0") == b""
    changed = bytearray(stored)
    changed[body] ^= 1
    assert read(vector, bytes(changed)) == read(vector, stored)


def changed_piece(vector: dict[str, Any], change: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """A piece with a twin's change: bytes flipped or cut, or fields set."""
    altered = bytearray(data)
    if "flip" in change:
        altered[change["flip"]] ^= 1
    return vector | change, bytes(altered[: len(data) - change.get("cut", 0)])


def sealed_segment(vector: dict[str, Any]) -> bytes:
    """The bytes of a segment vector, made from its fields."""
    size, last = min(SEGMENT, vector["p"] - vector["index"] * SEGMENT), (vector["index"] + 1) * SEGMENT >= vector["p"]
    salt, nonce = bytes.fromhex(vector["salt"]), bytes((0, last, 0, 0)) + vector["index"].to_bytes(8, "big")
    key = part_key(ObjectKey(bytes.fromhex(vector["oek"])), vector["number"], salt)
    return salt + AESGCM(key.reveal()).encrypt(nonce, make_pieces.fixed(vector["name"], size), None)


def opened_segment(vector: dict[str, Any], sealed: bytes) -> bytes:
    """As the product opens it, with the salt known from a footer."""
    oek, salt = ObjectKey(bytes.fromhex(vector["oek"])), bytes.fromhex(vector["salt"])
    return bytes(PartOpener(oek, vector["number"], p=vector["p"], start=vector["index"], salt=salt).open(sealed))


@each(SEGMENTS)
def test_a_segment_opens(vector: dict[str, Any]) -> None:
    sealed = sealed_segment(vector)
    assert hashlib.sha256(sealed).hexdigest() == vector["sealed_sha256"]
    assert vector["sealed"] in (None, sealed.hex())
    assert hashlib.sha256(opened_segment(vector, sealed)).hexdigest() == vector["text_sha256"]


@each_twin(SEGMENTS)
def test_a_segment_elsewhere_or_altered_does_not_open(vector: dict[str, Any], twin: dict[str, Any]) -> None:
    changed, sealed = changed_piece(vector, twin["set"], sealed_segment(vector))
    with pytest.raises(errors.CipherError) as caught:
        opened_segment(changed, sealed)
    assert type(caught.value).__name__ == twin["error"]


def opened_footer(vector: dict[str, Any], end: bytes) -> Footer:
    size = open_tail(end[-16:])
    return open_footer(end[-16 - size : -16], ObjectKey(bytes.fromhex(vector["oek"])), vector["stored_size"])


@each(FOOTERS["good"])
def test_a_footer_opens(vector: dict[str, Any]) -> None:
    footer = opened_footer(vector, base64.b64decode(vector["end"]))
    parts = [[part.number, part.length, part.salt.hex()] for part in footer.parts]
    assert vector["parts"] in (parts, hashlib.sha256(json.dumps(parts).encode()).hexdigest())
    assert (footer.multipart, footer.size) == (vector["multipart"], vector["size"])
    assert {str(tag): value.hex() for tag, value in footer.tlv.items()} == vector["values"]


@each_twin(FOOTERS["good"])
def test_an_altered_footer_is_refused(vector: dict[str, Any], twin: dict[str, Any]) -> None:
    changed, end = changed_piece(vector, twin["set"], base64.b64decode(vector["end"]))
    with pytest.raises(errors.CipherError) as caught:
        opened_footer(changed, end)
    assert type(caught.value).__name__ == twin["error"]


@each(FOOTERS["refused"])
def test_a_footer_that_opens_and_contradicts_itself_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(errors.CipherError) as caught:
        opened_footer(vector, base64.b64decode(vector["end"]))
    assert type(caught.value).__name__ == vector["error"]
    assert "verify" not in str(caught.value)  # it did open


@pytest.mark.parametrize("vector", ENVELOPES["good"])
def test_an_envelope_parses_and_its_seal_holds_the_object_key(vector: dict[str, Any]) -> None:
    envelope, reads = Envelope.decode(vector["text"]), vector["reads"]
    (key,) = envelope.keys
    assert (envelope.sse, envelope.flags, envelope.oid.hex()) == (reads["sse"], reads["flags"], reads["oid"])
    assert (envelope.size, envelope.context, envelope.mac.hex()) == (reads["size"], reads["context"], reads["mac"])
    assert (key.wrapped_key and key.wrapped_key.hex(), key.key_arn) == (reads["wrapped_key"], reads["key_arn"])
    oek = open_envelope(envelope, Secret(bytes.fromhex(vector["data_key"])), vector["arn"])
    assert oek.reveal().hex() == vector["oek"]
    assert envelope.encode() == vector["text"]


@each(ENVELOPES["refused"])
def test_a_text_that_is_no_envelope_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(errors.CipherError) as caught:
        Envelope.decode(vector["text"])
    assert type(caught.value).__name__ == vector["error"]


def test_the_length_law_holds_at_its_corners_both_ways() -> None:
    assert [object_size(size) for size, _ in SIZES["sizes"]] == [stored for _, stored in SIZES["sizes"]]
    assert [plaintext_size(stored) for _, stored in SIZES["sizes"]] == [size for size, _ in SIZES["sizes"]]
    for stored in SIZES["none"]:
        with pytest.raises(errors.BadLayout):
            plaintext_size(stored)
