"""XML in and out: elements written by hand (they are few and flat), documents read without entities.

A document from outside is bounded by the door, and refused if it declares a type or an entity.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from sseproxy.s3.errors import KmsRefused, MalformedXML, S3Error

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

HEADERS = {"content-type": "application/xml"}
"""Of a reply that is such a document. Shared: to be copied, not changed."""
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_SPECIAL = re.compile('[&<>"\x00-\x1f\x7f\ufffe\uffff]')
_NAMES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def escape(text: str) -> str:
    """Text fit for an element. Control characters become references, as on AWS, though XML 1.0 has none for them."""
    return _SPECIAL.sub(lambda found: _NAMES.get(found[0]) or f"&#x{ord(found[0]):x};", text)


def element(name: str, value: str | int | bool | None) -> str:
    """`<name>value</name>`; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        value = "true" if value else "false"
    return f"<{name}>{escape(str(value))}</{name}>"


def group(name: str, *children: str) -> str:
    """An element of elements."""
    return f"<{name}>{''.join(children)}</{name}>"


def document(name: str, children: Iterable[str]) -> bytes:
    """A whole document in S3's namespace."""
    return _HEAD + f'<{name} xmlns="{NAMESPACE}">{"".join(children)}</{name}>'.encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def timestamp(at: float) -> str:
    """A time as S3's XML has it: to the second, as Last-Modified shows it. `at` is seconds since the epoch."""
    return f"{_second(int(at))}.000Z"


def error(problem: S3Error, resource: str, request_id: str, host_id: str) -> bytes:
    """The error document. This is the one place that renders errors."""
    code = f"KMS.{problem.kms_code}" if isinstance(problem, KmsRefused) else problem.code
    extra = [element(name, value) for name, value in problem.extra.items()]
    parts = [element("Code", code), element("Message", problem.message), *extra]
    if "BucketName" not in problem.extra and "Key" not in problem.extra and resource:
        parts.append(element("Resource", resource))
    parts += [element("RequestId", request_id), element("HostId", host_id)]
    return _HEAD + group("Error", *parts).encode("utf-8", "replace")


def parse(body: bytes, root: str) -> "Element":
    """The root element of a document. MalformedXML unless it is well-formed and of that name, in S3's namespace or
    none."""
    try:
        found: Element = ElementTree.fromstring(body, forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError, LookupError) as problem:
        raise MalformedXML from problem
    if local(found) != root:
        raise MalformedXML
    return found


def local(node: "Element") -> str:
    """An element's name without its namespace."""
    return node.tag.rpartition("}")[2]


def children(node: "Element", known: Iterable[str]) -> dict[str, list["Element"]]:
    """The children by name. MalformedXML for one that is not known."""
    found: dict[str, list[Element]] = {name: [] for name in known}
    for child in node:
        name = local(child)
        if name not in found:
            raise MalformedXML
        found[name].append(child)
    return found


def text_of(nodes: list["Element"], parse_text: Callable[[str], str] = str.strip) -> str | None:
    """The text of the only element, or None if there is none. MalformedXML for several."""
    if len(nodes) > 1:
        raise MalformedXML
    return parse_text(nodes[0].text or "") if nodes else None
