"""What lies on the disk: no window of a plaintext, no access key's secret, no key; names and metadata are readable."""

import base64
import os
import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit.proxy import ALICE, BOB, CAROL, OTHER_ROOT, ROOT, Proxy, running

WINDOW = 16
MIB = 1 << 20
_CHANCE = random.Random(16)
PLAINTEXTS = {
    "inline": _CHANCE.randbytes(1000),
    "blob": _CHANCE.randbytes(MIB + 5),
    "multipart": _CHANCE.randbytes(6 * MIB + 1000),
    "left undone": _CHANCE.randbytes(300_000),
    "overwritten": _CHANCE.randbytes(100_000),
    "deleted": _CHANCE.randbytes(2000),
    "text": b"The quick brown fox jumps over the lazy dog. " * 40,
    "zeros": b"\x07" * 5000,
}


def windows(data: bytes, offset: int = 0) -> Iterator[tuple[bytes]]:
    """The windows at an offset, one after the other."""
    whole = (len(data) - offset) // WINDOW * WINDOW
    return struct.iter_unpack(f"{WINDOW}s", memoryview(data)[offset : offset + max(whole, 0)])


def windows_of(plaintexts: Iterable[bytes]) -> set[tuple[bytes]]:
    """What must be nowhere: of a small plaintext every window, of a large one those at multiples of their size, so that
    31 bytes of it in a row can't escape."""
    wanted: set[tuple[bytes]] = set()
    for plaintext in plaintexts:
        for offset in range(WINDOW if len(plaintext) <= 100_000 else 1):
            wanted.update(windows(plaintext, offset))
    return wanted


def leaks(wanted: set[tuple[bytes]], content: bytes) -> bool:
    """Whether one of them is in the content, wherever it begins."""
    return not all(wanted.isdisjoint(windows(content, offset)) for offset in range(WINDOW))


def files(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file of the data folder, with the write-ahead logs of its databases."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def fill(s3: Any, key: str) -> None:
    """One object of each kind, under SSE-S3 and under `key`."""
    s3.create_bucket(Bucket="at-rest")
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for prefix, how in (("s3", {}), ("kms", kms)):
        for name in ("inline", "blob", "text", "zeros", "overwritten", "deleted"):
            target = {"Bucket": "at-rest", "Key": f"{prefix}/{name}"}
            s3.put_object(**target, Body=PLAINTEXTS[name], Metadata={"label": "readable metadata"}, **how)
        s3.put_object(Bucket="at-rest", Key=f"{prefix}/overwritten", Body=b"new", **how)
        s3.delete_object(Bucket="at-rest", Key=f"{prefix}/deleted")
        for name in ("multipart", "left undone"):
            target = {"Bucket": "at-rest", "Key": f"{prefix}/{name}"}
            named = {**target, "UploadId": s3.create_multipart_upload(**target, **how)["UploadId"]}
            parts = []
            for number, at in enumerate(range(0, len(PLAINTEXTS[name]), 6 * MIB), 1):
                body = PLAINTEXTS[name][at : at + 6 * MIB]
                etag = s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]
                parts.append({"PartNumber": number, "ETag": etag})
            if name == "multipart":
                s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        s3.copy_object(Bucket="at-rest", Key=f"{prefix}/copy", CopySource=f"at-rest/{prefix}/blob", **how)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, dict[str, bytes]]]:
    """A server with objects of all kinds, still running; and the data keys that a client was given in the clear."""
    with running(tmp_path_factory.mktemp("rest") / "data") as proxy:
        kms = proxy.client("kms", ALICE)
        key = kms.create_key()["KeyMetadata"]["Arn"]
        fill(proxy.client("s3", ALICE), key)
        given = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        secret = os.urandom(64)
        back = kms.decrypt(CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=secret)["CiphertextBlob"])["Plaintext"]
        assert back == secret
        yield proxy, {"a data key": given["Plaintext"], "what KMS encrypted": secret}


def test_every_object_is_readable_through_the_proxy(filled: tuple[Proxy, dict[str, bytes]]) -> None:
    s3 = filled[0].client("s3", ALICE)
    for prefix in ("s3", "kms"):
        for name, source in (("inline",) * 2, ("blob",) * 2, ("multipart",) * 2, ("text",) * 2, ("copy", "blob")):
            got = s3.get_object(Bucket="at-rest", Key=f"{prefix}/{name}")
            assert got["Body"].read() == PLAINTEXTS[source]


def test_no_window_of_a_plaintext_is_anywhere_on_the_disk(filled: tuple[Proxy, dict[str, bytes]]) -> None:
    wanted, stored = windows_of(PLAINTEXTS.values()), 0
    for path, content in files(filled[0].data):
        assert not leaks(wanted, content), path
        stored += len(content)
    # it is all there, as ciphertext: under SSE-S3 and under SSE-KMS, the blob and its copy
    assert stored > 2 * sum(len(PLAINTEXTS[name]) for name in ("blob", "blob", "multipart", "left undone"))


def test_the_search_finds_a_window_that_is_there() -> None:
    """The twin: a stretch of plaintext, at any offset of a file, would have failed the test above."""
    wanted = windows_of(PLAINTEXTS.values())
    for offset in range(WINDOW):
        for name, length in (("inline", WINDOW), ("text", WINDOW), ("blob", 31), ("multipart", 31)):
            leak = PLAINTEXTS[name][100 + offset :][:length]
            assert leaks(wanted, b"-" * offset + leak + b"-" * 9), (name, offset)
    assert not leaks(wanted, b"-" * 1000)


def test_names_and_metadata_are_readable_as_documented(filled: tuple[Proxy, dict[str, bytes]]) -> None:
    everything = b"".join(content for _, content in files(filled[0].data))
    assert b"readable metadata" in everything
    assert b"kms/inline" in everything


def forms(secret: bytes) -> dict[str, bytes]:
    """How bytes may have come to lie in a file."""
    return {
        "as it is": secret,
        "hex": secret.hex().encode(),
        "base64": base64.b64encode(secret).rstrip(b"="),
        "base64url": base64.urlsafe_b64encode(secret).rstrip(b"="),
    }


def test_no_secret_of_an_access_key_and_no_data_key_is_on_the_disk(filled: tuple[Proxy, dict[str, bytes]]) -> None:
    proxy, keys = filled
    secrets = {who.access_key_id: who.secret.encode() for who in (ROOT, ALICE, BOB, CAROL, OTHER_ROOT)} | keys
    for path, content in files(proxy.data):
        for name, secret in secrets.items():
            for how, form in forms(secret).items():
                assert form not in content, f"{name}, {how}, in {path}"
    known = b"".join(content for _, content in files(proxy.data))
    assert ALICE.access_key_id.encode() in known


def test_the_root_key_is_in_its_own_file_alone_and_only_the_owner_reads_it(
    filled: tuple[Proxy, dict[str, bytes]],
) -> None:
    folder = filled[0].data
    file = folder / "root.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0
    text = max(file.read_bytes().split(), key=len)
    for path, content in files(folder):
        assert path == file or text not in content, path


def test_what_the_server_says_has_no_secret_in_it(filled: tuple[Proxy, dict[str, bytes]]) -> None:
    proxy, keys = filled
    log = proxy.data.with_name(proxy.data.name + ".log").read_bytes()
    for secret in [who.secret.encode() for who in (ROOT, ALICE, OTHER_ROOT)] + list(keys.values()):
        for how, form in forms(secret).items():
            assert form not in log, how
