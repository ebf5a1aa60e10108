"""botocore is the other side: its serializers write what we parse, its parsers read what we render."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from botocore import model, parsers, serialize
from botocore.loaders import Loader

from kms_core.crypto.secret import Secret
from kms_core.errors import ValidationException
from kms_core.wire import json11, query
from kms_core.wire.constraints import Pattern
from kms_core.wire.shapes import load_service

MOMENT = 1_700_000_000.0
SAMPLES = (
    "arn:aws:service:us-east-1:111122223333:thing/name",
    "cluster-2a34b5cdefg",
    "https://example.com",
    "/kms/xks/v1",
    "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0",
    "service.amazonaws.com",
    "eu-west-1",
    "v1",
    "/path/",
    "o-abcdefghij",
    "o-abcdefghij/r-abcd",
    "p-abcdefgh",
    "s3://bucket/key",
    "12:34",
    "111122223333",
)


@cache
def botocore_model(service: str) -> Any:
    return model.ServiceModel(Loader().load_service_model(service, "service-2"), service)


def read(protocol: str, body: bytes, shape: Any) -> Any:
    """What botocore's parser makes of a reply."""
    return parsers.create_parser(protocol).parse({"status_code": 200, "headers": {}, "body": body}, shape)


def operations(*services: str) -> list[Any]:
    return [
        pytest.param(service, name, id=f"{service}:{name}")
        for service in services
        for name in botocore_model(service).operation_names
    ]


def text(shape: Any) -> str:
    """Some text that the shape allows."""
    if shape.enum:
        return str(shape.enum[0])
    least = shape.metadata.get("min", 1)
    most = shape.metadata.get("max", least + 64)
    pattern = Pattern(shape.metadata.get("pattern", "(?s).*"))
    lengths: list[int] = [size for size in (least, least + 1, most) if size <= most]
    repeated = (letter * size for letter in "a1A" for size in lengths)
    return next(one for one in (*SAMPLES, *repeated) if least <= len(one) <= most and pattern.matches(one))


def value(shape: Any, *, full: bool) -> Any:
    """A value of the shape: as little as it takes (but nothing empty, which a form cannot say), or all there is."""
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "string":
            return text(shape)
        case "blob":
            return bytes(range(max(least, 3)))
        case "boolean":
            return True
        case "integer" | "long":
            return max(least, 7) if shape.metadata.get("max", 7) >= 7 else least
        case "double" | "float":
            return 0.5
        case "timestamp":
            return MOMENT
        case "list":
            return [value(shape.member, full=full)] * max(least, 1)
        case "map":
            return {value(shape.key, full=full): value(shape.value, full=full)}
        case _:
            return members(shape, full=full)


def members(shape: Any, *, full: bool) -> dict[str, Any]:
    """Required members or all of them; of a union the first."""
    wanted = list(shape.members) if full else shape.required_members
    if shape.is_tagged_union:
        wanted = list(shape.members)[:1]
    return {name: value(shape.members[name], full=full) for name in wanted or list(shape.members)[:1]}


def plain(found: Any) -> Any:
    """What botocore parsed, with moments as seconds."""
    match found:
        case datetime():
            return found.timestamp()
        case dict():
            return {key: plain(item) for key, item in found.items() if key != "ResponseMetadata"}
        case list():
            return [plain(item) for item in found]
        case _:
            return found


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize(("service", "name"), operations("kms", "cloudtrail"))
def test_what_botocore_writes_in_json_is_read_back_the_same(service: str, name: str, full: bool) -> None:
    theirs = botocore_model(service).operation_model(name)
    params = members(theirs.input_shape, full=full)
    request = serialize.create_serializer("json").serialize_to_request(params, theirs)
    parsed = json11.parse(request["body"], load_service(service).operations[name])
    assert parsed == params
    assert list(parsed) == [member for member in theirs.input_shape.members if member in params]


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize(("service", "name"), operations("sts", "iam"))
def test_what_botocore_writes_as_a_form_is_read_back_the_same(service: str, name: str, full: bool) -> None:
    theirs = botocore_model(service).operation_model(name)
    params = members(theirs.input_shape, full=full) if theirs.input_shape else {}
    body = serialize.create_serializer("query").serialize_to_request(params, theirs)["body"]
    form = [(key, str(item)) for key, item in body.items()]
    assert query.parse(form, load_service(service).operations[name]) == params


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize(("service", "name"), operations("kms", "cloudtrail", "sts", "iam"))
def test_what_we_render_is_what_botocore_parses(service: str, name: str, full: bool) -> None:
    theirs = botocore_model(service).operation_model(name)
    ours = load_service(service)
    output = members(theirs.output_shape, full=full) if theirs.output_shape else {}
    operation = ours.operations[name]
    if ours.protocol == "json":
        body = json11.render(operation, output)
        assert bool(body) == (theirs.output_shape is not None)
    else:
        body = query.render(ours, operation, output, "request-1")
    parsed = read(ours.protocol, body, theirs.output_shape)
    assert plain(parsed) == output
    if ours.protocol == "query":
        assert parsed["ResponseMetadata"]["RequestId"] == "request-1"


@pytest.mark.parametrize(("service", "name"), operations("kms"))
def test_each_required_member_left_out_is_refused(service: str, name: str) -> None:
    theirs = botocore_model(service).operation_model(name)
    operation = load_service(service).operations[name]
    params = members(theirs.input_shape, full=False)
    serializer = serialize.create_serializer("json", include_validation=False)
    for missing in theirs.input_shape.required_members:
        rest = {key: item for key, item in params.items() if key != missing}
        label = missing[0].lower() + missing[1:]
        sentence = f"Value null at '{label}' failed to satisfy constraint: Member must not be null"
        with pytest.raises(ValidationException, match=re.escape(f"1 validation error detected: {sentence}")):
            json11.parse(serializer.serialize_to_request(rest, theirs)["body"], operation)


def test_a_secret_goes_out_as_the_bytes_it_hides() -> None:
    operation = load_service("kms").operations["GenerateRandom"]
    theirs = botocore_model("kms").operation_model("GenerateRandom")
    body = json11.render(operation, {"Plaintext": Secret(b"\x00\xff")})
    assert read("json", body, theirs.output_shape)["Plaintext"] == b"\x00\xff"


def test_milliseconds_survive_in_json() -> None:
    operation = load_service("kms").operations["GetParametersForImport"]
    assert (
        json11.render(operation, {"ParametersValidTo": 1_700_000_000.1239}) == b'{"ParametersValidTo":1700000000.124}'
    )


def test_a_moment_in_xml_is_whole_seconds_of_utc() -> None:
    sts = load_service("sts")
    theirs = botocore_model("sts").operation_model("GetSessionToken")
    output = {
        "Credentials": {"AccessKeyId": "A", "SecretAccessKey": "s", "SessionToken": "t", "Expiration": MOMENT + 0.75}
    }
    body = query.render(sts, sts.operations["GetSessionToken"], output, "r")
    assert b"<Expiration>2023-11-14T22:13:20Z</Expiration>" in body
    parsed = read("query", body, theirs.output_shape)
    assert parsed["Credentials"]["Expiration"] == datetime.fromtimestamp(MOMENT, UTC)
