"""The AWS Query protocol of STS and IAM (Smithy, "AWS Query protocol"): form pairs in, XML out.

A list is `Tags.member.1`, `Tags.member.2` ...; a map is `Name.entry.1.key` and `Name.entry.1.value`; an empty list is
`Tags=`. Strict where a loose reading could drop half of a request: numbers run from 1 without a gap, no name comes
twice, no name is both a value and a container. Names that the operation does not have (Action, Version, those of a
presigned URL) are ignored, as on AWS.

Left out on purpose: timestamps, blobs and fractions as parameters, which neither STS nor IAM has.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias
from xml.sax.saxutils import escape

from kms_core.errors import AwsError, InternalError, SerializationException
from kms_core.wire.containers import List, Map, Structure
from kms_core.wire.scalars import Blob, Boolean, Integer, Shape, String, Timestamp
from kms_core.wire.shapes import Operation, Service

MAX_DEPTH: Final = 16
"""Dots in a name; the deepest parameter of the models has a third of it."""

_Node: TypeAlias = "str | dict[str, _Node]"

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,19}")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_CODES: Final = {
    "AccessDeniedException": "AccessDenied",
    "SerializationException": "MalformedInput",
    "ValidationException": "ValidationError",
    "KMSInternalException": "InternalFailure",
    "DependencyTimeoutException": "ServiceUnavailable",
}
"""What errors that all services share are called in this protocol."""


def parse(form: Iterable[tuple[str, str]], operation: Operation) -> dict[str, object]:
    """The checked parameters in decoded form pairs. SerializationException, ValidationException."""
    root: dict[str, _Node] = {}
    for name, value in form:
        _plant(root, name, value)
    return operation.validate(_value(operation.input, root, operation.name))


def render(service: Service, operation: Operation, output: Mapping[str, object], request_id: str) -> bytes:
    """The document for a result: timestamps in ISO 8601, whole seconds, UTC; None left out.

    InternalError if `output` is not what the model says.
    """
    if operation.output is not None:
        result = f"<{operation.name}Result>{_inside(operation.output, output)}</{operation.name}Result>"
    elif output:
        raise InternalError(f"kms_core.wire.query: {operation.name} has no result")
    else:
        result = ""
    return (
        f'<{operation.name}Response xmlns="{service.xml_namespace}">{result}'
        f"<ResponseMetadata><RequestId>{_text(request_id)}</RequestId></ResponseMetadata></{operation.name}Response>"
    ).encode()


def render_error(service: Service, error: AwsError, request_id: str) -> bytes:
    """The document for an error. What an internal error says stays inside."""
    fault = "Sender" if error.status < 500 else "Receiver"
    known = error.message is not None and not isinstance(error, InternalError)
    message = f"<Message>{_text(error.message or '')}</Message>" if known else ""
    return (
        f'<ErrorResponse xmlns="{service.xml_namespace}">'
        f"<Error><Type>{fault}</Type><Code>{_CODES.get(error.code, error.code)}</Code>{message}</Error>"
        f"<RequestId>{_text(request_id)}</RequestId></ErrorResponse>"
    ).encode()


def _plant(root: dict[str, _Node], name: str, value: str) -> None:
    """Hang one pair into the tree of names."""
    *branches, leaf = name.split(".", MAX_DEPTH + 1)
    if len(branches) > MAX_DEPTH:
        raise SerializationException("A parameter name has too many parts")
    node = root
    for branch in branches:
        inner = node.setdefault(branch, {})
        if isinstance(inner, str):
            raise SerializationException("A parameter is both a value and a container")
        node = inner
    if leaf in node:
        raise SerializationException("A parameter comes more than once")
    node[leaf] = value


def _value(shape: Shape, node: _Node, name: str) -> object:
    """A node of the tree as the JSON value that it stands for."""
    match shape, node:
        case Structure(), dict():
            return {
                member.name: _value(member.shape, node[member.name], member.name)
                for member in shape.members
                if member.name in node
            }
        case List() | Map(), "":
            return [] if isinstance(shape, List) else {}
        case List(), dict():
            return [_value(shape.member, item, name) for item in _numbered(node, "member", name)]
        case Map(), dict():
            return dict(_entry(shape, item, name) for item in _numbered(node, "entry", name))
        case String(), str():
            return node
        case Integer(), str() if _WHOLE.fullmatch(node):
            return int(node)
        case Boolean(), "true" | "false":
            return node == "true"
    raise SerializationException(f"{name} is malformed")


def _numbered(node: dict[str, _Node], word: str, name: str) -> list[_Node]:
    """The nodes under `member.1`, `member.2` ... with nothing beside them."""
    inner = node.get(word)
    if len(node) == 1 and isinstance(inner, dict):
        numbers = [str(number) for number in range(1, len(inner) + 1)]
        if inner.keys() == set(numbers):
            return [inner[number] for number in numbers]
    raise SerializationException(f"{name} is not numbered from 1 without a gap")


def _entry(shape: Map, node: _Node, name: str) -> tuple[str, object]:
    """One entry of a map."""
    if isinstance(node, dict) and node.keys() == {"key", "value"} and isinstance(key := node["key"], str):
        return key, _value(shape.value, node["value"], name)
    raise SerializationException(f"{name} has an entry that is no key and value")


def _inside(shape: Shape, value: object) -> str:
    """What stands between the tags of an element that holds `value`."""
    match shape, value:
        case String(), str():
            return _text(value)
        case Structure(), _:
            return "".join(f"<{name}>{_inside(inner, item)}</{name}>" for name, inner, item in shape.present(value))
        case List(), list() | tuple():
            return "".join(f"<member>{_inside(shape.member, item)}</member>" for item in value)
        case Map(), Mapping():
            return "".join(
                f"<entry><key>{_text(key)}</key><value>{_inside(shape.value, item)}</value></entry>"
                for key, item in value.items()
            )
        case Boolean(), bool():
            return "true" if value else "false"
        case Integer(), int() if not isinstance(value, bool):
            return str(value)
        case Timestamp(), int() | float():
            return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case Blob(), bytes():
            return b2a_base64(value, newline=False).decode()
    raise InternalError(f"kms_core.wire.query: a {type(value).__name__} is no {type(shape).__name__}")


def _text(text: str) -> str:
    """Character data. What XML 1.0 cannot hold (section 2.2) is replaced, so that every reply can be parsed."""
    return escape(_NOT_XML.sub("\ufffd", text), {"\r": "&#13;"})
