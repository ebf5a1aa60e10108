"""Every wire name, method and sub-resource of ours, held against botocore's model of S3."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
import pytest
from botocore.model import OperationModel, ServiceModel

from sseproxy.s3.errors import MethodNotAllowed, NotImplementedYet
from sseproxy.s3.fields import Binder
from sseproxy.s3.names import Target
from sseproxy.s3.operation import Operation, Scope
from sseproxy.s3.routes import OPERATIONS, SUBRESOURCES, find

MODEL: ServiceModel = botocore.session.get_session().get_service_model("s3")
ROWS = [pytest.param(row, id=row.name) for row in OPERATIONS]
# Read so that they can be refused, on operations whose model has not got them.
# On endpoints of their own: S3 Object Lambda's, and the one for directory buckets (where it is `GET /`, too).
ELSEWHERE = {"WriteGetObjectResponse", "ListDirectoryBuckets"}
REFUSED_ON_READS = {"x-amz-server-side-encryption"}


def uri_of(model: OperationModel) -> tuple[str, dict[str, str]]:
    path, _, query = model.http["requestUri"].partition("?")
    return path, dict(parse_qsl(query, keep_blank_values=True))


def wire_names(model: OperationModel) -> tuple[set[str], set[str]]:
    """Header and query names (lower-case headers) of an operation's input."""
    headers, queries = set(), set(uri_of(model)[1])
    for member in model.input_shape.members.values() if model.input_shape else ():
        place, name = member.serialization.get("location"), member.serialization.get("name", "")
        if place == "header":
            headers.add(name.lower())
        elif place == "querystring":
            queries.add(name)
    return headers, queries


def fields_of(binder: Binder[Any]) -> Iterator[tuple[str, str]]:
    yield from (("header", header.name) for _, header in binder.headers)
    yield from (("query", query.name) for _, query in binder.queries)
    for _, group in binder.groups:
        yield from fields_of(group)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_its_operations_method_and_place(row: Operation) -> None:
    model = MODEL.operation_model(row.name)
    path, query = uri_of(model)
    assert row.method == model.http["method"]
    expected = Scope.OBJECT if "{Key+}" in path else Scope.BUCKET if "{Bucket}" in path else Scope.SERVICE
    assert row.scope is expected
    selecting = {name: value for name, value in query.items() if name != "x-id"}
    assert {name for name, _ in row.query} >= set(selecting), "the sub-resource selects the row"


@pytest.mark.parametrize("row", ROWS)
def test_every_field_of_a_row_is_on_the_wire_under_that_name(row: Operation) -> None:
    headers, queries = wire_names(MODEL.operation_model(row.name))
    for place, name in fields_of(Binder(row.input_type)):
        if place == "header":
            assert name in headers | REFUSED_ON_READS, f"{row.name} has no header {name}"
        else:
            assert name in queries, f"{row.name} has no query parameter {name}"


def test_the_sub_resources_are_those_of_the_model() -> None:
    found: set[str] = set()
    for name in MODEL.operation_names:
        model = MODEL.operation_model(name)
        path = uri_of(model)[0]
        if path.startswith("/{Bucket}") or path == "/":
            found |= {query for query in uri_of(model)[1] if query not in ("list-type", "x-id", "select-type")}
    assert found - SUBRESOURCES <= {"x-id", "WriteGetObjectResponse"}
    assert SUBRESOURCES - found <= {"uploadId"}, "uploadId selects by being given; the others are the model's"


@pytest.mark.parametrize("name", sorted(set(MODEL.operation_names) - {row.name for row in OPERATIONS} - ELSEWHERE))
def test_an_operation_that_is_not_served_reaches_no_other_row(name: str) -> None:
    model = MODEL.operation_model(name)
    path, query = uri_of(model)
    target = Target("bucket" if "{Bucket}" in path else "", "key" if "{Key+}" in path else "")
    with pytest.raises((NotImplementedYet, MethodNotAllowed)):
        find(model.http["method"], target, query, {})
