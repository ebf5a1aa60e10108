"""Other people's S3 clients, as processes of their own, and a tree of files for them to move.

A client that is not installed is skipped with the reason; with CI=true its absence is a failure, since then everything
must run. Each gets an address, a credential and a home folder of its own, and nobody's settings.
"""

import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testkit.proxy import Credential, Proxy

MARK = b"a plaintext that must lie nowhere: \xc3\xa4\xf6\x00\xff\x17\x80\x99\xde\xad"
"""What every file of a tree begins with, and a part in the middle of each large one."""
LARGE = 16 * 1024 * 1024 + 12_345
S3FS = ("s3fs==2026.9.0", "aiobotocore==3.10.0", "botocore==1.43.117")
"""With the botocore that it insists on, which is older than ours: so it has a virtual environment of its own."""
_PART = "5M"
_SECONDS = 120


def absent(what: str) -> None:
    """Skip; or fail, where everything must run."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and CI=true says that everything must run")
    pytest.skip(what)


def installed(program: str) -> str:
    """The program's path."""
    found = shutil.which(program)
    if found is None:
        absent(f"{program} is not installed")
    assert found is not None
    return found


@dataclass(frozen=True)
class Client:
    """A program with its environment."""

    command: tuple[str, ...]
    environment: Mapping[str, str]

    def run(self, *words: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end; `text` is its standard input."""
        done = subprocess.run(
            [*self.command, *words],
            env=dict(self.environment),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{self.command[0]} {' '.join(words)}: {done.stdout}{done.stderr}")
        return done

    def first_complaint(self, *words: str, said: str) -> str | None:
        """The first line in which it says `said`, and then it is stopped: for clients that try again for minutes.

        None if it ends without.
        """
        process = subprocess.Popen(
            [*self.command, *words],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            with process.stdout:
                return next((line for line in process.stdout if re.search(said, line)), None)
        finally:
            process.kill()
            process.wait(30)


def _environment(proxy: Proxy, who: Credential, home: Path, **more: str) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    return {**proxy.aws_environment(who), "HOME": str(home), "XDG_CACHE_HOME": str(home), **more}


def rclone(proxy: Proxy, who: Credential, home: Path, key: str | None = None) -> Client:
    """A remote `proxy:`, in parts of 5 MiB from 8 MiB on; `key`: it asks for SSE-KMS under that one."""
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENV_AUTH": "true",
        "ENDPOINT": proxy.endpoint,
        "REGION": "us-east-1",
        "FORCE_PATH_STYLE": "true",
        "UPLOAD_CUTOFF": "8M",
        "CHUNK_SIZE": _PART,
        "COPY_CUTOFF": "8M",
    }
    if key is not None:
        settings |= {"SERVER_SIDE_ENCRYPTION": "aws:kms", "SSE_KMS_KEY_ID": key}
    variables = {f"RCLONE_CONFIG_PROXY_{name}": value for name, value in settings.items()}
    command = (installed("rclone"), "--retries=1", "--low-level-retries=1")
    return Client(command, _environment(proxy, who, home, RCLONE_CONFIG=os.devnull, **variables))


def s3cmd(proxy: Proxy, who: Credential, home: Path) -> Client:
    """Configured by a file, as it asks its users to be; parts as by default, of 15 MiB."""
    program = installed("s3cmd")
    environment = _environment(proxy, who, home)
    host = proxy.endpoint.partition("://")[2]
    settings = {
        "access_key": who.access_key_id,
        "secret_key": who.secret,
        "host_base": host,
        "host_bucket": host,
        "use_https": "False",
        "bucket_location": "us-east-1",
        "max_retries": "1",
        "progress_meter": "False",
    }
    file = home / f"{who.access_key_id}.s3cfg"
    file.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
    file.chmod(0o600)
    return Client((program, f"--config={file}"), environment)


def restic(proxy: Proxy, who: Credential, home: Path, bucket: str) -> Client:
    """A repository in a folder of the bucket."""
    settings = {"RESTIC_REPOSITORY": f"s3:{proxy.endpoint}/{bucket}/repo", "RESTIC_PASSWORD": "a password of restic's"}
    return Client((installed("restic"), "--no-cache"), _environment(proxy, who, home, **settings))


@dataclass(frozen=True)
class S3fs:
    """fsspec's S3 file system, spoken to as a program that takes steps and tells what each one gave."""

    client: Client

    def steps(self, *steps: tuple[Any, ...]) -> list[Any]:
        """Each step is a method's name and its arguments, a dictionary at the end being named ones.

        Bytes come back as their SHA-256, an exception as `{"error": its type, "says": its text}`.
        """
        found: list[Any] = json.loads(self.client.run(text=json.dumps(steps)).stdout)
        return found

    def step(self, *step: Any) -> Any:
        """The answer to one step."""
        return self.steps(step)[0]


def s3fs(proxy: Proxy, who: Credential, home: Path, python: Path, program: Path) -> S3fs:
    """`python` has s3fs, `program` is the file that takes the steps."""
    return S3fs(Client((str(python), str(program)), _environment(proxy, who, home)))


def make_s3fs_environment(folder: Path) -> Path:
    """A Python that has s3fs; skipped where pip finds no index."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True, timeout=_SECONDS)
    python = folder / "bin" / "python"
    kept = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--retries=0", *S3FS],
        env=kept,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode != 0:
        absent(f"s3fs cannot be installed: {done.stderr.strip().splitlines()[-1:]}")
    return python


def sha256(data: bytes) -> str:
    """As `s3fs` and `contents` tell it."""
    return hashlib.sha256(data).hexdigest()


def make_tree(top: Path, seed: int, *, large: int = LARGE) -> dict[str, str]:
    """Nine files, of the sizes where segments end, with names that need quoting; what `contents` will find."""
    chance = random.Random(seed)
    sizes = {
        "empty": 0,
        "one byte.txt": 1,
        "deep/segment less one.bin": 65_535,
        "deep/segment.bin": 65_536,
        "deep/segment and one.bin": 65_537,
        "deep/er/naïve & odd + 100%.bin": 131_072 + 424,
        "deep/er/日本.txt": 1_000,
        "deep/megabyte.bin": 1_048_576,
        "large.bin": large,
    }
    for name, size in sizes.items():
        file = top / name
        file.parent.mkdir(parents=True, exist_ok=True)
        body = (MARK + chance.randbytes(size))[:size]
        if size > 1_000_000:
            body = body[: size // 2] + MARK + body[size // 2 + len(MARK) :]
        file.write_bytes(body)
        # long ago, to the nanosecond: what a client keeps of it is the client's own metadata
        os.utime(file, ns=(1_700_000_000_123_456_789 + size, 1_700_000_000_123_456_789 + size))
    return contents(top)


def contents(top: Path) -> dict[str, str]:
    """The SHA-256 of every file under a folder."""
    return {str(file.relative_to(top)): sha256(file.read_bytes()) for file in sorted(top.rglob("*")) if file.is_file()}


def sizes(top: Path) -> dict[str, int]:
    """The size of every file under a folder."""
    return {str(file.relative_to(top)): file.stat().st_size for file in sorted(top.rglob("*")) if file.is_file()}
