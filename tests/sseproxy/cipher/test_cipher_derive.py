"""The key schedule, against HMAC written out by hand (RFC 5869 with one block of output)."""

import hmac

import pytest

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import FOOTER_NUMBER, ObjectKey, kek, meta_key, part_key, prk
from sseproxy.cipher.errors import CipherMisuse

DK = bytes(range(32))
OEK = bytes(range(32, 64))
SALT = bytes(range(16))


def hmac256(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def test_the_key_encryption_key_is_hkdf_of_the_data_key() -> None:
    salt = bytes(range(64, 96))
    assert kek(Secret(DK), salt, 2).reveal() == hmac256(hmac256(salt, DK), b"ssep/v1/kek\x02\x01")


def test_meta_and_part_keys_expand_one_root() -> None:
    root = hmac256(b"ssep/v1", OEK)
    oek = ObjectKey(OEK)
    assert prk(Secret(OEK)).reveal() == oek.prk.reveal() == root
    assert meta_key(oek).reveal() == hmac256(root, b"ssep/v1/meta\x01")
    assert part_key(oek, 258, SALT).reveal() == hmac256(root, b"ssep/v1/part\x01\x01\x02" + SALT + b"\x01")


def test_no_two_purposes_share_a_key() -> None:
    oek = ObjectKey(OEK)
    keys = [meta_key(oek), *(part_key(oek, n, s) for n in (0, 1, 256, FOOTER_NUMBER) for s in (SALT, SALT[::-1]))]
    keys += [kek(Secret(OEK), bytes(32), kind) for kind in (1, 2, 3, 4)]
    assert len({key.reveal() for key in keys}) == len(keys)


def test_keys_and_salts_of_the_wrong_length_are_refused() -> None:
    with pytest.raises(CipherMisuse):
        ObjectKey(OEK[:-1])
    with pytest.raises(CipherMisuse):
        part_key(ObjectKey(OEK), 0, SALT + b"x")
    with pytest.raises(CipherMisuse):
        kek(Secret(DK), SALT, 1)


def test_an_object_key_is_hidden_as_every_secret_is() -> None:
    assert repr(ObjectKey(OEK)) == "Secret(<hidden>)"
