"""examples/minio without Docker: the compose file held against the settings, the Dockerfile and itself, and what it
says started as real processes, with SeaweedFS in MinIO's place (MinIO itself stands behind the other tests here).

What only Docker can show is left out: that the images are there, and that the containers find each other.
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from botocore.exceptions import ClientError
from testkit import seaweed
from testkit.proxy import Credential, Proxy
from testkit.s3_backend import Backend

from sseproxy.settings import Settings

TOP = Path(__file__).parents[3]
FOLDER = TOP / "examples" / "minio"
README = (FOLDER / "README.md").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
PROXY, MINIO = COMPOSE["services"]["proxy"], COMPOSE["services"]["minio"]
ENDPOINT = PROXY["command"][PROXY["command"].index("--backend-endpoint") + 1]
ALICE = Credential("AKIADEMOALICEEXAMPL1", "demo/alice/secret/access/key/EXAMPLE0001")
BOB = Credential("AKIADEMOBOBEXAMPLE01", "demo/bob/secret/access/key/EXAMPLE000001")
REPORT = b"profit: none\n"


def docker_environment() -> dict[str, str]:
    """What the image's own ENV sets."""
    lines = [line for line in (TOP / "Dockerfile").read_text().splitlines() if line.startswith("ENV ")]
    return dict(word.split("=", 1) for line in lines for word in shlex.split(line)[1:])


def test_every_option_and_variable_is_a_setting() -> None:
    options = [word.removeprefix("--").replace("-", "_") for word in PROXY["command"] if word.startswith("--")]
    variables = [name.removeprefix("SSEPROXY_").lower() for name in PROXY["environment"]]
    assert PROXY["command"][0] == "serve"
    assert {"backend", "backend_endpoint"} <= set(options)
    assert set(options) | set(variables) <= set(Settings.model_fields)
    assert [name for name in PROXY["environment"] if not name.startswith("SSEPROXY_")] == []
    assert set(options) & set(variables) == set()


def test_the_settings_are_taken_together_and_not_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SSEPROXY_")]:
        monkeypatch.delenv(name)
    for name, value in PROXY["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings(backend="s3", backend_endpoint=ENDPOINT)
    assert settings.backend_access_key_id == MINIO["environment"]["MINIO_ROOT_USER"]
    assert settings.backend_secret_access_key.get_secret_value() == MINIO["environment"]["MINIO_ROOT_PASSWORD"]
    monkeypatch.delenv("SSEPROXY_BACKEND_SECRET_ACCESS_KEY")
    with pytest.raises(ValueError, match="go together"):
        Settings(backend="s3", backend_endpoint=ENDPOINT)


def test_the_ports_are_those_that_the_servers_listen_on_and_only_this_machine_reaches_them() -> None:
    listens = docker_environment()["SSEPROXY_LISTEN"].rpartition(":")[2]
    assert PROXY["ports"] == [f"127.0.0.1:{listens}:{listens}"]
    assert f":{listens}/_/health/ready" in PROXY["healthcheck"]["test"][-1]
    backend = urlsplit(ENDPOINT)
    assert (backend.scheme, backend.hostname, backend.port) == ("http", "minio", 9000)
    # MinIO's S3 port is 9000 unless --address says otherwise; it is not published, its console is
    assert not any(word.startswith("--address") for word in MINIO["command"])
    console = MINIO["command"][MINIO["command"].index("--console-address") + 1]
    assert MINIO["ports"] == [f"127.0.0.1{console}{console}"]


def test_the_proxy_waits_for_a_healthy_minio_and_each_has_its_own_volume() -> None:
    assert PROXY["depends_on"] == {"minio": {"condition": "service_healthy"}}
    assert MINIO["healthcheck"]["test"] == ["CMD", "mc", "ready", "local"]
    mounts = [mount.split(":") for service in (PROXY, MINIO) for mount in service["volumes"]]
    assert {mount[0] for mount in mounts if not mount[0].startswith(".")} == set(COMPOSE["volumes"])
    assert len(COMPOSE["volumes"]) == 2
    assert ["proxy-data", docker_environment()["SSEPROXY_DATA"]] in mounts
    assert ["minio-data", MINIO["command"][1]] in mounts
    (bound,) = [mount for mount in mounts if mount[0].startswith(".")]
    assert bound[1:] == [PROXY["environment"]["SSEPROXY_BOOTSTRAP"], "ro"]
    assert (FOLDER / bound[0]).resolve() == TOP / "examples" / "bootstrap.toml"
    assert (FOLDER / bound[0]).is_file()


def test_the_images_are_built_from_here_or_named_with_a_tag() -> None:
    assert (FOLDER / PROXY["build"] / "Dockerfile").is_file()
    assert "image" not in PROXY
    assert re.fullmatch(r"minio/minio:RELEASE\.[0-9TZ-]+", MINIO["image"])


def test_the_readme_names_files_and_credentials_that_are_there() -> None:
    named = re.findall(r"--file (\S+)", README)
    assert len(named) >= 3
    assert {(TOP / name).resolve() for name in named} == {FOLDER / "compose.yaml"}
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (FOLDER / link).is_file(), link
    for who in (ALICE, BOB):
        assert f"AWS_ACCESS_KEY_ID={who.access_key_id} AWS_SECRET_ACCESS_KEY={who.secret}\n" in README
    environment = MINIO["environment"]
    assert f"{environment['MINIO_ROOT_USER']} {environment['MINIO_ROOT_PASSWORD']}" in README
    assert f"local/{PROXY['environment']['SSEPROXY_BACKEND_BUCKET_PREFIX']}reports/q1.txt" in README


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Backend]]:
    """The compose file's command and environment; its addresses, credentials and paths are this machine's."""
    top = tmp_path_factory.mktemp("compose")
    with seaweed.running(top / "backend") as server:
        backend = server.backend
        here = {
            ENDPOINT: backend.endpoint,
            PROXY["environment"]["SSEPROXY_BACKEND_ACCESS_KEY_ID"]: backend.access_key_id,
            PROXY["environment"]["SSEPROXY_BACKEND_SECRET_ACCESS_KEY"]: backend.secret,
            PROXY["environment"]["SSEPROXY_BOOTSTRAP"]: str(TOP / "examples" / "bootstrap.toml"),
        }
        arguments = tuple(here.get(word, word) for word in PROXY["command"][1:])
        environment = {name: here.get(value, value) for name, value in PROXY["environment"].items()}
        proxy = Proxy(top / "data", arguments, environment).start()
        try:
            yield proxy, backend
        finally:
            proxy.stop()


def test_what_the_readme_tells_is_what_happens(topology: tuple[Proxy, Backend]) -> None:
    proxy, backend = topology
    bob, alice = proxy.client("s3", BOB), proxy.client("s3", ALICE)
    bob.put_object(Bucket="reports", Key="q1.txt", Body=REPORT)
    (row,) = bob.list_objects_v2(Bucket="reports")["Contents"]
    assert (row["Size"], f"{len(REPORT)} bytes: its true size" in README) == (len(REPORT), True)
    with pytest.raises(ClientError, match=r"AccessDenied.*kms:Decrypt"):
        bob.get_object(Bucket="reports", Key="q1.txt")
    with alice.get_object(Bucket="reports", Key="q1.txt")["Body"] as stream:
        assert stream.read() == REPORT
    # what the backend has of it: the size that the README tells, the wrapped key, and no plaintext
    there = backend.client().get_object(Bucket="sealed-reports", Key="q1.txt")
    with there["Body"] as stream:
        stored = stream.read()
    assert f"{len(stored)} bytes (13, and 424 of salt" in README
    assert list(there["Metadata"]) == ["ssep"]
    assert REPORT[:8] not in stored


def test_a_byte_changed_or_an_object_swapped_at_the_backend_is_refused(topology: tuple[Proxy, Backend]) -> None:
    proxy, backend = topology
    alice, raw = proxy.client("s3", ALICE), backend.client()
    for key in ("changed", "swapped", "other"):
        alice.put_object(Bucket="reports", Key=key, Body=key.encode() * 100)
    found = raw.get_object(Bucket="sealed-reports", Key="changed")
    with found["Body"] as stream:
        stored = bytearray(stream.read())
    stored[50] ^= 1
    headers = {"Metadata": found["Metadata"], "ContentType": found["ContentType"]}
    raw.put_object(Bucket="sealed-reports", Key="changed", Body=bytes(stored), **headers)
    raw.copy_object(Bucket="sealed-reports", Key="swapped", CopySource="sealed-reports/other")
    for key in ("changed", "swapped"):
        with pytest.raises(ClientError, match="InvalidCiphertext"):
            alice.get_object(Bucket="reports", Key=key)
    with alice.get_object(Bucket="reports", Key="other")["Body"] as stream:
        assert stream.read() == b"other" * 100
