"""Attacks that cost little to send and much to serve: bombs of XML, JSON, headers and wildcards, and slow clients.

The proxy here has a short patience with silent clients; each test waits for the server to act, with a bound.
"""

import base64
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks.at_rest import Backend, Read, read
from attacks.wire import PATIENCE, UNSIGNED, Signer, Wire, call, sha256
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, MAIN, ROOT, Proxy, running

MIB = 1024 * 1024
BOUND = 5.0  # seconds: hundreds of times what each of these takes, a fraction of what a bomb that goes off would


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy that hangs up on clients which are silent for half a second."""
    data = tmp_path_factory.mktemp("bombs") / "data"
    with running(data, SSEPROXY_IDLE_TIMEOUT="0.5") as started:
        started.client("s3", ROOT).create_bucket(Bucket="target")
        yield started


def memory(server: Proxy) -> int:
    """Bytes of memory at the server's highest so far."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def others_go_on(server: Proxy) -> bool:
    """Whether another client is served, and soon."""
    began = time.monotonic()
    s3 = server.client("s3", ALICE)
    s3.put_object(Bucket="target", Key="others", Body=b"served")
    assert read(s3, "target", "others") == Read(b"served")
    return time.monotonic() - began < BOUND


def timed(server: Proxy, *request: Any) -> Any:
    """A call's answer, which must come within the bound and take no more than 64 MiB."""
    began, before = time.monotonic(), memory(server)
    answer = call(server.endpoint, *request)
    assert time.monotonic() - began < BOUND
    assert memory(server) - before < 64 * MIB
    return answer


def _delete(key: str) -> str:
    return f"<Delete><Object><Key>{key}</Key></Object></Delete>"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
XML_BOMBS = {
    "billion-laughs": f'<!DOCTYPE Delete [<!ENTITY l0 "lol">{LAUGHS}]>' + _delete("&l9;"),
    "quadratic": f'<!DOCTYPE Delete [<!ENTITY a "{"a" * 50_000}">]>' + _delete("&a;" * 50_000),
    "external-file": '<!DOCTYPE Delete [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + _delete("&x;"),
    "external-url": '<!DOCTYPE Delete SYSTEM "http://127.0.0.1:9/x.dtd">' + _delete("a"),
    "parameter": '<!DOCTYPE Delete [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><Delete/>',
    "deep": "<Delete>" + "<Object>" * 200_000,
    "deep-and-closed": "<Delete>" + "<Object>" * 100_000 + "</Object>" * 100_000 + "</Delete>",
    "attributes": "<Delete " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>",
    "empty": "",
    "not-xml": "\0" * 1000,
    "utf-16-bomb": '<?xml version="1.0" encoding="UTF-16"?><Delete/>',
    "no-such-encoding": '<?xml version="1.0" encoding="x-none"?><Delete/>',
}


@pytest.mark.parametrize("name", sorted(XML_BOMBS))
@pytest.mark.parametrize("target", ["/target?delete=", "/target/o?uploadId=UPLOAD", "/target?encryption="])
def test_xml_bombs_are_malformed_and_cheap(server: Proxy, name: str, target: str) -> None:
    """Attack 42."""
    s3 = server.client("s3", ALICE)
    upload = s3.create_multipart_upload(Bucket="target", Key="o")["UploadId"]
    roots = {"uploadId": "CompleteMultipartUpload", "encryption": "ServerSideEncryptionConfiguration"}
    root = roots.get(target.partition("?")[2].partition("=")[0], "Delete")
    document = XML_BOMBS[name].replace("Delete", root).encode()
    method = "PUT" if "encryption" in target else "POST"
    extra = {"content-md5": _md5(document)}
    answer = timed(server, method, target.replace("UPLOAD", upload), document, extra)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert b"root:" not in answer.body
    assert read(s3, "target", "o").error == "NoSuchKey"
    assert others_go_on(server)


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


@pytest.mark.parametrize(
    ("count", "code"), [(10_000, "InvalidPart"), (10_001, "MalformedXML"), (22_000, "MalformedXML")]
)
def test_ten_thousand_parts_in_a_document_are_bounded(server: Proxy, count: int, code: str) -> None:
    """Attack 45."""
    upload = server.client("s3", ALICE).create_multipart_upload(Bucket="target", Key="o")["UploadId"]
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{'0' * 32}</ETag></Part>" for n in range(1, count + 1))
    document = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    answer = timed(server, "POST", f"/target/o?uploadId={upload}", document)
    assert (answer.status, answer.code) == (400, code)


@pytest.mark.parametrize("number", ["1" * 100_000, "-1", "1e9", "٣", "0x1", "", " 1 1 "])
def test_numbers_in_a_document_are_small_and_plain(server: Proxy, number: str) -> None:
    """Attack 45: int() of a long string costs quadratic time, and knows the digits of every script."""
    upload = server.client("s3", ALICE).create_multipart_upload(Bucket="target", Key="o")["UploadId"]
    part = f"<Part><PartNumber>{number}</PartNumber><ETag>x</ETag></Part>"
    document = f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()
    answer = timed(server, "POST", f"/target/o?uploadId={upload}", document)
    assert (answer.status, answer.code) == (400, "MalformedXML")


def test_a_document_beyond_its_limit_is_refused_unread(server: Proxy) -> None:
    """Attack 42: the length alone decides, before a byte of it is taken."""
    with Wire(server.endpoint) as wire:
        headers = Signer().headers("POST", "/target?delete=", wire.host, UNSIGNED)
        wire.head("POST", "/target?delete=", [*headers, ("content-length", str(10 * 1024**3))])
        answer = wire.answer()
    assert answer.status == 400
    assert answer.code in ("MaxMessageLengthExceeded", "EntityTooLarge")


def _statement(**more: Any) -> dict[str, Any]:
    principal = {"AWS": f"arn:aws:iam::{MAIN}:user/alice"}
    fixed = {"Effect": "Deny", "Principal": principal, "Action": "s3:GetObject"}
    return {**fixed, "Resource": "arn:aws:s3:::target/*", **more}


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def test_a_policy_of_thousands_of_wildcards_is_matched_in_bounded_time(server: Proxy) -> None:
    """Attack 43: patterns that would take a backtracking matcher for ever."""
    root, alice = server.client("s3", ROOT), server.client("s3", ALICE)
    for pattern in ("a*" * 9_000 + "b", "*?" * 9_000, "*a?" * 6_000 + "b", "?*" * 5_000 + "?" * 5_000):
        root.put_bucket_policy(Bucket="target", Policy=_document(_statement(Resource=f"arn:aws:s3:::target/{pattern}")))
        began = time.monotonic()
        assert read(alice, "target", "a" * 1_024).error == "NoSuchKey"
        assert time.monotonic() - began < BOUND
    many = [f"arn:aws:s3:::target/{'*a' * 20}{n}" for n in range(280)]
    root.put_bucket_policy(Bucket="target", Policy=_document(_statement(Resource=many)))
    began = time.monotonic()
    assert read(alice, "target", "a" * 1_024).error == "NoSuchKey"
    assert time.monotonic() - began < BOUND
    root.put_bucket_policy(Bucket="target", Policy=_document(_statement(Resource="arn:aws:s3:::target/" + "a*" * 500)))
    assert read(alice, "target", "a" * 1_024).error == "AccessDenied"
    root.delete_bucket_policy(Bucket="target")


POLICY_BOMBS = {
    "deep-lists": "[" * 9_000 + "]" * 9_000,
    "deep-objects": '{"Statement":' * 1_500 + "1" + "}" * 1_500,
    "deep-condition": _document(_statement(Condition=json.loads('{"a":' * 500 + "1" + "}" * 500))),
    "too-long": _document(*[_statement(Sid=f"s{n}") for n in range(400)]),
    "long-number": '{"Version":"2012-10-17","Statement":' + "9" * 15_000 + "}",
    "doubled-key": '{"Version":"2012-10-17","Statement":[],"Statement":[]}',
    "nan": '{"Version":"2012-10-17","Statement":NaN}',
    "lone-surrogate": _document(_statement(Sid="\ud800")),
}


@pytest.mark.parametrize("name", sorted(POLICY_BOMBS))
def test_policy_bombs_are_refused_by_both_doors(server: Proxy, name: str) -> None:
    """Attack 43: bucket policies and key policies."""
    text = POLICY_BOMBS[name]
    answer = timed(server, "PUT", "/target?policy=", text.encode())
    assert (answer.status, answer.code) == (400, "MalformedPolicy")
    kms = server.client("kms", ROOT)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    before = kms.get_key_policy(KeyId=key)["Policy"]
    began = time.monotonic()
    with pytest.raises(ClientError) as caught:
        kms.put_key_policy(KeyId=key, Policy=text)
    assert time.monotonic() - began < BOUND
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert kms.get_key_policy(KeyId=key)["Policy"] == before
    assert others_go_on(server)


@pytest.mark.parametrize(
    "body",
    [b"[" * 500_000, b'{"a":' * 100_000, b'{"KeyId":' + b"9" * 900_000 + b"}", b'"' + b"\\u0000" * 90_000],
    ids=["lists", "objects", "number", "text"],
)
def test_json_bombs_at_the_key_service_are_refused(server: Proxy, body: bytes) -> None:
    """Attack 43, at the other door: a client error, not a failure of ours."""
    extra = {"x-amz-target": "TrentService.DescribeKey", "content-type": "application/x-amz-json-1.1"}
    began = time.monotonic()
    answer = call(server.endpoint, "POST", "/", body, extra, Signer(service="kms"))
    assert time.monotonic() - began < BOUND
    assert answer.status == 400
    assert others_go_on(server)


def test_ten_thousand_header_bytes_are_bounded(server: Proxy) -> None:
    """Attack 45: much metadata is refused, and so is much of anything else."""
    answer = timed(server, "PUT", "/target/o", b"x", {"x-amz-meta-a": "a" * 10_000})
    assert (answer.status, answer.code) == (400, "MetadataTooLarge")
    answer = timed(server, "PUT", "/target/o", b"x", {f"x-amz-meta-{n}": "a" for n in range(1_000)})
    assert (answer.status, answer.code) == (400, "MetadataTooLarge")
    assert timed(server, "PUT", "/target/o", b"x", {"x-amz-meta-a": "a" * 2_000}).status == 200


@pytest.mark.parametrize("flood", [b"x-filler: " + b"a" * 8_000 + b"\r\n", b"a" * 8_192], ids=["lines", "one-line"])
def test_a_head_without_end_is_cut_off(server: Proxy, flood: bytes) -> None:
    """Attack 45: the server hangs up long before 64 MiB, and does not keep what it was sent."""
    before = memory(server)
    with Wire(server.endpoint) as wire:
        wire.socket.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ")
        with pytest.raises(ConnectionError):
            wire.socket.sendall(flood * (64 * MIB // len(flood)))
    assert memory(server) - before < 16 * MIB
    assert others_go_on(server)


def _stalls(server: Proxy) -> dict[str, bytes]:
    """Requests that stop in the middle: what is sent before the silence."""
    host = server.endpoint.removeprefix("http://")

    def head(method: str, target: str, size: int, signer: Signer, extra: dict[str, str]) -> bytes:
        headers = signer.headers(method, target, host, sha256(b"x" * size), extra)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{method} {target} HTTP/1.1\r\n{lines}content-length: {size}\r\n\r\n".encode()

    put = head("PUT", "/target/slow", 1_000, Signer(), {})
    api = {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}
    return {
        "within-a-body": put + b"x" * 10,
        "before-a-body": put,
        "within-a-document": head("PUT", "/target?policy=", 1_000, Signer(), {}) + b"{",
        "within-a-kms-call": head("POST", "/", 1_000, Signer(service="kms"), api) + b"{",
        "within-a-head": put[:100],
        "within-the-first-line": b"GET /targ",
        "before-anything": b"",
    }


def test_stalled_clients_are_closed_and_others_go_on(server: Proxy) -> None:
    """Attack 44: eight of each kind at a time."""
    wires = [(where, sent, Wire(server.endpoint)) for where, sent in _stalls(server).items() for _ in range(8)]
    try:
        for _, sent, wire in wires:
            wire.socket.sendall(sent)
        assert others_go_on(server)
        until = time.monotonic() + PATIENCE
        left_open = {where for where, _, wire in wires if not wire.is_closed_by(until)}
        assert left_open == set()
    finally:
        for _, _, wire in wires:
            wire.socket.close()
    assert read(server.client("s3", ALICE), "target", "slow").error == "NoSuchKey"
    assert Backend(server.data, "target").places() == set()


def test_a_client_that_trickles_its_body_after_the_refusal_is_closed(server: Proxy) -> None:
    """Attack 44: nobody waits for the rest of a body that is already refused, and each byte buys no more time."""
    with Wire(server.endpoint) as wire:
        wire.head("PUT", "/target/slow", [("host", wire.host), ("content-length", "1000")])
        wire.socket.sendall(b"x" * 10)
        assert wire.answer().status == 403
        wire.socket.sendall(b"x")
        assert wire.is_closed_by(time.monotonic() + PATIENCE)


def test_a_client_that_reads_no_answer_is_closed_and_others_go_on(server: Proxy) -> None:
    """Attack 44, on the way out: the answer is far more than all buffers between, and memory stays bounded."""
    s3 = server.client("s3", ALICE)
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="o", Body=bytes(48 * MIB))
    before = memory(server)
    wires = []
    try:
        for _ in range(5):
            wire = Wire(server.endpoint)
            wires.append(wire)
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            wire.head("GET", "/large/o", Signer().headers("GET", "/large/o", wire.host, UNSIGNED))
        assert others_go_on(server)
        assert memory(server) - before < 64 * MIB
        assert _let_go_of(server, len(wires))
    finally:
        for wire in wires:
            wire.socket.close()


def _let_go_of(server: Proxy, count: int) -> bool:
    """Poll until the server has closed the blob that so many unread answers came from, with a bound."""
    assert server.process is not None
    folder = Path(f"/proc/{server.process.pid}/fd")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with_blob = 0
        for link in folder.iterdir():
            try:
                with_blob += "/blobs/" in str(link.readlink())
            except FileNotFoundError:  # closed while we looked
                continue
        if with_blob == 0:
            return True
    raise AssertionError(f"{with_blob} of {count} unread answers hold their blob still")
