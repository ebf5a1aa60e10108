"""Checksums that follow the body: what boto3 sends over TLS, and by hand what no client of ours would get wrong.

botocore frames a body with `STREAMING-UNSIGNED-PAYLOAD-TRAILER` only over TLS, so the server here has a certificate.
"""

import base64
import http.client
import ipaddress
import signal
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from awscrt import checksums as crt
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testkit.proxy import ALICE, REGION, Proxy, running

BODY = bytes(range(253)) * 9000
# what botocore computes by itself; MD5 it does not
COMPUTED = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"]


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sseproxy of a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return chain, secret


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a server with TLS, and a bucket there called `secure`."""
    folder = tmp_path_factory.mktemp("tls")
    chain, secret = certificate(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(chain))
        patch.setenv("AWS_CA_BUNDLE", str(chain))
        with running(folder / "data", "--tls-cert", str(chain), "--tls-key", str(secret)) as proxy:
            s3 = proxy.client("s3", ALICE)
            s3.create_bucket(Bucket="secure")
            yield s3
            s3.close()


def test_an_idle_connection_does_not_hold_up_the_end_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, secret = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    with running(tmp_path / "data", "--tls-cert", str(chain), "--tls-key", str(secret)) as proxy:
        assert proxy.process is not None
        trust = ssl.create_default_context(cafile=chain)
        idle = http.client.HTTPSConnection(urlsplit(proxy.endpoint).netloc, context=trust)
        idle.request("GET", "/_/health/live")
        with idle.getresponse() as answer:
            assert answer.read()
        proxy.process.send_signal(signal.SIGTERM)
        try:
            proxy.process.wait(15)  # a bound: the twin without TLS takes a quarter of a second
        finally:
            idle.close()


@pytest.mark.parametrize("name", COMPUTED)
def test_a_checksum_in_a_trailer_is_verified_stored_and_shown(secure: Any, name: str) -> None:
    sent: list[Any] = []
    secure.meta.events.register_last(
        "before-send.s3.PutObject", lambda request, **_: sent.append(dict(request.headers))
    )
    put = secure.put_object(Bucket="secure", Key=name, Body=BODY, ChecksumAlgorithm=name)
    (headers,) = sent[-1:]
    assert headers["X-Amz-Trailer"] in (f"x-amz-checksum-{name.lower()}", f"x-amz-checksum-{name.lower()}".encode())
    shown = secure.head_object(Bucket="secure", Key=name, ChecksumMode="ENABLED")
    assert shown[f"Checksum{name}"] == put[f"Checksum{name}"]
    assert secure.get_object(Bucket="secure", Key=name, ChecksumMode="ENABLED")["Body"].read() == BODY
    assert "ContentEncoding" not in shown


def test_parts_with_trailers_make_a_whole(secure: Any) -> None:
    target = {"Bucket": "secure", "Key": "parts"}
    named = {**target, "UploadId": secure.create_multipart_upload(**target, ChecksumAlgorithm="CRC32C")["UploadId"]}
    part = secure.upload_part(**named, PartNumber=1, Body=BODY, ChecksumAlgorithm="CRC32C")
    listed = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32C": part["ChecksumCRC32C"]}
    secure.complete_multipart_upload(**named, MultipartUpload={"Parts": [listed]})
    assert secure.get_object(**target)["Body"].read() == BODY


def put_framed(proxy: Proxy, bucket: str, framed: bytes, trailer: str, length: int) -> tuple[int, bytes]:
    """A PUT whose framing is the test's own, signed by botocore."""
    url = f"{proxy.endpoint}/{bucket}/k"
    request = AWSRequest("PUT", url, data=framed)
    request.headers["X-Amz-Trailer"] = trailer
    request.headers["X-Amz-Decoded-Content-Length"] = str(length)
    request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
    S3SigV4Auth(Credentials(ALICE.access_key_id, ALICE.secret), "s3", REGION).add_auth(request)
    headers = {name: str(value) for name, value in request.headers.items()}
    assert headers["X-Amz-Content-SHA256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("PUT", urlsplit(url).path, framed, {**headers, "Content-Length": str(len(framed))})
    with connection.getresponse() as answer:
        found = answer.status, answer.read()
    connection.close()
    return found


CRC = base64.b64encode(crt.crc32c(b"0123456789").to_bytes(4, "big")).decode()
RIGHT = f"a\r\n0123456789\r\n0\r\nx-amz-checksum-crc32c:{CRC}\r\n\r\n"


@pytest.mark.parametrize(
    ("framed", "code"),
    [
        (RIGHT.replace("0123456789", "0123456780"), b"BadDigest"),
        (RIGHT.replace(CRC, "AAAAAA=="), b"BadDigest"),
        (RIGHT.replace(CRC, "%%%"), b"InvalidRequest"),
        (RIGHT.replace("x-amz-checksum-crc32c", "x-amz-checksum-crc32"), b"MalformedTrailerError"),
        ("a\r\n0123456789\r\n0\r\n\r\n", b"MalformedTrailerError"),
        (RIGHT.replace("a\r\n0123456789", "9\r\n012345678"), b"IncompleteBody"),
        ("a\r\n0123456789\r\n", b"IncompleteBody"),
    ],
    ids=[
        "another body",
        "another checksum",
        "no base64",
        "another name",
        "no trailer",
        "a byte short",
        "no last chunk",
    ],
)
def test_a_trailer_that_does_not_hold_leaves_no_object(proxy: Proxy, bucket: str, framed: str, code: bytes) -> None:
    status, body = put_framed(proxy, bucket, framed.encode(), "x-amz-checksum-crc32c", 10)
    assert (status, code in body) == (400, True), body
    assert proxy.client("s3", ALICE).list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_right_trailer_by_hand_is_taken(proxy: Proxy, bucket: str) -> None:
    assert put_framed(proxy, bucket, RIGHT.encode(), "x-amz-checksum-crc32c", 10)[0] == 200
    got = proxy.client("s3", ALICE).get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC32C"]) == (b"0123456789", CRC)
