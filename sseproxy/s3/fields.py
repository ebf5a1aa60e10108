"""The fields of an operation's input, declared with their place on the wire, and bound in one pass.

```
@dataclass(frozen=True, slots=True)
class GetObject:
    range: Annotated[str | None, Header("range")] = None
```
A field that is itself such a dataclass is a group that several operations share. Absent or empty fields keep their
default; a tested rule says that every wire name is botocore's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar, get_args, get_type_hints

from sseproxy.s3.errors import InvalidArgument

T = TypeVar("T")
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Request:
    """A request's named values, decoded once: header names in lower case, `metadata` without `x-amz-meta-`."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    metadata: tuple[tuple[str, str], ...] = ()


def text(value: str, _name: str) -> object:
    """A string as it stands."""
    return value


def number(value: str, name: str) -> object:
    """A whole number that is not negative. InvalidArgument."""
    if not value.isdecimal() or not value.isascii() or len(value) > _MAX_DIGITS:
        raise InvalidArgument(
            f"Provided {name} not an integer or within integer range", ArgumentName=name, ArgumentValue=value
        )
    return int(value)


def flag(value: str, _name: str) -> object:
    """`true`, in any case; everything else is false."""
    return value.lower() == "true"


def http_date(value: str, _name: str) -> object:
    """A date as RFC 9110 has it, in seconds since the epoch; None (and so ignored) if it is none, as RFC 9110 rules."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


Parse = Callable[[str, str], object]


@dataclass(frozen=True, slots=True)
class Header:
    """A header, by its lower-case name."""

    name: str
    parse: Parse = text


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter. `blank`: an empty value counts as given."""

    name: str
    parse: Parse = text
    blank: bool = False


class Metadata:
    """The user metadata, as pairs."""


class Binder(Generic[T]):
    """Makes one input type out of requests."""

    def __init__(self, input_type: type[T]) -> None:
        self.input_type = input_type
        self.headers: list[tuple[str, Header]] = []
        self.queries: list[tuple[str, Query]] = []
        self.groups: list[tuple[str, Binder[object]]] = []
        self._metadata: str | None = None
        if not is_dataclass(input_type):
            raise TypeError(f"sseproxy.s3.fields: {input_type} is no dataclass")
        hints = get_type_hints(input_type, include_extras=True)
        for field in fields(input_type):
            self._add(field.name, hints[field.name])

    def _add(self, name: str, hint: object) -> None:
        for mark in get_args(hint):
            if isinstance(mark, Header):
                self.headers.append((name, mark))
                return
            if isinstance(mark, Query):
                self.queries.append((name, mark))
                return
            if isinstance(mark, Metadata):
                self._metadata = name
                return
        if isinstance(hint, type) and is_dataclass(hint):
            self.groups.append((name, Binder(hint)))
            return
        raise TypeError(f"sseproxy.s3.fields: {self.input_type.__name__}.{name} has no place on the wire")

    def bind(self, request: Request) -> T:
        """The input. InvalidArgument for a value that does not parse."""
        values: dict[str, object] = {}
        for name, header in self.headers:
            value = request.headers.get(header.name)
            if value is not None:
                values[name] = header.parse(value, header.name)
        for name, query in self.queries:
            value = request.query.get(query.name)
            if value is not None and (value or query.blank):
                values[name] = query.parse(value, query.name)
        for name, group in self.groups:
            values[name] = group.bind(request)
        if self._metadata is not None:
            values[self._metadata] = request.metadata
        return self.input_type(**values)
