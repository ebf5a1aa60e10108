"""Write the golden vectors of the key service's blobs: `python tests/vectors/kms/make_blobs.py` from the repository.

Nothing is random: a change in `blobs.json` is a change of the format. A vector holds the material, the context and the
plaintext of a blob; each twin is one edit and the error of `kms_core.errors` that it must give.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from kms_core.crypto.blob import seal_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret

FOLDER = Path(__file__).parent
REGIONAL = "7d3f7f0a-52f4-4a1e-8d37-0b6c4ce8a001"
MULTI_REGION = "mrk-7d3f7f0a52f44a1e8d370b6c4ce8a001"
OBJECT = {"aws:s3:arn": "arn:aws:s3:::vectors/a b/\u00fc.txt"}


def fixed(label: str, length: int) -> bytes:
    """Randomness of the vectors, and their plaintext."""
    return hashlib.shake_256(f"ssep kms vectors: {label}".encode()).digest(length)


def flip(what: str, at: int, mask: int = 1) -> dict[str, Any]:
    """A twin with bits of byte `at` flipped."""
    return {"what": what, "edit": {"do": "flip", "at": at, "mask": mask}, "error": "InvalidCiphertext"}


def edit(what: str, **change: object) -> dict[str, Any]:
    """A twin with any other edit."""
    return {"what": what, "edit": change, "error": "InvalidCiphertext"}


def twins(context: dict[str, str]) -> list[dict[str, Any]]:
    """What must not open."""
    places = {"version": 0, "kind of key": 1, "key": 2, "key's end": 17, "material": 18, "material's end": 25}
    places |= {"salt": 26, "salt's end": 57, "ciphertext": 58, "tag": -33, "commitment": -32, "commitment's end": -1}
    found = [flip(what, at) for what, at in places.items()]
    found += [flip("version 3", 0, 2), flip("a reserved flag", 1, 2), flip("the highest flag", 1, 128)]
    found += [edit(f"cut by {length}", do="cut", length=length) for length in (1, 16, 32, 48)]
    found += [edit("cut down to its frame, no ciphertext", do="keep", length=106), edit("nothing", do="keep", length=0)]
    found += [edit("a byte more", do="append", hex="00")]
    found += [edit("other material", do="set", of="material", value="00" * 32)]
    found += [edit("a pair more", do="set", of="context", value={**context, "more": ""})]
    if context:
        name, value = next(iter(context.items()))
        rest = {other: text for other, text in context.items() if other != name}
        found += [
            edit("no context", do="set", of="context", value={}),
            edit("a value in upper case", do="set", of="context", value={**context, name: value.upper()}),
            edit("a name in upper case", do="set", of="context", value={**rest, name.upper(): value}),
            edit(
                "a name's end moved to its value", do="set", of="context", value={**rest, name[:-1]: name[-1] + value}
            ),
        ]
    return found


def blob(name: str, key_id: str, length: int, context: dict[str, str]) -> dict[str, Any]:
    """One vector with `length` bytes of plaintext."""
    vector: dict[str, Any] = {
        "name": name,
        "key_id": key_id,
        "material_id": fixed(f"{key_id} material id", 32).hex(),
        "material": fixed(f"{key_id} material", 32).hex(),
        "context": context,
        "salt": fixed(f"{name} salt", 32).hex(),
        "plaintext": fixed(f"{name} text", length).hex(),
    }
    sealed = seal_blob(
        key_id=key_id,
        material_id=vector["material_id"],
        material=Secret(bytes.fromhex(vector["material"])),
        context=canonical_context(context),
        plaintext=Secret(bytes.fromhex(vector["plaintext"])),
        salt=bytes.fromhex(vector["salt"]),
    )
    return {**vector, "blob": sealed.hex(), "twins": twins(context)}


def files() -> dict[str, str]:
    """Every file of the folder, by its name."""
    vectors = [
        blob("a data key", REGIONAL, 32, OBJECT),
        blob("a data key of a multi-Region key", MULTI_REGION, 32, OBJECT),
        blob("a data key, and the client's own context", REGIONAL, 32, {"team": "gr\u00fcn", "Zone": "", **OBJECT}),
        blob("a bucket's key", REGIONAL, 32, {"aws:s3:arn": "arn:aws:s3:::vectors"}),
        blob("no context", REGIONAL, 16, {}),
        blob(
            "names whose order differs in UTF-16",
            MULTI_REGION,
            1,
            {"x\uff01": "one", "x\U0001f511": "two", "x": "three"},
        ),
        blob("the longest plaintext that Encrypt takes", REGIONAL, 4096, {"a": "b"}),
    ]
    return {"blobs.json": json.dumps(vectors, indent=1) + "\n"}


if __name__ == "__main__":
    for _name, _text in files().items():
        (FOLDER / _name).write_text(_text)
