"""AWS services as their models describe them: operations, with the shapes of what goes in and what comes out.

The models are botocore's, read without its session and compiled once, at start-up. Only what KMS, CloudTrail, STS and
IAM use is known here; a model with anything else stops the start (a location on the wire other than the member's name,
flattened lists, recursive shapes).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from botocore.loaders import Loader

from kms_core.errors import InternalError
from kms_core.wire.constraints import Bounds, Pattern, refusal
from kms_core.wire.containers import List, Map, Member, Structure
from kms_core.wire.scalars import Blob, Boolean, Double, Integer, Shape, String, Timestamp

_FOREIGN_TRAITS: Final = frozenset(
    {"location", "locationName", "flattened", "xmlAttribute", "streaming", "eventstream"}
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `output` is None where the answer has no result at all."""

    name: str
    input: Structure
    output: Structure | None

    def validate(self, params: object) -> dict[str, object]:
        """Check a decoded JSON value and convert it: blobs to bytes, timestamps to seconds since the epoch.

        Members come back in the model's order. ValidationException lists what breaks a constraint, the first ten as AWS
        does; SerializationException for a value of the wrong JSON type.
        """
        violations: list[str] = []
        taken = self.input.accept(params, "", violations)
        if violations:
            raise refusal(violations)
        return taken


@dataclass(frozen=True, slots=True)
class Service:
    """One service. `target_prefix` and `json_version` are those of the JSON protocol, `xml_namespace` that of Query."""

    name: str
    protocol: str
    api_version: str
    target_prefix: str | None
    json_version: str | None
    xml_namespace: str | None
    operations: Mapping[str, Operation]


@cache
def load_service(name: str) -> Service:
    """The service that botocore calls `name`, compiled on first use."""
    model: dict[str, Any] = Loader().load_service_model(name, "service-2")
    metadata = model["metadata"]
    shapes = _Shapes(model["shapes"])
    return Service(
        name=name,
        protocol=metadata["protocol"],
        api_version=metadata["apiVersion"],
        target_prefix=metadata.get("targetPrefix"),
        json_version=metadata.get("jsonVersion"),
        xml_namespace=metadata.get("xmlNamespace"),
        operations={
            key: Operation(
                name=key,
                input=shapes.structure(row["input"]["shape"]) if "input" in row else Structure(()),
                output=shapes.structure(row["output"]["shape"]) if "output" in row else None,
            )
            for key, row in model["operations"].items()
        },
    )


class _Shapes:
    """The shapes of one model, each made when something first needs it."""

    def __init__(self, models: dict[str, Any]) -> None:
        self._models = models
        self._made: dict[str, Shape] = {}
        self._making: set[str] = set()

    def structure(self, name: str) -> Structure:
        """The structure `name`."""
        shape = self._get(name)
        if not isinstance(shape, Structure):
            raise InternalError(f"kms_core.wire.shapes: {name} is no structure")
        return shape

    def _get(self, name: str) -> Shape:
        if name in self._making:
            raise InternalError(f"kms_core.wire.shapes: {name} contains itself")
        if name not in self._made:
            self._making.add(name)
            self._made[name] = self._make(name, self._models[name])
            self._making.remove(name)
        return self._made[name]

    def _make(self, name: str, model: dict[str, Any]) -> Shape:
        least, most = model.get("min"), model.get("max")
        length = Bounds("length", least, most)
        match model["type"]:
            case "string":
                pattern = Pattern(model["pattern"]) if "pattern" in model else None
                return String(length, pattern, tuple(model.get("enum", ())), model.get("sensitive", False))
            case "blob":
                return Blob(length)
            case "boolean":
                return Boolean()
            case "integer":
                return Integer(_within(least, most, bits=32), "an Integer")
            case "long":
                return Integer(_within(least, most, bits=64), "a Long")
            case "double" | "float":
                return Double()
            case "timestamp":
                return Timestamp()
            case "list":
                return List(length, self._get(_plain(model["member"])))
            case "map":
                key = self._get(_plain(model["key"]))
                if isinstance(key, String):
                    return Map(length, key, self._get(_plain(model["value"])))
            case "structure":
                required = frozenset(model.get("required", ()))
                return Structure(
                    tuple(
                        Member(member, member[0].lower() + member[1:], self._get(_plain(row)), member in required)
                        for member, row in model["members"].items()
                    )
                )
        raise InternalError(f"kms_core.wire.shapes: {name} is of an unknown kind")


def _plain(reference: dict[str, Any]) -> str:
    """The shape that a member refers to."""
    if foreign := _FOREIGN_TRAITS & reference.keys():
        raise InternalError(f"kms_core.wire.shapes: unknown traits {sorted(foreign)}")
    return str(reference["shape"])


def _within(least: int | None, most: int | None, *, bits: int) -> Bounds:
    """The model's limits, or else those of the type."""
    edge = 1 << (bits - 1)
    return Bounds("value", -edge if least is None else least, edge - 1 if most is None else most)
