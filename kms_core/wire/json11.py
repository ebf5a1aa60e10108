"""AWS JSON 1.1, the protocol of KMS and CloudTrail (Smithy, "AWS JSON 1.1 protocol"): bodies in, bodies out.

A body that is no JSON (RFC 8259: UTF-8, no NaN, no byte order mark) is a SerializationException without a message. Of
duplicate names the last one counts. Depth is limited here; the size of a body is limited by whoever reads it.
"""

import json
import re
from binascii import b2a_base64
from collections.abc import Mapping
from typing import Final, NoReturn

from kms_core.crypto.secret import Secret
from kms_core.errors import AwsError, InternalError, SerializationException
from kms_core.wire.containers import List, Map, Structure
from kms_core.wire.scalars import Blob, Boolean, Double, Integer, Shape, String, Timestamp
from kms_core.wire.shapes import Operation

MAX_DEPTH: Final = 32
"""Levels of lists and objects in a body; the deepest request of the models has a quarter of it."""

_CAPITAL_MESSAGE: Final = frozenset({"AccessDeniedException", "SerializationException"})
"""Errors whose text AWS sends as `Message`: those raised in front of the service. SDKs read both spellings."""

# A string without its end matches too: so the pattern never backtracks, and a scan stays linear for any body.
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[{]|[\]}]', re.DOTALL)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_ENCODER: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


def parse(body: bytes, operation: Operation) -> dict[str, object]:
    """The checked parameters in `body`. SerializationException, ValidationException."""
    try:
        text = body.decode()
        if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
            raise SerializationException
        value = _DECODER.decode(text)
    except ValueError as error:
        raise SerializationException from error
    return operation.validate(value)


def render(operation: Operation, output: Mapping[str, object]) -> bytes:
    """The body for a result: blobs in Base64, timestamps as seconds with milliseconds, None left out.

    Empty for an operation that has no result. InternalError if `output` is not what the model says.
    """
    if operation.output is None:
        if output:
            raise InternalError(f"kms_core.wire.json11: {operation.name} has no result")
        return b""
    return _ENCODER.encode(_plain(operation.output, output)).encode()


def render_error(error: AwsError) -> bytes:
    """The body for an error. What an internal error says stays inside."""
    body = {"__type": error.code}
    if error.message is not None and not isinstance(error, InternalError):
        body["Message" if error.code in _CAPITAL_MESSAGE else "message"] = error.message
    return _ENCODER.encode(body).encode()


def _plain(shape: Shape, value: object) -> object:
    """`value` as a JSON value."""
    match shape, value:
        case String(), str():
            return value
        case Blob(), bytes():
            return b2a_base64(value, newline=False).decode()
        case Blob(), Secret():
            return b2a_base64(value.reveal(), newline=False).decode()
        case Structure(), _:
            return {name: _plain(inner, item) for name, inner, item in shape.present(value)}
        case List(), list() | tuple():
            return [_plain(shape.member, item) for item in value]
        case Map(), Mapping():
            return {key: _plain(shape.value, item) for key, item in value.items()}
        case Boolean(), bool():
            return value
        case (Integer(), int()) | (Double(), int() | float()) if not isinstance(value, bool):
            return value
        case Timestamp(), int() | float():
            return round(value, 3)
    raise InternalError(f"kms_core.wire.json11: a {type(value).__name__} is no {type(shape).__name__}")


def _depth(text: str) -> int:
    """How deep the brackets outside strings nest. Looks at each character once."""
    depth = deepest = 0
    for token in _TOKEN.findall(text):
        if token in ("[", "{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token in ("]", "}"):
            depth -= 1
    return deepest
