"""The ciphertext blob: golden bytes, a second implementation from the format's text alone, and tampered twins.

The second implementation shares no primitive with the product but AES on one block: HKDF is made of `hmac`, GCM of
counter blocks and a GHASH over integers.
"""

import hashlib
import hmac
import uuid
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from kms_core.crypto.blob import OVERHEAD, open_blob, read_blob, seal_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret
from kms_core.errors import InvalidCiphertext

KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"
MATERIAL_ID = "0123456789abcdef" + 48 * "5"
MATERIAL = bytes(range(32))
SALT = bytes(range(100, 132))
CONTEXT = {"purpose": "test", "aws:s3:arn": "arn:aws:s3:::b/k", "Ünï": "ç"}
PLAINTEXT = b"a data key of thirty-two bytes!!"

GOLDEN = bytes.fromhex(
    "01001234abcd12ab34cd56ef1234567890ab0123456789abcdef6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d"
    "7e7f8081828354afde8767a4909d6c9990e709a501f8ddfa677b06d2b4b6792bf8fbb091eedfbb5dd9f3c074d7c47f16447f8189"
    "f954a657ce6b337f6c3cf3dc225da9b70d70092ec6c6f39eaca56fb0e0641a31ac20"
)
GOLDEN_MRK = bytes.fromhex(
    "01011234abcd12ab34cd56ef1234567890ab0123456789abcdef6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d"
    "7e7f8081828354afde8767a4909d6c9990e709a501f8ddfa677b06d2b4b6792bf8fbb091eedf8d35a07804a09fc4307495125247"
    "d9cda657ce6b337f6c3cf3dc225da9b70d70092ec6c6f39eaca56fb0e0641a31ac20"
)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, with SHA-256."""
    prk = hmac.digest(salt, secret, "sha256")
    block, out = b"", b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(prk, block + info + bytes([counter]), "sha256")
        out += block
    return out[:length]


def gf_multiply(x: int, y: int) -> int:
    """NIST SP 800-38D, algorithm 1."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def gcm(key: bytes, nonce: bytes, text: bytes, aad: bytes, *, sealing: bool) -> tuple[bytes, bytes]:
    """The other text and the tag."""

    def aes(block: bytes) -> bytes:
        return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)  # noqa: S305 - one block of GCM

    stream = b"".join(aes(nonce + (2 + i).to_bytes(4, "big")) for i in range(-(-len(text) // 16)))
    other = bytes(a ^ b for a, b in zip(text, stream, strict=False))
    hashed = other if sealing else text
    blocks = aad + bytes(-len(aad) % 16) + hashed + bytes(-len(hashed) % 16)
    blocks += (8 * len(aad)).to_bytes(8, "big") + (8 * len(hashed)).to_bytes(8, "big")
    h, state = int.from_bytes(aes(bytes(16)), "big"), 0
    for start in range(0, len(blocks), 16):
        state = gf_multiply(state ^ int.from_bytes(blocks[start : start + 16], "big"), h)
    mask = int.from_bytes(aes(nonce + (1).to_bytes(4, "big")), "big")
    return other, (state ^ mask).to_bytes(16, "big")


def canonical(context: Mapping[str, str]) -> bytes:
    """Pairs sorted by their UTF-8 bytes, each name and value with its length."""
    pairs = sorted((name.encode(), value.encode()) for name, value in context.items())
    return b"".join(len(text).to_bytes(2, "big") + text for pair in pairs for text in pair)


def by_the_book(key_id: str, plaintext: bytes, context: Mapping[str, str], salt: bytes = SALT) -> bytes:
    """A blob as the format's text describes it."""
    flags = b"\x01" if key_id.startswith("mrk-") else b"\x00"
    name = uuid.UUID(hex=key_id.removeprefix("mrk-")).bytes
    head = b"\x01" + flags + name + bytes.fromhex(MATERIAL_ID)[:8] + salt
    both = hkdf(MATERIAL, salt, b"ssep/kms/v1", 64)
    text, tag = gcm(both[:32], bytes(12), plaintext, head + canonical(context), sealing=True)
    return head + text + tag + both[32:]


def sealed(
    plaintext: bytes = PLAINTEXT, context: Mapping[str, str] = CONTEXT, key_id: str = KEY_ID, salt: bytes = SALT
) -> bytes:
    return seal_blob(
        key_id=key_id,
        material_id=MATERIAL_ID,
        material=Secret(MATERIAL),
        context=canonical_context(context),
        plaintext=Secret(plaintext),
        salt=salt,
    )


def opened(blob: bytes, context: Mapping[str, str] = CONTEXT, material: bytes = MATERIAL) -> bytes:
    return open_blob(blob, material=Secret(material), context=canonical_context(context)).reveal()


def opened_after_reading(blob: bytes) -> bytes:
    """As Decrypt goes about it: first whose key, then the plaintext."""
    read_blob(blob)
    return opened(blob)


@pytest.mark.parametrize(("key_id", "golden"), [(KEY_ID, GOLDEN), (MRK, GOLDEN_MRK)])
def test_the_blob_has_the_bytes_that_were_written_down(key_id: str, golden: bytes) -> None:
    assert sealed(key_id=key_id) == golden
    assert opened(golden) == PLAINTEXT


def test_a_data_keys_blob_has_138_bytes_and_the_overhead_is_106() -> None:
    assert len(sealed(bytes(32))) == 138
    assert OVERHEAD == 106


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([KEY_ID, MRK]),
    st.binary(min_size=1, max_size=70),
    st.dictionaries(st.text(max_size=6), st.text(max_size=6), max_size=3),
    st.binary(min_size=32, max_size=32),
)
def test_a_second_implementation_from_the_text_makes_the_same_bytes(
    key_id: str, plaintext: bytes, context: dict[str, str], salt: bytes
) -> None:
    assert sealed(plaintext, context, key_id, salt) == by_the_book(key_id, plaintext, context, salt)


@pytest.mark.parametrize(("key_id", "multi_region"), [(KEY_ID, False), (MRK, True)])
def test_the_head_names_the_key_and_the_material(key_id: str, multi_region: bool) -> None:
    head = read_blob(sealed(key_id=key_id))
    assert (head.key_id, head.material_prefix, head.multi_region) == (key_id, MATERIAL_ID[:16], multi_region)


@pytest.mark.parametrize("place", range(len(GOLDEN)))
def test_one_flipped_bit_anywhere_is_refused(place: int) -> None:
    tampered = bytearray(GOLDEN)
    tampered[place] ^= 0x01
    with pytest.raises(InvalidCiphertext):
        opened(bytes(tampered))


@pytest.mark.parametrize("length", [0, 1, 25, 26, 57, 58, 90, 105, 106, len(GOLDEN) - 1])
def test_a_truncated_blob_is_refused(length: int) -> None:
    with pytest.raises(InvalidCiphertext):
        opened_after_reading(GOLDEN[:length])


def test_a_lengthened_blob_is_refused() -> None:
    with pytest.raises(InvalidCiphertext):
        opened(GOLDEN + b"\x00")


def test_the_same_blob_under_other_material_is_refused_by_its_commitment() -> None:
    with pytest.raises(InvalidCiphertext) as refusal:
        opened(GOLDEN, material=bytes(32))
    assert refusal.value.__cause__ is None  # the commitment spoke, not the cipher


def test_a_commitment_of_another_key_on_a_good_ciphertext_is_refused() -> None:
    other = hkdf(bytes(32), SALT, b"ssep/kms/v1", 64)
    text, tag = gcm(other[:32], bytes(12), PLAINTEXT, GOLDEN[:58] + canonical(CONTEXT), sealing=True)
    with pytest.raises(InvalidCiphertext):
        opened(GOLDEN[:58] + text + tag + hkdf(MATERIAL, SALT, b"ssep/kms/v1", 64)[32:], material=bytes(32))


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"purpose": "test"},
        {**CONTEXT, "more": ""},
        {**CONTEXT, "purpose": "Test"},
        {"Purpose" if name == "purpose" else name: value for name, value in CONTEXT.items()},
        {**{name: value for name, value in CONTEXT.items() if name != "purpose"}, "purposet": "est"},
    ],
)
def test_another_encryption_context_is_refused(context: dict[str, str]) -> None:
    with pytest.raises(InvalidCiphertext):
        opened(GOLDEN, context)


def test_the_order_of_the_pairs_makes_no_other_context() -> None:
    assert opened(GOLDEN, dict(reversed(list(CONTEXT.items())))) == PLAINTEXT


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (0, 2), (0, 0xFF), (1, 2), (1, 0x80), (1, 0xFF)], ids=lambda value: str(value)
)
def test_an_unknown_version_or_flag_is_no_blob(place: int, value: int) -> None:
    unknown = bytearray(GOLDEN)
    unknown[place] = value
    with pytest.raises(InvalidCiphertext):
        read_blob(bytes(unknown))


def test_a_refusal_says_nothing_and_hides_the_plaintext() -> None:
    with pytest.raises(InvalidCiphertext) as refusal:
        opened(GOLDEN[:-1] + b"\x00")
    assert refusal.value.message is None
    assert hashlib.sha256(PLAINTEXT).hexdigest() not in repr(refusal.value)
    assert PLAINTEXT.decode() not in repr(refusal.value)


def test_two_salts_give_two_blobs_with_nothing_in_common_behind_the_head() -> None:
    one, two = sealed(), sealed(salt=bytes(32))
    assert one[:26] == two[:26]
    assert all(one[start : start + 16] not in two for start in range(26, len(one) - 16))
