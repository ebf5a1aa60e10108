"""Attacks on the wire: requests forged, replayed, edited and mangled. Each has a well-formed twin that passes."""

import base64
import hashlib
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from attacks.at_rest import Backend, Read, read
from attacks.wire import PATIENCE, STREAMING, UNSIGNED, Signer, Wire, ago, call, exchange, quoted, sha256
from testkit.proxy import ALICE, BOB, Credential, Proxy

TEXT = b"nobody may change this on its way"


def host(proxy: Proxy) -> str:
    """HOST:PORT, as a Host header has it."""
    return urlsplit(proxy.endpoint).netloc


def nothing_is_there(proxy: Proxy, bucket: str) -> bool:
    """No object listed, no row, no blob left over."""
    listed = proxy.client("s3", ALICE).list_objects_v2(Bucket=bucket)["KeyCount"]
    return listed == 0 and not Backend(proxy.data, bucket).places()


def checksum(name: str, body: bytes) -> dict[str, str]:
    """A checksum header."""
    digest = {"content-md5": hashlib.md5, "x-amz-checksum-sha256": hashlib.sha256, "x-amz-checksum-sha1": hashlib.sha1}
    return {name: base64.b64encode(digest[name](body).digest()).decode()}


@pytest.mark.parametrize("size", [len(TEXT), 300_000], ids=["inline", "blob"])
@pytest.mark.parametrize("name", ["content-md5", "x-amz-checksum-sha256", "x-amz-checksum-sha1"])
def test_a_body_that_is_not_what_its_checksum_says_never_appears(
    proxy: Proxy, bucket: str, name: str, size: int
) -> None:
    """Attack 31."""
    body = (TEXT * (size // len(TEXT) + 1))[:size]
    wrong = checksum(name, body[:-1] + b"?")
    answer = call(proxy.endpoint, "PUT", f"/{bucket}/o", body, wrong)
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert nothing_is_there(proxy, bucket)
    assert call(proxy.endpoint, "PUT", f"/{bucket}/o", body, checksum(name, body)).status == 200
    assert call(proxy.endpoint, "PUT", f"/{bucket}/o", body + b"x", wrong).code == "BadDigest"
    assert read(proxy.client("s3", ALICE), bucket, "o") == Read(body)


def test_a_body_that_is_not_the_one_signed_never_appears(proxy: Proxy, bucket: str) -> None:
    """Attack 31, by the payload's hash; for documents too."""
    headers = Signer().headers("PUT", f"/{bucket}/o", host(proxy), sha256(TEXT))
    answer = exchange(proxy.endpoint, "PUT", f"/{bucket}/o", headers, TEXT[::-1])
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert nothing_is_there(proxy, bucket)
    mild = b'{"Version":"2012-10-17","Statement":[]}'
    headers = Signer().headers("PUT", f"/{bucket}?policy=", host(proxy), sha256(mild))
    assert exchange(proxy.endpoint, "PUT", f"/{bucket}?policy=", headers, mild[::-1]).status == 400
    assert exchange(proxy.endpoint, "PUT", f"/{bucket}/o", headers, TEXT).code == "SignatureDoesNotMatch"
    headers = Signer().headers("PUT", f"/{bucket}/o", host(proxy), sha256(TEXT))
    assert exchange(proxy.endpoint, "PUT", f"/{bucket}/o", headers, TEXT).status == 200


@pytest.mark.parametrize("sent", [0, 10, 200_000])
def test_a_body_that_ends_early_never_appears(proxy: Proxy, bucket: str, sent: int) -> None:
    """Attack 31, by length: the client hangs up within the body."""
    body = bytes(300_000)
    with Wire(proxy.endpoint) as wire:
        headers = Signer().headers("PUT", f"/{bucket}/o", wire.host, UNSIGNED)
        wire.head("PUT", f"/{bucket}/o", [*headers, ("content-length", str(len(body)))])
        wire.socket.sendall(body[:sent])
        wire.socket.shutdown(1)
        assert wire.is_closed_by(time.monotonic() + PATIENCE)
    call(proxy.endpoint, "PUT", f"/{bucket}/last", TEXT)
    keys = [one["Key"] for one in proxy.client("s3", ALICE).list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["last"]


def streamed(proxy: Proxy, target: str, frames: Any, size: int) -> Any:
    """PUT a body of signed chunks; `frames` makes the wire bytes out of the honest frames."""
    extra = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(size)}
    headers = Signer().headers("PUT", target, host(proxy), STREAMING, extra)
    return exchange(proxy.endpoint, "PUT", target, headers, frames(headers))


CHUNKS = [b"a" * 65_536, b"b" * 65_536, b"c" * 1_000]
SIZE = sum(map(len, CHUNKS))


def _edited(frames: list[bytes]) -> bytes:
    return frames[0].replace(b"aaaa", b"aaAa", 1) + b"".join(frames[1:])


def _last_edited(frames: list[bytes]) -> bytes:
    return b"".join([*frames[:2], frames[2].replace(b"cccc", b"ccCc", 1), frames[3]])


def _signature_edited(frames: list[bytes]) -> bytes:
    last = b"1" if frames[1][frames[1].index(b"\r") - 1 :][:1] != b"1" else b"2"
    at = frames[1].index(b"\r")
    return b"".join([frames[0], frames[1][: at - 1] + last + frames[1][at:], *frames[2:]])


def _end_signature_edited(frames: list[bytes]) -> bytes:
    return b"".join([*frames[:3], b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"])


def _swapped(frames: list[bytes]) -> bytes:
    return b"".join([frames[1], frames[0], *frames[2:]])


def _repeated(frames: list[bytes]) -> bytes:
    return b"".join([frames[0], frames[0], *frames[2:]])


def _dropped(frames: list[bytes]) -> bytes:
    return b"".join([frames[0], *frames[2:]])


def _unsigned(frames: list[bytes]) -> bytes:
    return b"".join([frames[0], b"10000\r\n" + CHUNKS[1] + b"\r\n", *frames[2:]])


def _no_end(frames: list[bytes]) -> bytes:
    return b"".join(frames[:3])


def _more_after_the_end(frames: list[bytes]) -> bytes:
    return b"".join([*frames, frames[2]])


@pytest.mark.parametrize(
    "attack",
    [
        _edited,
        _last_edited,
        _signature_edited,
        _end_signature_edited,
        _swapped,
        _repeated,
        _dropped,
        _unsigned,
        _no_end,
        _more_after_the_end,
    ],
    ids=lambda attack: attack.__name__.strip("_"),
)
def test_chunks_that_are_not_signed_as_they_come_never_appear(proxy: Proxy, bucket: str, attack: Any) -> None:
    """Attack 36."""
    answer = streamed(proxy, f"/{bucket}/o", lambda head: attack(Signer().chunks(head, CHUNKS)), SIZE)
    assert 400 <= answer.status < 500
    assert nothing_is_there(proxy, bucket)
    answer = streamed(proxy, f"/{bucket}/o", lambda head: b"".join(Signer().chunks(head, CHUNKS)), SIZE)
    assert answer.status == 200
    assert read(proxy.client("s3", ALICE), bucket, "o") == Read(b"".join(CHUNKS))


def test_chunks_of_another_request_are_not_this_ones(proxy: Proxy, bucket: str) -> None:
    """Attack 36, a replay: the chain hangs on the head's signature."""
    kept: list[bytes] = []

    def keep(head: Any) -> bytes:
        kept.append(b"".join(Signer().chunks(head, CHUNKS)))
        return kept[0]

    assert streamed(proxy, f"/{bucket}/o", keep, SIZE).status == 200
    answer = streamed(proxy, f"/{bucket}/p", lambda _: kept[0], SIZE)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert read(proxy.client("s3", ALICE), bucket, "p").error == "NoSuchKey"


@pytest.mark.parametrize("minutes", [-16, 16, 60 * 24, 60 * 24 * 365])
def test_an_old_or_future_dated_request_is_refused(proxy: Proxy, bucket: str, minutes: int) -> None:
    """Attack 37: a recorded request is worth nothing after a quarter of an hour."""
    answer = call(proxy.endpoint, "PUT", f"/{bucket}/o", TEXT, signer=Signer(at=ago(minutes=minutes)))
    assert (answer.status, answer.code) == (403, "RequestTimeTooSkewed")
    assert nothing_is_there(proxy, bucket)
    near = minutes // abs(minutes) * 14
    assert call(proxy.endpoint, "PUT", f"/{bucket}/o", TEXT, signer=Signer(at=ago(minutes=near))).status == 200


def test_a_recorded_signature_cannot_be_given_another_date(proxy: Proxy, bucket: str) -> None:
    """Attack 37: the date is signed, in the header and in the scope."""
    call(proxy.endpoint, "PUT", f"/{bucket}/o", TEXT)
    old = Signer(at=ago(minutes=20)).headers("GET", f"/{bucket}/o", host(proxy), UNSIGNED)
    fresh = [(name, Signer().stamp if name == "x-amz-date" else value) for name, value in old]
    assert exchange(proxy.endpoint, "GET", f"/{bucket}/o", fresh).code == "SignatureDoesNotMatch"
    two = [*old, ("x-amz-date", Signer().stamp)]
    assert exchange(proxy.endpoint, "GET", f"/{bucket}/o", two).status == 403
    assert exchange(proxy.endpoint, "GET", f"/{bucket}/o", [two[-1], *old]).status == 403
    plain = [*old, ("date", Signer().stamp)]
    assert exchange(proxy.endpoint, "GET", f"/{bucket}/o", plain).code == "RequestTimeTooSkewed"


def presigned(proxy: Proxy, bucket: str, key: str = "o", expires: int = 600, **more: Any) -> str:
    """A presigned GET, as path and query."""
    s3 = proxy.client("s3", ALICE, signature_version="s3v4", s3={"addressing_style": "path"})
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key, **more}, ExpiresIn=expires)
    return str(url).removeprefix(proxy.endpoint)


@pytest.fixture
def held(proxy: Proxy, bucket: str) -> str:
    """A bucket with two objects."""
    for key in ("o", "p"):
        proxy.client("s3", ALICE).put_object(Bucket=bucket, Key=key, Body=TEXT)
    return bucket


def test_a_presigned_url_past_its_expiry_is_refused(proxy: Proxy, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 38. The URL is made at a time past, by botocore itself."""
    host_only = [("host", host(proxy))]
    assert exchange(proxy.endpoint, "GET", presigned(proxy, held), host_only).body == TEXT
    for module in ("botocore.auth", "botocore.crt.auth"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda remove_tzinfo=True: ago(minutes=20))
    url = presigned(proxy, held)
    assert "X-Amz-Date=" in url
    answer = exchange(proxy.endpoint, "GET", url, host_only)
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert b"expired" in answer.body
    for longer in ("1800", "604800"):
        edited = url.replace("X-Amz-Expires=600", f"X-Amz-Expires={longer}")
        assert edited != url
        assert exchange(proxy.endpoint, "GET", edited, host_only).status == 403
    assert exchange(proxy.endpoint, "GET", presigned(proxy, held, expires=1800), host_only).body == TEXT


@pytest.mark.parametrize(
    "edit",
    [
        lambda url: url.replace("/o?", "/p?"),
        lambda url: url.replace("X-Amz-Expires=600", "X-Amz-Expires=601"),
        lambda url: url.replace("us-east-1", "eu-west-1"),
        lambda url: url.replace("X-Amz-SignedHeaders=host", "X-Amz-SignedHeaders=host%3Brange"),
        lambda url: url + "&response-content-type=text%2Fhtml",
        lambda url: url + "&versionId=null",
        lambda url: url + "&x-id=GetObject",
        lambda url: url + "&X-Amz-Expires=604800",
        lambda url: url.replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        lambda url: url.replace("X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Algorithm=NONE"),
        lambda url: url[: url.index("X-Amz-Signature")].rstrip("&"),
        lambda url: url.replace("AKIAALICE", "AKIAMAINR"),
    ],
    ids=[
        "key",
        "expires",
        "region",
        "signed-headers",
        "override",
        "version",
        "parameter",
        "doubled",
        "signature",
        "algorithm",
        "unsigned",
        "who",
    ],
)
def test_an_edited_presigned_url_is_refused(proxy: Proxy, held: str, edit: Any) -> None:
    """Attack 39."""
    url = presigned(proxy, held)
    assert edit(url) != url
    answer = exchange(proxy.endpoint, "GET", edit(url), [("host", host(proxy))])
    assert answer.status in (400, 403)
    assert TEXT not in answer.body
    assert exchange(proxy.endpoint, "DELETE", url, [("host", host(proxy))]).status == 403
    assert exchange(proxy.endpoint, "GET", url, [("host", "elsewhere.example")]).status == 403
    assert exchange(proxy.endpoint, "GET", url, [("host", host(proxy)), ("x-amz-copy-source", "/x/y")]).status == 403
    assert exchange(proxy.endpoint, "GET", url, [("host", host(proxy))]).body == TEXT


def test_a_signed_header_removed_doubled_or_added_is_refused(proxy: Proxy, held: str) -> None:
    """Attack 40."""
    extra = {"range": "bytes=0-4", "x-amz-checksum-mode": "ENABLED"}
    signed = Signer().headers("GET", f"/{held}/o", host(proxy), UNSIGNED, extra)
    assert exchange(proxy.endpoint, "GET", f"/{held}/o", signed).body == TEXT[:5]
    for name in ("range", "x-amz-checksum-mode", "x-amz-date", "x-amz-content-sha256", "host"):
        without = [pair for pair in signed if pair[0] != name]
        assert exchange(proxy.endpoint, "GET", f"/{held}/o", without).status in (400, 403), name
    for name in ("range", "x-amz-checksum-mode", "x-amz-date", "x-amz-content-sha256", "authorization"):
        for value in (dict(signed)[name], "bytes=0-30"):
            for doubled in ([*signed, (name, value)], [(name, value), *signed]):
                answer = exchange(proxy.endpoint, "GET", f"/{held}/o", doubled)
                assert answer.status in (400, 403), (name, value)
                assert TEXT[:5] not in answer.body
    for name in ("x-amz-copy-source", "x-amz-server-side-encryption", "x-amz-meta-a", "x-amz-security-token"):
        assert exchange(proxy.endpoint, "GET", f"/{held}/o", [*signed, (name, "x")]).status in (400, 403), name


def test_a_signature_by_another_secret_or_for_another_service_is_refused(proxy: Proxy, held: str) -> None:
    """Attack 40's kin: the right access key is not enough, nor is a signature that KMS would take."""
    for who in (Credential(ALICE.access_key_id, BOB.secret), Credential("AKIANOBODY0000000001", ALICE.secret)):
        assert call(proxy.endpoint, "GET", f"/{held}/o", signer=Signer(who)).status == 403
    answer = call(proxy.endpoint, "GET", f"/{held}/o", signer=Signer(service="kms"))
    assert answer.status >= 400
    assert TEXT not in answer.body
    assert call(proxy.endpoint, "GET", f"/{held}/o").body == TEXT
    assert exchange(proxy.endpoint, "GET", f"/{held}/o", [("host", host(proxy))]).code == "AccessDenied"


TRICKS = [
    "../../../../root.key",
    "..",
    ".",
    "./x",
    "a/../../../../control.sqlite",
    "//etc/passwd",
    "/",
    "a//b",
    "%2e%2e/%2e%2e/%2e%2e/root.key",
    "%2e%2e%2f%2e%2e%2fcontrol.sqlite",
    "%252e%252e/root.key",
    "..%5c..%5croot.key",
    "%00",
    "a%00b",
    "k" * 1024,
    "index.sqlite",
]


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: path[:40])
def test_path_tricks_are_keys_like_any_other_and_reach_no_file(proxy: Proxy, bucket: str, path: str) -> None:
    """Attack 41: what is put under such a key is read under it alone, and no file comes, goes or changes."""
    outside = {
        file: file.read_bytes()
        for file in proxy.data.rglob("*")
        if file.is_file() and file.name in ("root.key", "lock")
    }
    files = {file for file in proxy.data.rglob("*") if file.is_file()}
    target = f"/{bucket}/{path}"
    answer = call(proxy.endpoint, "GET", target)
    assert (answer.status, answer.code) in ((404, "NoSuchKey"), (400, "InvalidURI"))
    answer = call(proxy.endpoint, "PUT", target, TEXT)
    if answer.status == 200:
        assert call(proxy.endpoint, "GET", target).body == TEXT
        listed = proxy.client("s3", ALICE).list_objects_v2(Bucket=bucket)
        assert listed["KeyCount"] == 1
    else:
        assert answer.status == 400
    fresh = {file for file in proxy.data.rglob("*") if file.is_file()} - files
    assert all(file.parent.name == bucket or "audit" in file.parts for file in fresh), fresh
    assert all(file.read_bytes() == content for file, content in outside.items())


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "..%2f..", "a%00b", "lock", "x" * 300, "A/../b", "buckets"])
def test_path_tricks_in_a_buckets_name_reach_no_file(proxy: Proxy, name: str) -> None:
    """Attack 41."""
    before = {file for file in proxy.data.rglob("*") if "audit" not in file.parts}
    put = call(proxy.endpoint, "PUT", f"/{name}")
    assert 400 <= put.status < 500 or name in ("lock", "buckets")
    if put.status == 200:
        assert call(proxy.endpoint, "DELETE", f"/{name}").status == 204
    got = call(proxy.endpoint, "GET", f"/{name}/root.key")
    assert 400 <= got.status < 500
    after = {file for file in proxy.data.rglob("*") if "audit" not in file.parts}
    assert {file for file in after - before if "-wal" not in file.name and "-shm" not in file.name} == set()


def test_a_key_of_1025_bytes_is_too_long(proxy: Proxy, bucket: str) -> None:
    """Attack 41: bytes count, not letters."""
    for path in ("k" * 1025, quoted("é" * 513)):
        answer = call(proxy.endpoint, "PUT", f"/{bucket}/{path}", TEXT)
        assert (answer.status, answer.code) == (400, "KeyTooLongError")
    assert nothing_is_there(proxy, bucket)
    assert call(proxy.endpoint, "PUT", f"/{bucket}/{quoted('é' * 512)}", TEXT).status == 200


def test_a_query_is_decoded_once(proxy: Proxy, bucket: str) -> None:
    """Attack 41's kin: what is decoded twice means one thing to a filter in front, and another here."""
    s3 = proxy.client("s3", ALICE)
    for key in ("100%25/once", "100%/twice"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="100%25/")
    assert (listed["Prefix"], [one["Key"] for one in listed["Contents"]]) == ("100%25/", ["100%25/once"])
    shown = s3.get_object(Bucket=bucket, Key="100%25/once", ResponseContentLanguage="a%0db")
    assert shown["ContentLanguage"] == "a%0db"
