"""The root of trust: what it seals, what it refuses to open, and where its key comes from."""

import base64
import hmac
import multiprocessing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_core.crypto.root import HeldRoot, RootKeyError, root_from_file, root_from_text
from kms_core.crypto.secret import Secret

KEY = bytes(range(32))
SALT = bytes(range(32, 64))
SEALED = bytes.fromhex(
    "01202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f4f6f7f5d91903b44ee910827f2cf3ce4df8e84e7c2a88063"
)
DERIVED = "fbfc8a254fc20a44d2839e3c723d55c7ef8c124cadda3b76065a3272326b4582"


def fixed_salt(size: int) -> bytes:
    assert size == 32
    return SALT


def hkdf32(salt: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, one block."""
    return hmac.digest(hmac.digest(salt, KEY, "sha256"), info + b"\x01", "sha256")


def golden_seal() -> bytes:
    """`u8 1 | salt32 | ciphertext | tag16`, computed beside the product."""
    cipher = AESGCM(hkdf32(SALT, b"ssep/root/v1"))
    return b"\x01" + SALT + cipher.encrypt(bytes(12), b"a secret", b"\x01the place")


def test_sealed_bytes_are_those_that_were_written_down() -> None:
    root = HeldRoot(Secret(KEY), fixed_salt)
    assert root.seal(Secret(b"a secret"), b"the place") == SEALED == golden_seal()
    assert root.unseal(SEALED, b"the place").reveal() == b"a secret"


def test_a_derived_key_is_the_one_that_was_written_down_and_each_purpose_has_its_own() -> None:
    root = HeldRoot(Secret(KEY))
    assert root.derive(b"journal").reveal().hex() == DERIVED == hkdf32(bytes(32), b"ssep/root/v1/derive/journal").hex()
    assert root.derive(b"journals") != root.derive(b"journal")


def test_every_seal_of_one_secret_differs() -> None:
    root = HeldRoot(Secret(KEY))
    assert len({root.seal(Secret(b"a secret"), b"") for _ in range(20)}) == 20


@pytest.mark.parametrize("place", range(len(SEALED)))
def test_one_flipped_bit_in_sealed_bytes_is_refused(place: int) -> None:
    tampered = bytearray(SEALED)
    tampered[place] ^= 0x80
    with pytest.raises(RootKeyError):
        HeldRoot(Secret(KEY)).unseal(bytes(tampered), b"the place")


@pytest.mark.parametrize("length", [0, 1, 32, 33, 48, len(SEALED) - 1])
def test_truncated_sealed_bytes_are_refused(length: int) -> None:
    with pytest.raises(RootKeyError):
        HeldRoot(Secret(KEY)).unseal(SEALED[:length], b"the place")


@pytest.mark.parametrize("aad", [b"", b"the plac", b"the place ", b"\x01the place"])
def test_sealed_bytes_do_not_open_in_another_place(aad: bytes) -> None:
    with pytest.raises(RootKeyError):
        HeldRoot(Secret(KEY)).unseal(SEALED, aad)


def test_another_root_key_does_not_open_them_and_the_error_quotes_no_key() -> None:
    with pytest.raises(RootKeyError) as refusal:
        HeldRoot(Secret(bytes(32))).unseal(SEALED, b"the place")
    assert bytes(32).hex() not in str(refusal.value)


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_root_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(RootKeyError, match="32 bytes"):
        HeldRoot(Secret(bytes(size)))


# A key file


def test_the_first_start_makes_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    sealed = root_from_file(path, create=True).seal(Secret(b"x"), b"")
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text().strip())) == 32
    assert root_from_file(path, create=True).unseal(sealed, b"").reveal() == b"x"
    assert [child.name for child in tmp_path.iterdir()] == ["root.key"]


def test_a_missing_key_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(RootKeyError, match="no root key"):
        root_from_file(tmp_path / "root.key", create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o610, 0o601])
def test_a_key_that_others_could_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    path.write_text(KEY.hex())
    path.chmod(mode)
    with pytest.raises(RootKeyError, match="chmod 600"):
        root_from_file(path, create=True)


@pytest.mark.parametrize("text", ["", "00", KEY.hex()[:-1], KEY.hex() + "00", "z" * 64, "\xe9" * 64])
def test_a_malformed_key_file_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "root.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(RootKeyError) as refusal:
        root_from_file(path, create=True)
    assert path.read_text() == text
    assert KEY.hex()[:-1] not in str(refusal.value)


def _make(path: Path) -> bytes:
    return root_from_file(path, create=True).derive(b"who").reveal()


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        derived = pool.map(_make, [tmp_path / "root.key"] * 6)
    assert len(set(derived)) == 1
    assert [child.name for child in tmp_path.iterdir()] == ["root.key"]


# A key as text


@pytest.mark.parametrize("text", [KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()])
def test_a_key_may_be_given_in_hex_or_base64(text: str) -> None:
    assert root_from_text(text).unseal(SEALED, b"the place").reveal() == b"a secret"


@pytest.mark.parametrize(
    "text", ["", "a" * 63, "ä" * 64, KEY.hex()[:-2], base64.b64encode(KEY[:-1]).decode(), "!" * 44]
)
def test_text_that_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(RootKeyError) as refusal:
        root_from_text(text)
    assert not text or text not in str(refusal.value)
