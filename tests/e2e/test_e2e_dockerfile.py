"""The Dockerfile, without Docker: read as instructions, its build steps run in a fresh virtual environment, its entry
point started with its environment, and its health check run against that.

What only Docker can show is left out: the base image, `useradd`, and that layers fit together.
"""

import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PLACE = "/opt/sseproxy"


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continued lines joined."""

    name: str
    text: str

    def words(self) -> list[str]:
        """The words of the exec form."""
        found: list[str] = json.loads(self.text)
        return found


def read_stages(text: str) -> list[list[Instruction]]:
    """The stages of a Dockerfile, each from its FROM on."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append(Instruction(name, rest.strip()))
    return stages


STAGES = read_stages((TOP / "Dockerfile").read_text())
BUILD, FINAL = STAGES[0], STAGES[-1]


def only(stage: list[Instruction], name: str) -> Instruction:
    """The one instruction of that name."""
    (found,) = [one for one in stage if one.name == name]
    return found


def environment_of(stage: list[Instruction]) -> dict[str, str]:
    """What ENV sets."""
    return dict(word.split("=", 1) for one in stage if one.name == "ENV" for word in shlex.split(one.text))


def test_the_image_is_built_in_one_stage_and_runs_in_another_without_the_sources() -> None:
    assert len(STAGES) == 2
    copied = [one.text for one in FINAL if one.name in ("COPY", "ADD")]
    assert copied == [f"--from=build {PLACE} {PLACE}"]
    assert only(BUILD, "FROM").text.endswith(" AS build")


def test_the_server_does_not_run_as_root_and_owns_its_volume() -> None:
    user = only(FINAL, "USER").text
    assert user not in ("root", "0")
    assert int(user) >= 1000  # a number, so that an orchestrator can tell that it is not root
    made = next(one.text for one in FINAL if one.name == "RUN" and "useradd" in one.text)
    assert f"--uid {user} " in made
    assert "--owner sseproxy" in made
    assert "--mode 0700 /data" in made
    names = [one.name for one in FINAL]
    assert names.index("USER") > max(at for at, name in enumerate(names) if name == "RUN")
    assert only(FINAL, "VOLUME").text == "/data"


def test_the_server_listens_where_the_image_says() -> None:
    settings = environment_of(FINAL)
    assert settings["SSEPROXY_LISTEN"] == "0.0.0.0:9000"
    assert settings["SSEPROXY_DATA"] == "/data"
    assert only(FINAL, "EXPOSE").text == "9000"
    assert "127.0.0.1:9000/_/health/live" in only(FINAL, "HEALTHCHECK").text


def test_no_secret_is_baked_into_the_image() -> None:
    text = (TOP / "Dockerfile").read_text()
    assert re.findall(r"(?i)secret|password|_key\b|AKIA", text) == []


def ignored(path: str) -> bool:
    """Whether .dockerignore keeps a path from the builder; the last rule that fits decides."""
    out = False
    for rule in (TOP / ".dockerignore").read_text().splitlines():
        pattern = rule.removeprefix("!")
        if not rule or rule.startswith("#"):
            continue
        parents = [str(one) for one in [Path(path), *Path(path).parents] if str(one) != "."]
        names = parents if not pattern.startswith("**/") else [Path(path).name, *(Path(one).name for one in parents)]
        if any(fnmatch.fnmatch(name, pattern.removeprefix("**/")) for name in names):
            out = not rule.startswith("!")
    return out


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "data/root.key",
        "demo/root.key",
        ".venv/bin/python",
        "tests/conftest.py",
        "kms_core/__pycache__/arn.cpython-312.pyc",
        "sseproxy/x.pyc",
    ],
)
def test_the_builder_is_not_given(path: str) -> None:
    assert ignored(path)


def copied_sources() -> list[str]:
    """What the build stage copies from the working folder."""
    return [word.rstrip("/") for one in BUILD if one.name == "COPY" for word in one.text.split()[:-1]]


def test_the_builder_is_given_whatever_it_copies() -> None:
    sources = copied_sources()
    assert {"pyproject.toml", "constraints.txt", "kms_core", "sseproxy"} <= set(sources)
    assert [path for path in sources if not (TOP / path).exists()] == []
    assert [path for path in sources if ignored(path)] == []


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The virtual environment that the build stage's own RUN lines make."""
    top = tmp_path_factory.mktemp("docker")
    source, made = top / "src", top / "opt"
    source.mkdir()
    for name in copied_sources():
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(TOP / name, source / name)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SSEPROXY_", "PYTHON"))}
    for one in BUILD:
        if one.name == "RUN":
            command = re.sub(r"^python ", f"{shlex.quote(sys.executable)} ", one.text.replace(PLACE, str(made)))
            done = subprocess.run(
                ["/bin/sh", "-ec", command],
                cwd=source,
                env=kept,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    shutil.rmtree(source)  # the final stage has none of it
    return made


def test_the_build_installs_what_constraints_pin(image: Path) -> None:
    found = subprocess.run(
        [image / "bin" / "python", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    installed = {re.sub(r"[-_.]+", "-", one["name"]).lower(): one["version"] for one in json.loads(found.stdout)}
    lines = [line.partition("==") for line in (TOP / "constraints.txt").read_text().split() if "==" in line]
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, _, version in lines}
    tools = {"pip", "setuptools", "wheel", "sseproxy"}
    assert "cryptography" in installed
    assert {name: pinned.get(name) for name in installed.keys() - tools} == {
        name: version for name, version in installed.items() if name not in tools
    }
    assert installed.keys() & {"pytest", "ruff", "mypy", "hypothesis"} == set()


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def health(image: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Run the HEALTHCHECK's command, on another port than 9000."""
    _, _, text = only(FINAL, "HEALTHCHECK").text.partition(" CMD ")
    program, *words = json.loads(text)
    command = [image / "bin" / program, *(word.replace(":9000/", f":{port}/") for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def started(image: Path, data: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The image's ENTRYPOINT and CMD with its ENV; data and address are this machine's, the log is beside them."""
    settings = {name: value for name, value in environment_of(FINAL).items() if name != "PATH"}
    settings |= {"SSEPROXY_DATA": str(data), "SSEPROXY_LISTEN": f"127.0.0.1:{port}"}
    program, *words = [*only(FINAL, "ENTRYPOINT").words(), *only(FINAL, "CMD").words()]
    with data.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [image / "bin" / program, *words], env=settings, cwd="/", stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(60)


def test_the_entry_point_starts_answers_the_health_check_and_stops_when_told(image: Path, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    assert health(image, port).returncode != 0  # nobody is there yet: an unhealthy server is told as one
    with started(image, data, port) as process:
        until = time.monotonic() + 60
        while health(image, port).returncode != 0:
            assert process.poll() is None, data.with_suffix(".log").read_text()
            assert time.monotonic() < until, "the server did not become healthy"
        assert (data / "root.key").stat().st_mode & 0o777 == 0o600
        process.send_signal(getattr(signal, only(FINAL, "STOPSIGNAL").text))
        # uvicorn ends in order, and then by the signal itself; as process 1 of a container that has no effect
        assert process.wait(60) in (0, -signal.SIGTERM)
    assert health(image, port).returncode != 0
    assert "export AWS_ACCESS_KEY_ID=" in data.with_suffix(".log").read_text()
