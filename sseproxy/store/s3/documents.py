"""XML of a backend: read without entities and without namespaces, written for the two requests that have a body."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from sseproxy.store.contract import StoreFailure

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_CARRIAGE_RETURN = {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


class Node:
    """An element of an answer."""

    def __init__(self, element: "Element") -> None:
        self._element = element

    @property
    def name(self) -> str:
        """Its name, without the namespace."""
        return _local(self._element)

    def text(self, name: str) -> str:
        """The text of a child, empty if there is none."""
        for child in self._element:
            if _local(child) == name:
                return child.text or ""
        return ""

    def children(self, name: str) -> Iterator["Node"]:
        """The children of that name, in their order."""
        return (Node(child) for child in self._element if _local(child) == name)


def read_document(body: bytes) -> Node:
    """The root of an answer. StoreFailure if it is no XML, or declares a type or an entity."""
    try:
        return Node(ElementTree.fromstring(body.strip(), forbid_dtd=True))
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as problem:
        raise StoreFailure("the backend's answer is no XML") from problem


def deletion(keys: Iterable[str]) -> bytes:
    """The document of DeleteObjects. The keys have no character that XML 1.0 lacks (`fits_xml`)."""
    rows = "".join(f"<Object><Key>{escape(key, _CARRIAGE_RETURN)}</Key></Object>" for key in keys)
    return f'<Delete xmlns="{_NAMESPACE}">{rows}<Quiet>true</Quiet></Delete>'.encode()


def completion(parts: Sequence[tuple[int, str]]) -> bytes:
    """The document of CompleteMultipartUpload: number and quoted ETag of each part."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>" for number, etag in parts
    )
    return f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">{rows}</CompleteMultipartUpload>'.encode()


def fits_xml(text: str) -> bool:
    """Whether XML 1.0 has every character of it (XML 1.0, section 2.2)."""
    return all(
        char in "\t\n\r" or " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"
        for char in text
    )


def _local(element: "Element") -> str:
    return element.tag.rpartition("}")[2]
