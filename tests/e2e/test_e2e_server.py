"""The server itself: addressing styles, health, metrics, several workers, and the address of its peers."""

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from testkit.proxy import ALICE, REGION, Proxy, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with two base domains and a listener for operators."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        admin = f"127.0.0.1:{probe.getsockname()[1]}"
    data = tmp_path_factory.mktemp("server") / "data"
    with running(data, "--admin-listen", admin, SSEPROXY_BASE_DOMAINS="s3.test, other.example") as started:
        started.admin = admin
        started.client("s3", ALICE).create_bucket(Bucket="virtual")
        yield started


def fetch(url: str, headers: dict[str, str] | None = None, method: str = "GET", body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}, method=method)) as answer:  # noqa: S310
        return bytes(answer.read())


def at_host(server: Proxy, host: str, path: str, method: str, body: bytes | None = None) -> bytes:
    """A signed request that names its bucket in the host, sent to the proxy's own address."""
    request = AWSRequest(method, f"http://{host}{path}", data=body)
    S3SigV4Auth(Credentials(ALICE.access_key_id, ALICE.secret), "s3", REGION).add_auth(request)
    return fetch(server.endpoint + path, {**dict(request.headers), "Host": host}, method, body)


@pytest.mark.parametrize("domain", ["s3.test", "other.example"])
def test_a_bucket_may_be_named_in_the_host(server: Proxy, domain: str) -> None:
    at_host(server, f"virtual.{domain}", "/a/key", "PUT", b"by host")
    got = server.client("s3", ALICE).get_object(Bucket="virtual", Key="a/key")
    assert got["Body"].read() == b"by host", "path style sees the same object"
    assert at_host(server, f"virtual.{domain}", "/a/key", "GET") == b"by host"
    with pytest.raises(urllib.error.HTTPError) as refused:
        at_host(server, "virtual.elsewhere.test", "/a/key", "GET")
    assert refused.value.code == 404, "under another domain the first segment of the path is the bucket"
    refused.value.close()


def test_health_pages_are_no_bucket(server: Proxy) -> None:
    assert fetch(f"{server.endpoint}/_/health/live") == b"live\n"
    assert fetch(f"{server.endpoint}/_/health/ready") == b"ready\n"


def test_metrics_are_for_operators_alone(server: Proxy) -> None:
    server.client("s3", ALICE).list_buckets()
    shown = fetch(f"http://{server.admin}/metrics").decode()
    assert 'sseproxy_calls_total{operation="ListBuckets",service="S3",status="200"}' in shown
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(f"{server.endpoint}/metrics")
    assert refused.value.code in (403, 404)
    refused.value.close()


def test_the_peer_is_the_sockets_whatever_a_header_says(server: Proxy) -> None:
    client = server.client("s3", ALICE)
    client.meta.events.register_first(
        "before-sign.s3", lambda request, **_: request.headers.add_header("X-Forwarded-For", "203.0.113.9")
    )
    client.head_bucket(Bucket="virtual")
    event = [one for one in server.events() if one["eventName"] == "HeadBucket"][-1]
    assert event["sourceIPAddress"] == "127.0.0.1"


def test_two_workers_count_together_and_see_each_others_writes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        admin = f"127.0.0.1:{probe.getsockname()[1]}"
    with running(tmp_path / "data", "--workers", "2", "--admin-listen", admin) as proxy:
        for number in range(20):  # a connection each: both workers take some
            proxy.client("s3", ALICE).create_bucket(Bucket=f"many-{number}")
        names = {bucket["Name"] for bucket in proxy.client("s3", ALICE).list_buckets()["Buckets"]}
        assert len(names) == 20
        shown = fetch(f"http://{admin}/metrics").decode()
        (line,) = [one for one in shown.splitlines() if 'operation="CreateBucket"' in one and "_total" in one]
        assert float(line.rpartition(" ")[2]) == 20
        assert urlsplit(proxy.endpoint).port
