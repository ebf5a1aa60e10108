"""examples/reader.py, which knows FORMAT.md and nothing of our code: on the vectors, and on a running proxy's store."""

import ast
import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attacks.at_rest import Backend
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, Proxy

ROOT_FOLDER = Path(__file__).parents[2]
READER = ROOT_FOLDER / "examples" / "reader.py"
VECTORS = ROOT_FOLDER / "tests" / "vectors"
MIB = 1 << 20


def module(path: Path) -> ModuleType:
    """A script by its file."""
    spec = importlib.util.spec_from_file_location(f"reader_test_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


reader, make = module(READER), module(VECTORS / "format" / "make.py")
make_pieces = module(VECTORS / "format" / "pieces" / "make_pieces.py")
OBJECTS = [json.loads(path.read_text()) for path in sorted((VECTORS / "format").glob("*.json"))]
BLOBS = json.loads((VECTORS / "kms" / "blobs.json").read_text())
SEGMENTS, FOOTERS, ENVELOPES = (
    json.loads((VECTORS / "format" / "pieces" / f"{name}.json").read_text())
    for name in ("segments", "footers", "envelopes")
)
TWINS = [pytest.param(v, t, id=f"{v['name']}: {t['what']}") for v in OBJECTS for t in v["twins"]]
STORED = {vector["name"]: make.stored_object(vector) for vector in OBJECTS}


def read(vector: dict[str, Any], stored: bytes, *, unwrap: bool) -> bytes:
    """A vector's plaintext, by the reader's own functions."""
    bucket, key = vector["arn"].removeprefix("arn:aws:s3:::").split("/", 1)
    envelope, system, user = reader.load_headers(json.dumps([vector["envelope"], vector["system"], vector["user"]]))
    data_key, kms = bytes.fromhex(vector["data_key"]), vector.get("kms")
    if unwrap:
        material = bytes.fromhex(kms["material"])
        data_key = reader.open_blob(envelope.wrapped, material, kms["key_id"], envelope.kms_context(bucket, key))
    found: bytes = reader.read(envelope, envelope.open(data_key, vector["arn"], system, user), stored)
    return found


def test_the_reader_is_short_and_imports_nothing_of_ours() -> None:
    text = READER.read_text()
    assert len(text.splitlines()) < 150
    names = {alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}


@pytest.mark.parametrize("vector", OBJECTS, ids=[vector["name"] for vector in OBJECTS])
def test_the_reader_opens_every_object(vector: dict[str, Any]) -> None:
    for unwrap in (False, True)[: 1 + ("kms" in vector)]:
        text = read(vector, STORED[vector["name"]], unwrap=unwrap)
        assert hashlib.sha256(text).hexdigest() == vector["sha256"]


@pytest.mark.parametrize(("vector", "twin"), TWINS)
def test_the_reader_refuses_every_tampered_twin_by_its_name(vector: dict[str, Any], twin: dict[str, Any]) -> None:
    changed, stored = make.tampered(vector, twin, STORED[vector["name"]])
    expected = {False: twin["error"]}
    if "kms" in vector and twin["edit"]["of"] != "data_key":
        expected[True] = twin.get("kms_error", twin["error"])
    for unwrap, error in expected.items():
        if error is None:
            assert hashlib.sha256(read(changed, stored, unwrap=unwrap)).hexdigest() == vector["sha256"]
        else:
            with pytest.raises(ValueError, match=f"^{error}: "):
                read(changed, stored, unwrap=unwrap)


@pytest.mark.parametrize("vector", BLOBS, ids=[vector["name"] for vector in BLOBS])
def test_the_reader_opens_every_blob_and_refuses_its_twins(vector: dict[str, Any]) -> None:
    def opened(of: dict[str, Any], blob: bytes) -> str:
        return str(reader.open_blob(blob, bytes.fromhex(of["material"]), of["key_id"], of["context"]).hex())

    blob = bytes.fromhex(vector["blob"])
    assert opened(vector, blob) == vector["plaintext"]
    for twin in vector["twins"]:
        edit = twin["edit"]
        changed = vector | {edit["of"]: edit["value"]} if edit["do"] == "set" else vector
        cut = blob[: edit["length"]] if edit["do"] == "keep" else blob
        altered = cut if edit["do"] in ("set", "keep") else make.edited(blob, edit)
        with pytest.raises(ValueError, match=f"^{twin['error']}: "):
            opened(changed, altered)


@pytest.mark.parametrize("vector", SEGMENTS, ids=[vector["name"] for vector in SEGMENTS])
def test_the_reader_opens_every_segment_that_is_given_in_full_and_refuses_its_twins(vector: dict[str, Any]) -> None:
    def opened(of: dict[str, Any], sealed: bytes) -> bytes:
        prk, salt = reader.mac(b"ssep/v1", bytes.fromhex(of["oek"])), bytes.fromhex(of["salt"])
        found: bytes = reader.open_part(prk, of["number"], of["p"], salt, sealed, "BadSegment: here", of["index"])
        return found

    if vector["sealed"] is None:  # a full segment: objects have them
        assert vector["p"] - vector["index"] * 65_536 >= 65_536
        return
    sealed = bytes.fromhex(vector["sealed"])
    assert hashlib.sha256(opened(vector, sealed)).hexdigest() == vector["text_sha256"]
    for twin in vector["twins"]:
        change, altered = twin["set"], bytearray(sealed)
        if "flip" in change:
            altered[change["flip"]] ^= 1
        with pytest.raises(ValueError, match=f"^{twin['error']}: "):
            opened(vector | change, bytes(altered[: len(sealed) - change.get("cut", 0)]))


def test_the_reader_opens_every_footer_and_refuses_what_contradicts_itself() -> None:
    def opened(of: dict[str, Any], end: bytes) -> Any:
        return reader.open_footer(reader.mac(b"ssep/v1", bytes.fromhex(of["oek"])), end, of["stored_size"])

    for vector in FOOTERS["good"]:
        end = base64.b64decode(vector["end"])
        kind, size, parts = opened(vector, end)
        assert (kind, size) == (vector["multipart"], vector["size"])
        told = [[number, length, salt.hex()] for number, length, salt in parts]
        assert vector["parts"] in (told, hashlib.sha256(json.dumps(told).encode()).hexdigest())
        for twin in vector["twins"]:
            change, altered = twin["set"], bytearray(end)
            if "flip" in change:
                altered[change["flip"]] ^= 1
            with pytest.raises(ValueError, match=f"^{twin['error']}: "):
                opened(vector | change, bytes(altered[: len(end) - change.get("cut", 0)]))
    for vector in FOOTERS["refused"]:
        if not vector["name"].startswith("values: "):  # a reader that uses no checksum need not look at them
            with pytest.raises(ValueError, match=f"^{vector['error']}: values"):
                opened(vector, base64.b64decode(vector["end"]))


def test_the_reader_parses_every_envelope_and_refuses_what_is_none() -> None:
    for vector in ENVELOPES["good"]:
        envelope, reads = reader.Envelope(vector["text"]), vector["reads"]
        assert (envelope.sse, envelope.flags, envelope.mac.hex()) == (reads["sse"], reads["flags"], reads["mac"])
        texts = [None if text is None else text.encode() for text in (reads["context"], reads["key_arn"])]
        assert [envelope.context, envelope.key_arn] == texts
    for vector in ENVELOPES["refused"]:
        with pytest.raises(ValueError, match=f"^{vector['error']}: "):
            reader.Envelope(vector["text"])


@dataclass(frozen=True, slots=True)
class Taken:
    """An object as files, taken out of the store, for the reader's command line."""

    folder: Path
    bucket: str
    key: str

    def reader(self, *more: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the reader on it, with nothing of ours on the path."""
        command = [sys.executable, "-I", str(READER), str(self.folder / "headers"), self.bucket, self.key, *more]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SSEPROXY_"))}
        return subprocess.run(
            command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def restore(self, *secret: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The plaintext, to the file `out`."""
        return self.reader(str(self.folder / "body"), str(self.folder / "out"), *secret, stdin=stdin)


def take(proxy: Proxy, bucket: str, key: str, folder: Path, *, as_s3: bool = False) -> Taken:
    """What lies at the store, written to files: the index's own headers, or what an S3 server would return."""
    stored = Backend(proxy.data, bucket).get(key)
    headers: Any = [stored.envelope, stored.system, stored.user]
    if as_s3:
        user = {f"X-Amz-Meta-{name}": value for name, value in stored.user}
        headers = {name.title(): value for name, value in stored.system} | user | {"x-amz-meta-ssep": stored.envelope}
        headers |= {"Content-Length": str(stored.size), "ETag": stored.etag, "Server": "of another kind"}
    folder.mkdir()
    (folder / "headers").write_text(json.dumps(headers))
    (folder / "body").write_bytes(stored.body)
    return Taken(folder, bucket, key)


@pytest.fixture(scope="module")
def kms_key(proxy: Proxy) -> str:
    """A key of the main account, with the default policy: alice's IAM policy lets her use it, directly too."""
    return str(proxy.client("kms", ALICE).create_key()["KeyMetadata"]["KeyId"])


def data_key(proxy: Proxy, taken: Taken) -> str:
    """What the stock AWS CLI answers, as alice, to the question that the reader asks."""
    asked = taken.reader()
    assert asked.returncode == 0, asked.stderr
    question = json.loads(asked.stdout)
    (taken.folder / "blob").write_bytes(base64.b64decode(question["CiphertextBlob"]))
    words = ["--ciphertext-blob", f"fileb://{taken.folder / 'blob'}"]
    words += ["--encryption-context", json.dumps(question["EncryptionContext"])]
    return proxy.aws("kms", "decrypt", *words, "--query", "Plaintext", "--output", "text", who=ALICE).stdout.strip()


@pytest.mark.parametrize("bucket_key", [False, True])
@pytest.mark.parametrize("as_s3", [False, True])
def test_an_object_of_a_running_proxy_is_restored_with_the_key_that_its_user_may_decrypt(
    proxy: Proxy, bucket: str, kms_key: str, tmp_path: Path, bucket_key: bool, as_s3: bool
) -> None:
    text = os.urandom(200_000)
    proxy.client("s3", ALICE).put_object(
        Bucket=bucket,
        Key="a b/ü+%41.bin",
        Body=text,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=kms_key,
        SSEKMSEncryptionContext=base64.b64encode('{"team": "grün"}'.encode()).decode(),
        BucketKeyEnabled=bucket_key,
        Metadata={"colour": "blue", "accent": "=?UTF-8?B?w6k=?=", "empty": ""},
        ContentDisposition="attachment",
        WebsiteRedirectLocation="/elsewhere",
    )
    taken = take(proxy, bucket, "a b/ü+%41.bin", tmp_path / "taken", as_s3=as_s3)
    done = taken.restore(data_key(proxy, taken))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (taken.folder / "out").read_bytes() == text
    assert text[:16] not in (taken.folder / "body").read_bytes()


def test_a_multipart_object_of_unaligned_parts_is_restored(
    proxy: Proxy, bucket: str, kms_key: str, tmp_path: Path
) -> None:
    s3 = proxy.client("s3", ALICE)
    parts = {2: os.urandom(5 * MIB + 1), 3: os.urandom(5 * MIB + 65_535), 7: os.urandom(70_001)}
    where = {"Bucket": bucket, "Key": "parts"}
    where["UploadId"] = s3.create_multipart_upload(**where, ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)[
        "UploadId"
    ]
    s3.upload_part(**where, PartNumber=3, Body=b"an attempt that is superseded")
    tags = {n: s3.upload_part(**where, PartNumber=n, Body=body)["ETag"] for n, body in parts.items()}
    told = [{"PartNumber": n, "ETag": tag} for n, tag in tags.items()]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": told})
    taken = take(proxy, bucket, "parts", tmp_path / "taken")
    done = taken.restore("-", stdin=base64.b64decode(data_key(proxy, taken)).hex() + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert (taken.folder / "out").read_bytes() == b"".join(parts.values())


def test_nothing_is_restored_from_altered_bytes_or_headers_or_under_another_name(
    proxy: Proxy, bucket: str, kms_key: str, tmp_path: Path
) -> None:
    put = {"Bucket": bucket, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key, "Metadata": {"colour": "blue"}}
    proxy.client("s3", ALICE).put_object(**put, Key="one", Body=b"a text of thirty-two bytes or so")
    taken = take(proxy, bucket, "one", tmp_path / "taken")
    key = data_key(proxy, taken)
    body, headers = (taken.folder / "body").read_bytes(), (taken.folder / "headers").read_text()
    (taken.folder / "body").write_bytes(bytes((*body[:20], body[20] ^ 1, *body[21:])))
    assert taken.restore(key).stderr.startswith("reader: BadSegment: ")
    (taken.folder / "body").write_bytes(body[:-1])
    assert taken.restore(key).stderr.startswith("reader: BadFooter: ")
    (taken.folder / "body").write_bytes(body)
    (taken.folder / "headers").write_text(headers.replace("blue", "grey"))
    assert taken.restore(key).stderr.startswith("reader: MacMismatch: ")
    (taken.folder / "headers").write_text(headers)
    assert Taken(taken.folder, bucket, "two").restore(key).stderr.startswith("reader: WrongKey: ")
    assert taken.restore(base64.b64encode(bytes(32)).decode()).stderr.startswith("reader: WrongKey: ")
    assert not (taken.folder / "out").exists()
    assert taken.restore(key).returncode == 0
    assert (taken.folder / "out").read_bytes() == b"a text of thirty-two bytes or so"


def test_the_stored_bytes_are_worth_nothing_to_a_user_without_the_key(
    proxy: Proxy, bucket: str, kms_key: str, tmp_path: Path
) -> None:
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    proxy.client("s3", ALICE).put_object(Bucket=bucket, Key="one", Body=b"text", **encryption)
    asked = json.loads(take(proxy, bucket, "one", tmp_path / "taken").reader().stdout)
    question = {"CiphertextBlob": base64.b64decode(asked["CiphertextBlob"])}
    with pytest.raises(ClientError, match="AccessDenied"):
        proxy.client("kms", BOB).decrypt(**question, EncryptionContext=asked["EncryptionContext"])
    elsewhere = {"aws:s3:arn": asked["EncryptionContext"]["aws:s3:arn"] + "x"}
    with pytest.raises(ClientError, match="InvalidCiphertext"):
        proxy.client("kms", ALICE).decrypt(**question, EncryptionContext=elsewhere)


def test_the_command_line_opens_a_wrapped_key_from_material_and_says_how_it_is_used(tmp_path: Path) -> None:
    vector = next(vector for vector in OBJECTS if vector["name"] == "every-header")
    user = {f"x-amz-meta-{n}": v or "=?UTF-8?B??=" for n, v in vector["user"] if n != "looks-filled"}
    user["x-amz-meta-looks-filled"] = "=?UTF-8?B??=="  # as an S3 store writes these two
    headers = {**dict(vector["system"]), **user, "x-amz-meta-ssep": vector["envelope"]}
    (tmp_path / "headers").write_text(json.dumps(headers))
    (tmp_path / "body").write_bytes(STORED[vector["name"]])
    taken = Taken(tmp_path, *vector["arn"].removeprefix("arn:aws:s3:::").split("/", 1))
    done = taken.restore("-", vector["kms"]["key_id"], stdin=vector["kms"]["material"])
    assert (done.returncode, done.stderr) == (0, "")
    assert hashlib.sha256((tmp_path / "out").read_bytes()).hexdigest() == vector["sha256"]
    assert "InvalidCiphertext" in taken.restore("00" * 32, vector["kms"]["key_id"]).stderr
    assert "made by another KMS key" in taken.restore(vector["kms"]["material"], BLOBS[0]["key_id"]).stderr
    usage = taken.reader("body")
    assert usage.returncode == 1
    assert "reader.py HEADERS BUCKET KEY BODY OUT DATA_KEY" in usage.stderr
