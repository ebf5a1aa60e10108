"""The house plan, held against the imports: they point one way, names say what a thing is, files stay readable."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = 400

# From the ground up. A module may import its own room and rooms on lower floors, nothing else of ours.
FLOORS = (
    (
        "kms_core.arn",
        "kms_core.errors",
        "kms_core.caller",
        "kms_core.clock",
        "kms_core.model",
        "kms_core.crypto.secret",
    ),
    ("kms_core.crypto", "kms_core.policy", "kms_core.keystore", "kms_core.audit"),
    ("kms_core.identity",),
    ("kms_core.operations",),
    ("kms_core.service",),
    ("kms_core.wire",),
    ("sseproxy.cipher", "sseproxy.store", "sseproxy.settings", "sseproxy.logs", "sseproxy.health"),
    ("sseproxy.control",),
    (
        "sseproxy.s3.names",
        "sseproxy.s3.errors",
        "sseproxy.s3.fields",
        "sseproxy.s3.xml",
        "sseproxy.s3.ranges",
        "sseproxy.s3.preconditions",
        "sseproxy.s3.copy_source",
        "sseproxy.s3.checksums",
        "sseproxy.s3.etags",
        "sseproxy.s3.metadata",
        "sseproxy.s3.encryption",
        "sseproxy.s3.listing",
        "sseproxy.s3.unserved",
    ),
    ("sseproxy.authorize", "sseproxy.keys"),
    ("sseproxy.s3.services", "sseproxy.s3.operation"),
    ("sseproxy.objects",),
    ("sseproxy.s3.operations",),
    ("sseproxy.s3.routes",),
    ("sseproxy.gate",),
    ("sseproxy.backend",),
    ("sseproxy.app",),
    ("sseproxy.bootstrap",),
    ("sseproxy.serve",),
    ("sseproxy.cli",),
    ("sseproxy.__main__",),
)
# One floor of several files that lean on each other within limits: what is on it counts as one room.
SHARED = {0, 8, 10}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("kms_core", "sseproxy"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def floor_of(module: str) -> tuple[int, str]:
    """The floor and room of a module: the longest prefix that names it."""
    found = [
        (len(room), floor, room)
        for floor, rooms in enumerate(FLOORS)
        for room in rooms
        if module == room or module.startswith(room + ".")
    ]
    assert found, f"{module} has no place in the house plan"
    _, floor, room = max(found)
    return floor, room


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            if node.module.split(".")[0] in ("kms_core", "sseproxy"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names if is_module(node.module, alias.name))


def is_module(package: str, name: str) -> bool:
    place = ROOT.joinpath(*package.split("."), name)
    return place.is_dir() or place.with_suffix(".py").exists()


ALL = [pytest.param(name, path, id=name) for name, path in modules() if name not in ("kms_core", "sseproxy")]


@pytest.mark.parametrize(("name", "path"), ALL)
def test_imports_point_down(name: str, path: Path) -> None:
    if name in ("sseproxy.s3",):
        return
    floor, room = floor_of(name)
    for imported in imports(path):
        if imported.split(".")[0] not in ("kms_core", "sseproxy") or imported in (
            "kms_core",
            "sseproxy",
            "sseproxy.s3",
        ):
            continue
        below, other = floor_of(imported)
        allowed = below < floor or other == room or (below == floor and floor in SHARED)
        assert allowed, f"{name} imports {imported}, which is not below it"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_the_key_service_knows_neither_the_proxy_nor_the_web(name: str, path: Path) -> None:
    if name.startswith("kms_core"):
        foreign = {imported.split(".")[0] for imported in imports(path)} & {
            "sseproxy",
            "starlette",
            "uvicorn",
            "asyncio",
        }
        assert not foreign


def test_only_one_file_of_the_proxy_calls_the_key_service() -> None:
    callers = {name for name, path in modules() if name.startswith("sseproxy") and ".call(" in path.read_text()}
    # bootstrap makes keys as an account's root user, before the first request
    assert callers == {"sseproxy.keys", "sseproxy.bootstrap"}


def test_headers_are_read_at_the_gate_only() -> None:
    readers = {
        name
        for name, path in modules()
        if name.startswith("sseproxy")
        and any(imported.startswith("kms_core.identity.http") for imported in imports(path))
    }
    assert all(name.startswith("sseproxy.gate.") for name in readers), readers


@pytest.mark.parametrize(("name", "path"), ALL)
def test_a_file_can_be_read_in_one_sitting(name: str, path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{name} has {lines} lines: split it by what it is about"


@pytest.mark.parametrize(("name", "path"), ALL)
def test_a_module_says_what_it_is_for(name: str, path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), f"{name} has no docstring"
    assert not set(name.split(".")) & {"utils", "helpers", "common", "manager", "misc"}
