"""A real sseproxy in a process of its own, on a port of its own, with a data folder of its own; and clients for it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
MAIN, OTHER = "111122223333", "444455556666"
_SERVING = re.compile(r"sseproxy: serving .* at (https?://\S+)")


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key."""

    access_key_id: str
    secret: str


ROOT = Credential("AKIAMAINROOTEXAMPLE1", "main/root/secret/key/of/the/tests/000001")
ALICE = Credential("AKIAALICEEXAMPLE0001", "alice/secret/key/of/the/tests/0000000001")
BOB = Credential("AKIABOBEXAMPLE000001", "bob/secret/key/of/the/tests/000000000001")
CAROL = Credential("AKIACAROLEXAMPLE0001", "carol/secret/key/of/the/tests/0000000001")
OTHER_ROOT = Credential("AKIAOTHERROOTEXAMPL1", "other/root/secret/key/of/the/tests/00001")


def allow(*actions: str, resource: str = "*", **more: Any) -> str:
    """An identity policy of one Allow statement."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


BOOTSTRAP = f"""
[[account]]
id = "{MAIN}"
name = "main"
root = {{ access_key_id = "{ROOT.access_key_id}", secret_access_key = "{ROOT.secret}" }}
  # alice may do everything with S3 and KMS
  [[account.user]]
  name = "alice"
  access_keys = [{{ access_key_id = "{ALICE.access_key_id}", secret_access_key = "{ALICE.secret}" }}]
  policies = {{ all = '''{allow("s3:*", "kms:*")}''' }}
  # bob may do everything with S3, and nothing with KMS
  [[account.user]]
  name = "bob"
  access_keys = [{{ access_key_id = "{BOB.access_key_id}", secret_access_key = "{BOB.secret}" }}]
  policies = {{ s3 = '''{allow("s3:*")}''' }}
  # carol may do nothing
  [[account.user]]
  name = "carol"
  access_keys = [{{ access_key_id = "{CAROL.access_key_id}", secret_access_key = "{CAROL.secret}" }}]

[[account]]
id = "{OTHER}"
name = "other"
root = {{ access_key_id = "{OTHER_ROOT.access_key_id}", secret_access_key = "{OTHER_ROOT.secret}" }}
"""


@dataclass
class Proxy:
    """A running server. `kill` is SIGKILL; `start` again serves the same folder."""

    data: Path
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    endpoint: str = ""
    listen: str = "127.0.0.1:0"
    process: subprocess.Popen[str] | None = None
    draining: threading.Thread | None = None
    admin: str = ""

    def start(self) -> "Proxy":
        """Start it and wait until it serves."""
        log = self.data.with_name(self.data.name + ".log")
        command = [sys.executable, "-m", "sseproxy", "serve", "--data", str(self.data), "--listen", self.listen]
        with log.open("a") as out:
            self.process = subprocess.Popen(
                [*command, *self.arguments],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                env={**_bare_environment(), **self.environment},
            )
        assert self.process.stderr is not None
        said = []
        for line in self.process.stderr:
            said.append(line)
            found = _SERVING.match(line)
            if found:
                self.endpoint = found[1]
                # the rest goes on being written; a pipe that nobody reads would fill up
                self.draining = _drain(self.process, log)
                self._wait_until_ready()
                return self
        self._ended()
        raise AssertionError(f"the proxy did not start: {''.join(said)}")

    def _wait_until_ready(self) -> None:
        """The socket listens before the application is built, so the first answer comes when it is ready."""
        with urllib.request.urlopen(f"{self.endpoint}/_/health/ready", timeout=60) as answer:  # noqa: S310
            assert answer.status == 200

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        """Wait for the end, and for the last of what it had to say."""
        assert self.process is not None
        assert self.process.stderr is not None
        status = self.process.wait(60)
        if self.draining is not None:
            self.draining.join(60)
        self.process.stderr.close()
        return status

    def client(self, service: str, who: Credential = ROOT, region: str = REGION, **config: Any) -> Any:
        """A boto3 client with its default settings."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=who.access_key_id,
            aws_secret_access_key=who.secret,
            config=Config(retries={"max_attempts": 0}, **config),
        )

    def aws_environment(self, who: Credential = ROOT) -> dict[str, str]:
        """What a stock AWS tool needs."""
        return {
            **_bare_environment(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": who.access_key_id,
            "AWS_SECRET_ACCESS_KEY": who.secret,
            "AWS_DEFAULT_REGION": REGION,
        }

    def aws(self, *words: str, who: Credential = ROOT, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the stock AWS CLI."""
        command = [str(Path(sys.executable).with_name("aws")), *words]
        done = subprocess.run(
            command, env=self.aws_environment(who), capture_output=True, text=True, timeout=300, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def events(self) -> list[dict[str, Any]]:
        """Every audit event so far."""
        files = sorted((self.data / "audit").glob("*.jsonl"))
        lines = [line for path in files for line in path.read_text().splitlines()]
        return [json.loads(line)["event"] for line in lines]


def _bare_environment() -> dict[str, str]:
    """This process's environment without anybody's AWS or sseproxy settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SSEPROXY_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}


def _drain(process: subprocess.Popen[str], log: Path) -> threading.Thread:
    def copy() -> None:
        assert process.stderr is not None
        with log.open("a") as out, contextlib.suppress(ValueError):
            for line in process.stderr:
                out.write(line)
                out.flush()

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


@contextlib.contextmanager
def running(data: Path, *arguments: str, bootstrap: str | None = BOOTSTRAP, **environment: str) -> Iterator[Proxy]:
    """A proxy for the length of a block."""
    if bootstrap is not None:
        file = data.with_name(data.name + ".toml")
        file.write_text(bootstrap)
        arguments = (*arguments, "--bootstrap", str(file))
    proxy = Proxy(data, arguments, environment).start()
    try:
        yield proxy
    finally:
        proxy.stop()
