"""Each example runs as it stands, against a server started as `make run` starts one."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, CAROL, ROOT, Credential, Proxy, running

EXAMPLES = Path(__file__).parents[2] / "examples"
DEMO_ALICE = Credential("AKIADEMOALICEEXAMPL1", "demo/alice/secret/access/key/EXAMPLE0001")
DEMO_BOB = Credential("AKIADEMOBOBEXAMPLE01", "demo/bob/secret/access/key/EXAMPLE000001")
DEMO_ROOT = Credential("AKIADEMOROOTEXAMPLE1", "demo/root/secret/access/key/EXAMPLE00001")


def run_example(proxy: Proxy, *command: str, who: Credential = ROOT) -> subprocess.CompletedProcess[str]:
    """Run an example in the environment that `make run` tells its user to have, with the data folder as argument."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**proxy.aws_environment(who), "PATH": tools}
    return subprocess.run(
        [*command, str(proxy.data)],
        env=environment,
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def calls(proxy: Proxy) -> list[tuple[str, str | None]]:
    """What has been called so far, with its error, as the audit journal has it."""
    lines = [line for path in sorted((proxy.data / "audit").glob("*.jsonl")) for line in path.read_text().splitlines()]
    events = [json.loads(line)["event"] for line in lines]
    return [(event["eventName"], event.get("errorCode")) for event in events]


def assert_has_looked(said: str) -> None:
    """The example has searched a folder that is not empty."""
    looked = re.search(r"^looked at (\d+) files in .*: no plaintext$", said, re.MULTILINE)
    assert looked is not None
    assert int(looked[1]) > 3


def test_the_boto3_example_runs_and_its_denial_is_in_the_audit(proxy: Proxy) -> None:
    before = len(calls(proxy))
    done = run_example(proxy, sys.executable, str(EXAMPLES / "boto3_roundtrip.py"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "got it back, whole and in part" in done.stdout
    assert "denied: AccessDenied: User: " in done.stdout
    assert "kms:Decrypt" in done.stdout
    assert done.stdout.endswith("cleaned up\n")
    assert_has_looked(done.stdout)
    events = calls(proxy)[before:]
    assert events.count(("Decrypt", "AccessDenied")) == 1
    assert events.count(("GetObject", "AccessDenied")) == 1
    assert events.count(("GetObject", None)) == 3


def test_the_boto3_example_fails_for_a_user_who_may_not_create_keys(proxy: Proxy) -> None:
    done = run_example(proxy, sys.executable, str(EXAMPLES / "boto3_roundtrip.py"), who=BOB)
    assert done.returncode != 0
    assert "kms:CreateKey" in done.stderr
    assert "put with" not in done.stdout


def test_the_boto3_example_notices_plaintext_in_the_folder(proxy: Proxy, tmp_path: Path) -> None:
    """The search is worth something: a copy of the text, planted beside the store, is found."""
    text = b"the text of this run is 0123456789abcdef0123456789abcdef"
    (tmp_path / "leak").write_bytes(b"\0" * 100 + text[8:40])
    script = f"import runpy, pathlib; look = runpy.run_path({str(EXAMPLES / 'boto3_roundtrip.py')!r})['look_for']"
    found = subprocess.run(
        [sys.executable, "-c", f"{script}; look({text!r}, pathlib.Path({str(tmp_path)!r}))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 1
    assert "leak holds plaintext" in found.stderr


def test_the_aws_cli_example_runs_and_its_denial_is_in_the_audit(proxy: Proxy) -> None:
    before = len(calls(proxy))
    done = run_example(proxy, str(EXAMPLES / "aws_cli.sh"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "got it back" in done.stdout
    assert "An error occurred (AccessDenied) when calling the GetObject operation" in done.stdout
    assert done.stdout.endswith("cleaned up\n")
    assert_has_looked(done.stdout)
    assert ("GetObject", "AccessDenied") in calls(proxy)[before:]


def test_the_aws_cli_example_fails_for_a_user_who_may_do_nothing(proxy: Proxy) -> None:
    done = run_example(proxy, str(EXAMPLES / "aws_cli.sh"), who=CAROL)
    assert done.returncode != 0
    assert "kms:CreateKey" in done.stderr


@pytest.fixture
def rclone() -> None:
    """rclone, or a skip; where everything must run, its absence is a failure."""
    if shutil.which("rclone") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("rclone is not installed, and CI=true says that everything must run")
        pytest.skip("rclone is not installed")


@pytest.mark.usefixtures("rclone")
def test_the_rclone_example_syncs_both_ways_and_moves_nothing_twice(proxy: Proxy) -> None:
    done = run_example(proxy, str(EXAMPLES / "rclone.sh"), who=ALICE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "there and back: 4 files, all equal" in done.stdout
    assert "a second sync moved nothing" in done.stdout
    assert "gone on the other side, both ways" in done.stdout
    assert done.stdout.endswith("cleaned up\n")
    assert_has_looked(done.stdout)


@pytest.mark.usefixtures("rclone")
def test_the_rclone_example_fails_for_a_user_who_may_not_use_s3(proxy: Proxy) -> None:
    done = run_example(proxy, str(EXAMPLES / "rclone.sh"), who=CAROL)
    assert done.returncode != 0
    assert "AccessDenied" in done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A server with the example's bootstrap file."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with running(data, "--bootstrap", str(EXAMPLES / "bootstrap.toml"), bootstrap=None) as started:
        yield started


def test_in_the_bootstrap_example_alice_reads_what_bob_may_only_write(demo: Proxy) -> None:
    alice, bob = demo.client("s3", DEMO_ALICE), demo.client("s3", DEMO_BOB)
    secret = b"profit of the first quarter: none whatsoever"
    put = bob.put_object(Bucket="reports", Key="q1.txt", Body=secret)
    key = demo.client("kms", DEMO_ROOT).describe_key(KeyId="alias/reports")["KeyMetadata"]["Arn"]
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    assert alice.get_object(Bucket="reports", Key="q1.txt")["Body"].read() == secret
    with pytest.raises(ClientError, match=r"AccessDenied.*kms:Decrypt"):
        bob.get_object(Bucket="reports", Key="q1.txt")
    with pytest.raises(ClientError, match=r"AccessDenied.*kms:Decrypt"):
        bob.get_object(Bucket="reports", Key="q1.txt", Range="bytes=0-3")
    files = [path for path in demo.data.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if secret[:16] in path.read_bytes()] == []


def test_in_the_bootstrap_example_the_key_serves_alice_through_s3_alone(demo: Proxy) -> None:
    """The key's policy asks for kms:ViaService, so calling the key service herself gets her nothing."""
    kms = demo.client("kms", DEMO_ALICE)
    key = demo.client("kms", DEMO_ROOT).describe_key(KeyId="alias/reports")["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    made = demo.client("kms", DEMO_ROOT).generate_data_key(KeyId=key, KeySpec="AES_256")
    with pytest.raises(ClientError, match="AccessDenied"):
        kms.decrypt(CiphertextBlob=made["CiphertextBlob"], KeyId=key)


def test_the_bootstrap_example_applied_twice_changes_nothing(tmp_path: Path) -> None:
    keys = []
    for _ in range(2):
        with running(tmp_path / "data", "--bootstrap", str(EXAMPLES / "bootstrap.toml"), bootstrap=None) as server:
            kms = server.client("kms", DEMO_ROOT)
            keys.append([one["KeyArn"] for one in kms.list_keys()["Keys"]])
            assert [kms.describe_key(KeyId="alias/reports")["KeyMetadata"]["Arn"]] == keys[-1]
            assert [one["Name"] for one in server.client("s3", DEMO_ROOT).list_buckets()["Buckets"]] == ["reports"]
    assert keys[0] == keys[1]


def test_the_examples_name_no_address_and_read_no_variable_but_those_of_aws() -> None:
    """`make run` says where the server is; an example that knows better would not run as it stands elsewhere."""
    for path in (EXAMPLES / "boto3_roundtrip.py", EXAMPLES / "aws_cli.sh", EXAMPLES / "rclone.sh"):
        text = path.read_text()
        assert re.findall(r"https?://|127\.0\.0\.1|localhost", text) == [], path
        assert "os.environ" not in text
