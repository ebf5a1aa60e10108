"""The golden blobs of the key service: each opens to its plaintext, and each tampered twin is refused by name."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from kms_core import errors
from kms_core.crypto.blob import OVERHEAD, open_blob, read_blob, seal_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret

FOLDER = Path(__file__).parents[2] / "vectors" / "kms"
VECTORS: list[dict[str, Any]] = json.loads((FOLDER / "blobs.json").read_text())
EACH = [pytest.param(vector, id=vector["name"]) for vector in VECTORS]
TWINS = [
    pytest.param(vector, twin, id=f"{vector['name']}: {twin['what']}") for vector in VECTORS for twin in vector["twins"]
]

_spec = importlib.util.spec_from_file_location("kms_vectors_make", FOLDER / "make_blobs.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def opened(vector: dict[str, Any], blob: bytes) -> bytes:
    """As Decrypt goes about it: whose key and which material, then the plaintext."""
    head = read_blob(blob)
    if head.key_id != vector["key_id"] or not vector["material_id"].startswith(head.material_prefix):
        raise errors.InvalidCiphertext
    material = Secret(bytes.fromhex(vector["material"]))
    return open_blob(blob, material=material, context=canonical_context(vector["context"])).reveal()


def tampered(vector: dict[str, Any], edit: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The vector and its blob with one edit made."""
    blob = bytearray.fromhex(vector["blob"])
    match edit["do"]:
        case "set":
            return vector | {edit["of"]: edit["value"]}, bytes(blob)
        case "flip":
            blob[edit["at"]] ^= edit["mask"]
        case "cut":
            del blob[-edit["length"] :]
        case "keep":
            del blob[edit["length"] :]
        case "append":
            blob += bytes.fromhex(edit["hex"])
        case _:
            raise AssertionError(edit)
    return vector, bytes(blob)


def test_making_the_blobs_again_changes_no_byte() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == make.files()


def test_the_blobs_are_of_both_kinds_of_key() -> None:
    kinds = {(vector["key_id"].startswith("mrk-"), bytes.fromhex(vector["blob"])[1]) for vector in VECTORS}
    assert kinds == {(False, 0), (True, 1)}


@pytest.mark.parametrize("vector", EACH)
def test_a_vectors_blob_opens_to_its_plaintext_and_seals_to_the_same_bytes(vector: dict[str, Any]) -> None:
    blob, plaintext = bytes.fromhex(vector["blob"]), bytes.fromhex(vector["plaintext"])
    assert len(blob) == len(plaintext) + OVERHEAD
    assert opened(vector, blob) == plaintext
    again = seal_blob(
        key_id=vector["key_id"],
        material_id=vector["material_id"],
        material=Secret(bytes.fromhex(vector["material"])),
        context=canonical_context(dict(reversed(list(vector["context"].items())))),
        plaintext=Secret(plaintext),
        salt=bytes.fromhex(vector["salt"]),
    )
    assert again == blob


@pytest.mark.parametrize(("vector", "twin"), TWINS)
def test_a_tampered_twin_of_a_blob_gives_the_error_that_the_vector_names(
    vector: dict[str, Any], twin: dict[str, Any]
) -> None:
    changed, blob = tampered(vector, twin["edit"])
    with pytest.raises(errors.AwsError) as caught:
        opened(changed, blob)
    assert type(caught.value).__name__ == twin["error"]


@pytest.mark.parametrize(("vector", "twin"), TWINS)
def test_the_cipher_alone_refuses_a_twin_that_its_head_would_give_away(
    vector: dict[str, Any], twin: dict[str, Any]
) -> None:
    """The names of key and material are authenticated too, not merely compared with what the key service expects."""
    changed, blob = tampered(vector, twin["edit"])
    material = Secret(bytes.fromhex(changed["material"]))
    with pytest.raises(errors.InvalidCiphertext):
        open_blob(blob, material=material, context=canonical_context(changed["context"]))
