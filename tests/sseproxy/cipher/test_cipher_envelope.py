"""The envelope: one spelling, one data key, one object, one set of headers."""

import base64
import hmac
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey, kek, meta_key
from sseproxy.cipher.envelope import Envelope, Kind, open_envelope, seal_envelope, verify_mac
from sseproxy.cipher.errors import BadEnvelope, CipherMisuse, MacMismatch, WrongKey

DK = Secret(bytes(range(32)))
OEK = ObjectKey(bytes(range(32, 64)))
OID = bytes(range(16))
SEAL_SALT = bytes(range(100, 132))
ARN = "arn:aws:s3:::bucket/reports/2024 über.csv"
KEY_ARN = "arn:aws:kms:eu-west-1:111122223333:key/0b1c"
SYSTEM = (("content-type", "text/csv"), ("cache-control", "no-store"))
USER = (("owner", "ada"), ("class", ""))
CONTEXT = '{"team":"blue"}'


def seal(
    *,
    sse: Kind = Kind.KMS,
    size: int | None = 5,
    context: str | None = CONTEXT,
    wrapped_key: bytes | None = b"wrapped",
    key_arn: str | None = KEY_ARN,
    system: tuple[tuple[str, str], ...] = SYSTEM,
    user: tuple[tuple[str, str], ...] = USER,
    oid: bytes = OID,
) -> Envelope:
    return seal_envelope(
        dk=DK,
        oek=OEK,
        sse=sse,
        multipart=False,
        bucket_key=True,
        oid=oid,
        size=size,
        context=context,
        wrapped_key=wrapped_key,
        key_arn=key_arn,
        object_arn=ARN,
        system=system,
        user=user,
        seal_salt=SEAL_SALT,
    )


def raw(envelope: Envelope) -> bytes:
    text = envelope.encode()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def text(stored: bytes | bytearray) -> str:
    return base64.urlsafe_b64encode(stored).rstrip(b"=").decode()


def lp(field: str) -> bytes:
    return len(field.encode()).to_bytes(2, "big") + field.encode()


def test_an_envelope_survives_the_wire_and_gives_the_object_key_back() -> None:
    envelope = Envelope.decode(seal().encode())
    assert envelope == seal()
    assert (envelope.multipart, envelope.bucket_key, envelope.size) == (False, True, 5)
    oek = open_envelope(envelope, DK, ARN)
    assert oek == OEK
    verify_mac(envelope, oek, ARN, SYSTEM, USER)


@pytest.mark.parametrize("size", [None, 0, (1 << 48) - 1])
def test_the_size_may_be_unknown(size: int | None) -> None:
    assert Envelope.decode(seal(size=size).encode()).size == size


def test_an_envelope_of_the_callers_own_key_holds_no_key() -> None:
    envelope = Envelope.decode(seal(sse=Kind.SSE_C, wrapped_key=None, key_arn=None, context=None).encode())
    assert (envelope.keys[0].wrapped_key, envelope.keys[0].key_arn, envelope.context) == (None, None, None)
    assert open_envelope(envelope, DK, ARN) == OEK


def test_every_byte_lies_where_the_format_says() -> None:
    fixed = bytes((1, 1, 2, 2)) + OID + (5).to_bytes(8, "big")
    aad = fixed + lp(ARN)
    sealed_key = AESGCM(kek(DK, SEAL_SALT, 2).reveal()).encrypt(bytes(12), OEK.reveal(), aad)
    absent = b"\xff\xff"
    message = fixed + lp(CONTEXT) + b"\2" + SEAL_SALT + sealed_key + lp(ARN)
    message += lp("text/csv") + absent * 3 + lp("no-store") + absent * 2
    message += (2).to_bytes(4, "big") + lp("class") + lp("") + lp("owner") + lp("ada")
    mac = hmac.digest(meta_key(OEK).reveal(), message, "sha256")
    keys = b"\1\2" + SEAL_SALT + sealed_key + lp("wrapped") + lp(KEY_ARN)
    assert raw(seal()) == fixed + lp(CONTEXT) + keys + mac


def test_another_data_key_does_not_open_it() -> None:
    with pytest.raises(WrongKey):
        open_envelope(seal(), Secret(bytes(32)), ARN)


def test_an_envelope_moved_to_another_object_does_not_open() -> None:
    with pytest.raises(WrongKey):
        open_envelope(seal(), DK, ARN + "2")


@pytest.mark.parametrize("change", ["sse", "flags", "oid", "size", "seal", "seal_salt"])
def test_a_changed_fixed_field_or_seal_does_not_open(change: str) -> None:
    envelope = seal()
    key = envelope.keys[0]
    changed = {
        "sse": replace(envelope, sse=Kind.SSE_S3),
        "flags": replace(envelope, flags=envelope.flags ^ 1),
        "oid": replace(envelope, oid=bytes(16)),
        "size": replace(envelope, size=6),
        "seal": replace(envelope, keys=(replace(key, seal=bytes([key.seal[0] ^ 1]) + key.seal[1:]),)),
        "seal_salt": replace(envelope, keys=(replace(key, seal_salt=bytes(32)),)),
    }[change]
    with pytest.raises(WrongKey):
        open_envelope(changed, DK, ARN)
    with pytest.raises(MacMismatch):
        verify_mac(changed, OEK, ARN, SYSTEM, USER)


def test_a_wrapped_key_may_be_wrapped_anew() -> None:
    envelope = seal()
    again = replace(envelope, keys=(replace(envelope.keys[0], wrapped_key=b"another", key_arn=None),))
    read = Envelope.decode(again.encode())
    verify_mac(read, open_envelope(read, DK, ARN), ARN, SYSTEM, USER)


def test_an_edited_context_fails_the_mac() -> None:
    for context in (None, "{}"):
        with pytest.raises(MacMismatch):
            verify_mac(replace(seal(), context=context), OEK, ARN, SYSTEM, USER)


@pytest.mark.parametrize(
    "system",
    [
        (),
        SYSTEM[:1],
        (("content-type", "text/html"), SYSTEM[1]),
        (("content-type", "text/csv"), ("expires", "no-store")),
        (*SYSTEM, ("expires", "")),
    ],
)
def test_an_edited_system_header_fails_the_mac(system: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(MacMismatch):
        verify_mac(seal(), OEK, ARN, system, USER)


@pytest.mark.parametrize(
    "user",
    [
        (),
        USER[:1],
        (("owner", "eve"), USER[1]),
        (*USER, ("extra", "1")),
        (("owner", ""), ("class", "ada")),
        (("ownera", "da"), ("class", "")),
    ],
)
def test_edited_user_metadata_fails_the_mac(user: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(MacMismatch):
        verify_mac(seal(), OEK, ARN, SYSTEM, user)


def test_the_order_of_headers_does_not_matter() -> None:
    verify_mac(seal(), OEK, ARN, SYSTEM[::-1], USER[::-1])


@pytest.mark.parametrize("system", [(*SYSTEM, ("content-md5", "x")), (*SYSTEM, SYSTEM[0])])
def test_a_header_that_the_mac_does_not_cover_is_refused(system: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadEnvelope):
        seal(system=system)
    with pytest.raises(BadEnvelope):
        verify_mac(seal(), OEK, ARN, system, USER)


def test_a_mac_by_another_object_key_is_refused() -> None:
    with pytest.raises(MacMismatch):
        verify_mac(seal(), ObjectKey(bytes(32)), ARN, SYSTEM, USER)
    with pytest.raises(MacMismatch):
        verify_mac(replace(seal(), mac=bytes(32)), OEK, ARN, SYSTEM, USER)


def test_every_truncation_and_any_byte_more_is_refused() -> None:
    stored = raw(seal())
    for length in range(len(stored)):
        with pytest.raises(BadEnvelope):
            Envelope.decode(text(stored[:length]))
    with pytest.raises(BadEnvelope):
        Envelope.decode(text(stored + b"\0"))


def test_a_text_with_a_second_spelling_is_refused() -> None:
    good = seal(wrapped_key=b"wrapped!").encode()
    assert len(good) % 4, "the last character has unused bits"
    for bad in (
        good + "=",
        good + "\n",
        " " + good,
        good[:9] + "+" + good[10:],
        good[:-1] + chr(ord(good[-1]) + 1),
        "é",
    ):
        with pytest.raises(BadEnvelope):
            Envelope.decode(bad)


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (2, 3), (2, 4), (2, 5), (3, 4), (3, 8), (3, 128), (20, 1)],
)
def test_a_version_suite_kind_flag_or_size_that_is_not_known_is_refused(at: int, value: int) -> None:
    stored = bytearray(raw(seal()))
    stored[at] = value
    with pytest.raises(BadEnvelope):
        Envelope.decode(text(stored))


@pytest.mark.parametrize("count", [0, 2])
def test_any_number_of_keys_but_one_is_refused(count: int) -> None:
    stored = bytearray(raw(seal()))
    stored[28 + 2 + len(CONTEXT)] = count
    with pytest.raises(BadEnvelope):
        Envelope.decode(text(stored))


def test_text_that_is_not_utf_8_is_refused() -> None:
    stored = bytearray(raw(seal()))
    stored[30] = 0xFF
    with pytest.raises(BadEnvelope):
        Envelope.decode(text(stored))


@pytest.mark.parametrize(("sse", "wrapped_key"), [(Kind.SSE_C, b"kept"), (Kind.KMS, None)])
def test_a_wrapped_key_in_the_wrong_kind_is_refused(sse: Kind, wrapped_key: bytes | None) -> None:
    with pytest.raises(CipherMisuse):
        seal(sse=sse, wrapped_key=wrapped_key)
    forged = replace(seal(), sse=sse, keys=(replace(seal().keys[0], kind=sse, wrapped_key=wrapped_key),))
    with pytest.raises(BadEnvelope):
        Envelope.decode(forged.encode())


def test_a_field_that_has_no_encoding_is_refused() -> None:
    with pytest.raises(BadEnvelope):
        seal(user=(("note", "x" * 65_535),))
    with pytest.raises(BadEnvelope):
        seal(context="\ud800")
    with pytest.raises(BadEnvelope):
        seal(size=1 << 48)
    seal(user=(("note", "x" * 65_534),))


def test_kinds_and_lengths_not_served_are_misuse() -> None:
    with pytest.raises(CipherMisuse):
        seal(sse=Kind.DSSE)
    with pytest.raises(CipherMisuse):
        seal(oid=OID[:-1])


def test_errors_and_reprs_show_no_key() -> None:
    try:
        open_envelope(seal(), Secret(bytes(32)), ARN)
    except WrongKey as error:
        shown = f"{error!r} {error.__cause__!r} {seal()!r}"
    assert repr(OEK.reveal()) not in shown
    assert repr(DK.reveal()) not in shown
