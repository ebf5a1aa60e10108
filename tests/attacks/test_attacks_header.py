"""Attacks of whoever holds the disk on what lies beside a body: metadata, the envelope, its keys. And property 35."""

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from attacks.at_rest import Backend, Read, Stored, events, read
from attacks.collisions import collide
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.proxy import ALICE, ROOT, Proxy, running

from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey, kek, meta_key
from sseproxy.cipher.envelope import Envelope, Kind, open_envelope, seal_envelope, verify_mac
from sseproxy.cipher.errors import MacMismatch

KMS = {"ServerSideEncryption": "aws:kms"}
PLAIN = b"salaries of the year, by name\n" * 30
META = {"Metadata": {"owner": "alice", "class": "secret"}, "ContentType": "text/csv", "CacheControl": "no-store"}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy whose disk is the attacker's."""
    with running(tmp_path_factory.mktemp("header") / "data") as started:
        started.client("s3").create_bucket(Bucket="attacked")
        yield started


@pytest.fixture(scope="module")
def s3(victim: Proxy) -> Any:
    """A client that checks no checksum of its own."""
    return victim.client("s3", ALICE, response_checksum_validation="when_required")


@pytest.fixture(scope="module")
def backend(victim: Proxy) -> Backend:
    """The attacker's view of the bucket."""
    return Backend(victim.data, "attacked")


@pytest.fixture(params=[{}, KMS], ids=["sse-s3", "sse-kms"])
def original(request: pytest.FixtureRequest, s3: Any, backend: Backend) -> Stored:
    """What lies there of the object `o`, which reads back."""
    s3.put_object(Bucket="attacked", Key="o", Body=PLAIN, **META, **request.param)
    assert read(s3, "attacked", "o") == Read(PLAIN)
    return backend.get("o")


def raw(envelope: str) -> bytearray:
    """An envelope's bytes."""
    return bytearray(base64.urlsafe_b64decode(envelope + "=" * (-len(envelope) % 4)))


def text(envelope: bytes | bytearray) -> str:
    """An envelope's text."""
    return base64.urlsafe_b64encode(envelope).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "user",
    [
        [["class", "public"], ["owner", "alice"]],
        [["class", "secret"]],
        [["class", "secret"], ["extra", "1"], ["owner", "alice"]],
        [["clas", "ssecret"], ["owner", "alice"]],
        [["class", "secret"], ["class", "secret"], ["owner", "alice"]],
        [],
    ],
    ids=["edited", "removed", "added", "boundary-moved", "doubled", "all-removed"],
)
def test_edited_user_metadata_is_an_error_on_get(
    s3: Any, backend: Backend, original: Stored, user: list[list[str]]
) -> None:
    """Attack 13."""
    assert original.user == [["class", "secret"], ["owner", "alice"]]
    backend.put("o", replace(original, user=user))
    assert read(s3, "attacked", "o").refused


@pytest.mark.parametrize(
    "system",
    [
        [["content-type", "text/html"], ["cache-control", "no-store"]],
        [["cache-control", "no-store"]],
        [["content-type", "text/csv"], ["cache-control", "no-store"], ["content-encoding", "gzip"]],
        [["content-type", "text/csv"], ["cache-control", "no-store"], ["set-cookie", "a=b"]],
        [["content-type", "text/csv"], ["content-type", "text/html"], ["cache-control", "no-store"]],
        [["content-type", "no-store"], ["cache-control", "text/csv"]],
        [["content-language", "text/csv"], ["cache-control", "no-store"]],
    ],
    ids=["edited", "removed", "added", "foreign", "doubled", "swapped", "renamed"],
)
def test_edited_system_headers_are_an_error_on_get(
    s3: Any, backend: Backend, original: Stored, system: list[list[str]]
) -> None:
    """Attack 14."""
    assert original.system == [["content-type", "text/csv"], ["cache-control", "no-store"]]
    backend.put("o", replace(original, system=system))
    assert read(s3, "attacked", "o").refused


@pytest.mark.parametrize(
    ("at", "bits"),
    [(0, 3), (1, 1), (1, 3), (2, 3), (2, 7), (3, 1), (3, 2), (3, 4), (3, 8), (4, 1), (19, 1), (20, 128), (27, 1)],
    ids=lambda value: str(value),
)
def test_an_edited_fixed_field_is_refused(s3: Any, backend: Backend, original: Stored, at: int, bits: int) -> None:
    """Attack 15: version, suite, sse, flags, oid and P, each with a bit or two changed."""
    envelope = raw(original.envelope)
    envelope[at] ^= bits
    backend.put("o", replace(original, envelope=text(envelope)))
    assert read(s3, "attacked", "o").refused


def test_the_kind_of_encryption_cannot_be_changed_even_consistently(
    s3: Any, backend: Backend, original: Stored
) -> None:
    """Attack 15: a KMS object relabelled SSE-S3 would be open to whoever has S3 rights alone."""
    envelope = Envelope.decode(original.envelope)
    other = Kind.KMS if envelope.sse is Kind.SSE_S3 else Kind.SSE_S3
    keys = (replace(envelope.keys[0], kind=other),)
    backend.put("o", replace(original, envelope=replace(envelope, sse=other, keys=keys).encode()))
    assert read(s3, "attacked", "o").refused


@pytest.mark.parametrize("envelope", ["", "-", "AQ", "e30"], ids=repr)
def test_an_object_without_an_envelope_is_refused_and_its_bytes_are_not_given_out(
    s3: Any, backend: Backend, original: Stored, envelope: str
) -> None:
    """Attack 16: no downgrade to plaintext."""
    backend.put("o", replace(original, envelope=envelope, body=b"planted by the backend", size=22))
    got = read(s3, "attacked", "o")
    assert got.refused
    backend.put("o", replace(original, envelope=envelope))
    assert read(s3, "attacked", "o").refused


def test_another_spelling_of_an_envelope_is_refused(s3: Any, backend: Backend, original: Stored) -> None:
    """Attack 15: base64 decoders skip foreign characters; ours has one spelling."""
    for spelling in (original.envelope + "=", original.envelope + "\n", " " + original.envelope):
        backend.put("o", replace(original, envelope=spelling))
        assert read(s3, "attacked", "o").refused


def test_a_client_cannot_bring_an_envelope_of_its_own(s3: Any, backend: Backend, original: Stored) -> None:
    """Attack 17: its x-amz-meta-ssep is dropped, whatever the case, and never shown."""
    for name in ("ssep", "SSEP"):
        s3.put_object(Bucket="attacked", Key="own", Body=b"mine", Metadata={name: original.envelope, "k": "v"})
        assert backend.get("own").envelope != original.envelope
        assert backend.get("own").user == [["k", "v"]]
        assert s3.head_object(Bucket="attacked", Key="own")["Metadata"] == {"k": "v"}
    upload = s3.create_multipart_upload(Bucket="attacked", Key="own", Metadata={"ssep": original.envelope})["UploadId"]
    etag = s3.upload_part(Bucket="attacked", Key="own", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    s3.complete_multipart_upload(Bucket="attacked", Key="own", UploadId=upload, MultipartUpload=parts)
    assert read(s3, "attacked", "own") == Read(b"part")
    assert backend.get("own").user == []


def test_a_seal_that_opens_under_two_keys_fails_at_the_mac() -> None:
    """Attack 18: GCM commits to no key. Here a seal opens under two data keys; the MAC lets one of them pass."""
    one, other = Secret(bytes(range(32))), Secret(bytes(range(32, 64)))
    salt, arn = bytes(32), "arn:aws:s3:::attacked/o"
    fields: dict[str, Any] = {
        "sse": Kind.KMS,
        "multipart": False,
        "bucket_key": False,
        "oid": bytes(16),
        "size": 5,
        "context": None,
        "wrapped_key": b"wrapped",
        "key_arn": "arn",
        "object_arn": arn,
        "system": (),
        "user": (),
        "seal_salt": salt,
    }
    draft = seal_envelope(dk=one, oek=ObjectKey(bytes(32)), **fields)
    aad = draft.fixed() + len(arn).to_bytes(2, "big") + arn.encode()
    keys = tuple(kek(dk, salt, Kind.KMS).reveal() for dk in (one, other))
    seal = collide(keys, bytes(12), aad, blocks=2)
    forged = replace(draft, keys=(replace(draft.keys[0], seal=seal),))
    oeks = [open_envelope(forged, dk, arn) for dk in (one, other)]
    assert oeks[0].reveal() != oeks[1].reveal(), "the seal opens under both"
    honest = seal_envelope(dk=one, oek=oeks[0], **fields)
    # the attacker knows the first object key, and makes the best MAC that there is for it
    forged = replace(forged, keys=(replace(honest.keys[0], seal=seal),), mac=_mac_for(forged, oeks[0], arn))
    verify_mac(forged, oeks[0], arn, (), ())
    with pytest.raises(MacMismatch):
        verify_mac(forged, oeks[1], arn, (), ())


def _mac_for(envelope: Envelope, oek: ObjectKey, arn: str) -> bytes:
    """The MAC of an envelope as FORMAT.md writes it, for whoever has the object key."""
    (key,) = envelope.keys
    sealed = bytes((key.kind,)) + key.seal_salt + key.seal
    name = len(arn).to_bytes(2, "big") + arn.encode()
    message = envelope.fixed() + b"\xff\xff" + sealed + name + b"\xff\xff" * 7 + bytes(4)
    return hmac.digest(meta_key(oek).reveal(), message, "sha256")


def test_the_wrapped_key_of_another_object_is_refused(victim: Proxy, s3: Any, backend: Backend) -> None:
    """Attack 19: the key service finds another context, and says InvalidCiphertext; the audit names the caller."""
    s3.put_object(Bucket="attacked", Key="p", Body=b"p's", **KMS)
    s3.put_object(Bucket="attacked", Key="q", Body=b"q's", **KMS)
    stored = backend.get("q")
    theirs = Envelope.decode(backend.get("p").envelope).keys[0]
    mine = Envelope.decode(stored.envelope)
    keys = (replace(mine.keys[0], wrapped_key=theirs.wrapped_key, key_arn=theirs.key_arn),)
    backend.put("q", replace(stored, envelope=replace(mine, keys=keys).encode()))
    got = read(s3, "attacked", "q")
    assert got.refused
    assert got.error == "KMS.InvalidCiphertextException"
    last = [event for event in events(victim.data) if event["eventName"] == "Decrypt"][-1]
    assert last["errorCode"] == "InvalidCiphertextException"
    assert last["userIdentity"]["userName"] == "alice"
    # all of p's keys under q's name: the key service's context is p's place, so it is refused there too
    backend.put("q", replace(stored, envelope=backend.get("p").envelope, body=backend.get("p").body))
    assert read(s3, "attacked", "q").error == "KMS.InvalidCiphertextException"


def test_a_wrapped_key_under_another_kms_key_is_refused(victim: Proxy, s3: Any, backend: Backend) -> None:
    """Attack 19: the ARN beside the wrapped key is not authenticated; a wrong one opens nothing."""
    s3.put_object(Bucket="attacked", Key="r", Body=b"r's", **KMS)
    stored = backend.get("r")
    envelope = Envelope.decode(stored.envelope)
    other = victim.client("kms", ROOT).create_key()["KeyMetadata"]["Arn"]
    for arn in (other, other.replace("111122223333", "444455556666"), "", "nonsense"):
        keys = (replace(envelope.keys[0], key_arn=arn),)
        backend.put("r", replace(stored, envelope=replace(envelope, keys=keys).encode()))
        got = read(s3, "attacked", "r")
        assert got.refused, arn
        assert got.status < 500, arn


SIZES = {"tiny": 0, "inline": 700, "blob": 150_000}


@pytest.fixture(scope="module")
def originals(s3: Any, backend: Backend) -> dict[str, tuple[bytes, Stored]]:
    """Objects for the property: their plaintext, and what lies there of them."""
    found = {}
    for name, size in SIZES.items():
        body = bytes(range(251)) * (size // 251 + 1)
        s3.put_object(Bucket="attacked", Key=name, Body=body[:size], **META, **KMS)
        found[name] = (body[:size], backend.get(name))
    return found


@st.composite
def mutations(draw: st.DrawFn, length: int) -> list[tuple[str, int, int]]:
    """A few edits of a string of bytes: what, where, and a number that says how."""
    where = st.integers(0, max(length - 1, 0))
    kind = st.sampled_from(["flip", "cut", "drop", "repeat", "insert"])
    return draw(st.lists(st.tuples(kind, where, st.integers(1, 255)), min_size=1, max_size=3))


def mutated(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    """The same bytes after the edits."""
    for kind, where, number in edits:
        at = min(where, max(len(data) - 1, 0))
        if kind == "flip":
            data = data[:at] + bytes(byte ^ number for byte in data[at : at + 1]) + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "drop":
            data = data[:at] + data[at + number :]
        elif kind == "repeat":
            data = data[: at + number] + data[at:]
        else:
            data = data[:at] + bytes((number,)) + data[at:]
    return data


@settings(max_examples=120, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(SIZES)), field=st.sampled_from(["body", "envelope", "headers"]))
def test_any_mutated_stored_byte_gives_the_original_bytes_or_an_error(
    s3: Any, backend: Backend, originals: dict[str, tuple[bytes, Stored]], data: st.DataObject, name: str, field: str
) -> None:
    """Attack 35, and what came with the bytes is original too."""
    plaintext, before = originals[name]
    if field == "body":
        body = mutated(before.body, data.draw(mutations(len(before.body))))
        size = data.draw(st.sampled_from([len(body), before.size]))
        after = replace(before, body=body, size=size)
    elif field == "envelope":
        bits = raw(before.envelope)
        after = replace(before, envelope=text(mutated(bytes(bits), data.draw(mutations(len(bits))))))
    else:
        pairs = json.dumps([before.system, before.user])
        system, user = json.loads(pairs)
        which = data.draw(st.sampled_from([*system, *user]))
        which[data.draw(st.integers(0, 1))] = data.draw(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
        after = replace(before, system=system, user=user)
    backend.put(name, after)
    try:
        got = read(s3, "attacked", name)
        if got.error is None:
            assert got.data == plaintext
            answer = s3.get_object(Bucket="attacked", Key=name)
            answer["Body"].close()
            assert (answer["Metadata"], answer["ContentType"]) == (META["Metadata"], META["ContentType"])
        else:
            assert plaintext.startswith(got.data)
            assert got.status < 500 or field == "body"
    finally:
        backend.put(name, before)
    assert read(s3, "attacked", name) == Read(plaintext)
