"""Key material bound to its place, secrets that do not show themselves, and contexts in one canonical form."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_core.crypto.context import canonical_context
from kms_core.crypto.material import MATERIAL_BYTES, Materials, new_material
from kms_core.crypto.root import HeldRoot, RootKeyError
from kms_core.crypto.secret import Secret
from kms_core.errors import ValidationException

ROOT = HeldRoot(Secret(bytes(32)))
REGION, KEY_ID = "us-east-1", "1234abcd-12ab-34cd-56ef-1234567890ab"


class Counting:
    """Random bytes that a test can foretell: every call fills its bytes with the next number."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        self.calls += 1
        return bytes([self.calls]) * size


# Material


def test_material_opens_where_it_was_made() -> None:
    made = new_material(ROOT, Counting(), REGION, KEY_ID, 1)
    assert Materials(ROOT).open(REGION, KEY_ID, made).reveal() == b"\x02" * MATERIAL_BYTES
    assert made.version == 1
    assert len(bytes.fromhex(made.id)) == 32


def test_the_material_id_says_nothing_of_the_bytes() -> None:
    """Two materials with the same bytes have different ids when the lot falls differently."""
    one = new_material(ROOT, Counting(), REGION, KEY_ID, 1)
    assert b"\x02" * 8 not in one.sealed
    assert ("02" * 4) not in one.id
    random = Counting()
    random.calls = 7
    assert new_material(ROOT, random, REGION, KEY_ID, 1).id != one.id


@pytest.mark.parametrize(
    ("region", "key_id", "changes"),
    [
        ("eu-west-1", KEY_ID, {}),
        (REGION, "1234abcd-12ab-34cd-56ef-1234567890ac", {}),
        (REGION, KEY_ID, {"id": 64 * "0"}),
        (REGION, KEY_ID, {"version": 2}),
    ],
    ids=["another region", "another key", "another material id", "another version"],
)
def test_material_moved_to_another_place_does_not_open(region: str, key_id: str, changes: dict[str, object]) -> None:
    made = new_material(ROOT, Counting(), REGION, KEY_ID, 1)
    with pytest.raises(RootKeyError):
        Materials(ROOT).open(region, key_id, replace(made, **changes))  # type: ignore[arg-type]


def test_material_that_is_open_already_does_not_open_its_tampered_twin() -> None:
    made, materials = new_material(ROOT, Counting(), REGION, KEY_ID, 1), Materials(ROOT)
    materials.open(REGION, KEY_ID, made)
    with pytest.raises(RootKeyError):
        materials.open(REGION, KEY_ID, replace(made, sealed=made.sealed[:-1] + bytes([made.sealed[-1] ^ 1])))


def test_material_does_not_open_under_another_root() -> None:
    made = new_material(ROOT, Counting(), REGION, KEY_ID, 1)
    with pytest.raises(RootKeyError):
        Materials(HeldRoot(Secret(b"\x01" * 32))).open(REGION, KEY_ID, made)


# Secrets


SECRET = Secret(b"hunter2")


@pytest.mark.parametrize("shown", [repr(SECRET), str(SECRET), f"{SECRET}", f"{[SECRET]}", f"{SECRET!r}"])
def test_a_secret_shows_itself_in_no_text(shown: str) -> None:
    assert "hunter2" not in shown
    assert "Secret(<hidden>)" in shown


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash, bytes, vars])
def test_a_secret_does_not_leave_in_passing(leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        leak(SECRET)


def test_secrets_are_equal_by_their_bytes_and_to_nothing_else() -> None:
    assert Secret(b"hunter2") == SECRET
    assert Secret(b"hunter3") != SECRET
    assert SECRET != b"hunter2"
    assert len(SECRET) == 7


# The canonical context


@pytest.mark.parametrize(
    ("context", "golden"),
    [
        ({}, ""),
        ({"a": "b"}, "0001610001" + "62"),
        ({"": ""}, "00000000"),
        ({"b": "2", "a": "1"}, "00016100013100016200" + "0132"),
        ({"é": "ü", "z": ""}, "00017a00000002c3a90002c3bc"),
        ({"￰": "1", "😀": "2"}, "0003efbfb0" + "000131" + "0004f09f9880" + "000132"),
    ],
)
def test_the_canonical_context_has_the_bytes_that_were_written_down(context: dict[str, str], golden: str) -> None:
    assert canonical_context(context).hex() == golden


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3), min_size=2, max_size=2))
def test_contexts_are_equal_exactly_when_their_canonical_bytes_are(pair: list[dict[str, str]]) -> None:
    one, two = pair
    assert (one == two) is (canonical_context(one) == canonical_context(two))


def test_a_boundary_between_name_and_value_cannot_be_moved() -> None:
    assert canonical_context({"ab": "c"}) != canonical_context({"a": "bc"})
    assert canonical_context({"a": "b", "c": "d"}) != canonical_context({"a": "b\x00\x01c\x00\x01d"})


def test_a_length_that_does_not_fit_is_refused_and_the_longest_one_is_not() -> None:
    assert len(canonical_context({"": "x" * 0xFFFE})) == 4 + 0xFFFE
    with pytest.raises(ValidationException):
        canonical_context({"": "x" * 0xFFFF})
    with pytest.raises(ValidationException):
        canonical_context({"é" * 0x8000: ""})
