"""The first start, the bootstrap file, and the command line around them: real processes on real folders."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from testkit.proxy import ALICE, BOB, BOOTSTRAP, MAIN, OTHER, ROOT, Credential, Proxy, allow, running

KEYS_AND_BUCKETS = BOOTSTRAP.replace(
    '\n[[account]]\nid = "444455556666"',
    """
  [[account.key]]
  alias = "alias/app"
  [[account.bucket]]
  name = "reports"
  encryption = { algorithm = "aws:kms", key = "alias/app", bucket_key = false }

[[account]]
id = "444455556666\"""",
)


def sseproxy(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SSEPROXY_")}
    return subprocess.run(
        [sys.executable, "-m", "sseproxy", *words],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def printed_credential(proxy: Proxy) -> Credential | None:
    """The credential that the proxy printed when it started."""
    log = proxy.data.with_name(proxy.data.name + ".log").read_text()
    found = dict(line.removeprefix("export ").split("=", 1) for line in log.splitlines() if line.startswith("export "))
    return Credential(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) if found else None


def test_the_first_start_makes_a_root_key_and_an_account_and_the_second_reuses_them(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None) as proxy:
        first = printed_credential(proxy)
        assert first is not None
        account = proxy.client("sts", first).get_caller_identity()["Account"]
    key_file = tmp_path / "data" / "root.key"
    key = key_file.read_bytes()
    assert key_file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "data.log").unlink()
    with running(tmp_path / "data", bootstrap=None) as proxy:
        assert printed_credential(proxy) is None, "a secret is not printed at every start"
        assert proxy.client("sts", first).get_caller_identity()["Account"] == account
    assert key_file.read_bytes() == key


def test_a_root_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None):
        pass
    (tmp_path / "data" / "root.key").chmod(0o644)
    done = sseproxy("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "chmod 600" in done.stderr


def test_another_root_key_opens_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None):
        pass
    (tmp_path / "data" / "root.key").write_text("ab" * 32)
    done = sseproxy("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "root key" in done.stderr
    assert "ab" * 32 not in done.stderr + done.stdout


def test_the_environment_fixes_the_first_account(tmp_path: Path) -> None:
    fixed = {
        "SSEPROXY_ROOT_ACCESS_KEY_ID": "AKIAFIXEDEXAMPLE0001",
        "SSEPROXY_ROOT_SECRET_ACCESS_KEY": "a/fixed/secret/key/of/the/tests/00000001",
        "SSEPROXY_ACCOUNT_ID": "999988887777",
    }
    with running(tmp_path / "data", bootstrap=None, **fixed) as proxy:
        who = Credential(fixed["SSEPROXY_ROOT_ACCESS_KEY_ID"], fixed["SSEPROXY_ROOT_SECRET_ACCESS_KEY"])
        assert proxy.client("sts", who).get_caller_identity()["Account"] == "999988887777"


def test_a_bootstrap_file_can_be_applied_again_and_again(tmp_path: Path) -> None:
    for _ in range(2):
        with running(tmp_path / "data", bootstrap=KEYS_AND_BUCKETS) as proxy:
            kms, s3 = proxy.client("kms", ALICE), proxy.client("s3", ALICE)
            aliases = [alias["AliasName"] for alias in kms.list_aliases()["Aliases"]]
            assert aliases == ["alias/app"]
            assert len(kms.list_keys()["Keys"]) == 1
            s3.put_object(Bucket="reports", Key="one", Body=b"first quarter")
            head = s3.head_object(Bucket="reports", Key="one")
            assert head["SSEKMSKeyId"] == kms.describe_key(KeyId="alias/app")["KeyMetadata"]["Arn"]


def test_a_changed_bootstrap_file_changes_what_it_names(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=KEYS_AND_BUCKETS) as proxy, pytest.raises(ClientError) as refused:
        proxy.client("kms", BOB).describe_key(KeyId="alias/app")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    changed = KEYS_AND_BUCKETS.replace(allow("s3:*"), allow("s3:*", "kms:DescribeKey"))
    assert changed != KEYS_AND_BUCKETS
    with running(tmp_path / "data", bootstrap=changed) as proxy:
        assert proxy.client("kms", BOB).describe_key(KeyId="alias/app")["KeyMetadata"]["Enabled"]


def test_a_key_policy_may_name_an_account_further_down_the_file(tmp_path: Path) -> None:
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": [f"arn:aws:iam::{MAIN}:root", f"arn:aws:iam::{OTHER}:root"]},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    )
    table = f"alias = \"alias/app\"\n  policy = '''{policy}'''"
    with running(tmp_path / "data", bootstrap=KEYS_AND_BUCKETS.replace('alias = "alias/app"', table, 1)) as proxy:
        assert proxy.client("kms", ROOT).get_key_policy(KeyId=key_id(proxy))["Policy"] == policy


def key_id(proxy: Proxy) -> str:
    return str(proxy.client("kms", ROOT).describe_key(KeyId="alias/app")["KeyMetadata"]["KeyId"])


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("account = 1", "account"),
        ('[[account]]\nid = "12"\nname = "short"', "12 digits"),
        ('[[account]]\nid = "000000000000"\nname = "taken"', "000000000000"),
        (
            '[[account]]\nid = "111122223333"\nname = "m"\n[[account.user]]\nname = "a"\npolicies = { p = "{}" }',
            "policy p",
        ),
        ('[[account]]\nid = "111122223333"\nname = "m"\n[[account.bucket]]\nname = "No"', "'No'"),
        ('[[account]]\nid = "111122223333"\nname = "m"\nnonsense = 1', "nonsense"),
    ],
)
def test_a_bootstrap_file_that_makes_no_sense_stops_the_start(tmp_path: Path, file: str, says: str) -> None:
    path = tmp_path / "bootstrap.toml"
    path.write_text(file)
    done = sseproxy("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0", "--bootstrap", str(path))
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_server_on_a_folder_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None):
        done = sseproxy("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "another sseproxy" in done.stderr


def test_an_account_can_be_made_while_the_server_runs(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None) as proxy:
        done = sseproxy("account", "create", "123456789012", "--data", str(tmp_path / "data"))
        assert done.returncode == 0
        found = dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
        who = Credential(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])
        assert proxy.client("sts", who).get_caller_identity()["Account"] == "123456789012"


def test_the_command_line_tells_its_version_and_helps() -> None:
    assert sseproxy("version").stdout.strip() == "0.1.0"
    for words in ((), ("serve",), ("account", "create"), ("audit", "tail"), ("audit", "verify"), ("db", "upgrade")):
        assert "Usage" in sseproxy(*words, "--help").stdout


def test_a_database_of_an_unknown_schema_is_not_served(tmp_path: Path) -> None:
    with running(tmp_path / "data", bootstrap=None):
        pass
    database = sqlite3.connect(tmp_path / "data" / "control.sqlite")
    database.execute("UPDATE sseproxy_version SET version_num = '9999'")
    database.commit()
    database.close()
    done = sseproxy("serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "9999" in done.stderr
