"""The head of an HTTP request, as the socket gave it: what a signature is verified over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpHead:
    """Method, raw path and raw query (neither decoded), headers in wire order with lower-case names.

    `client_ip` is the socket's peer, `secure` whether TLS ended here, `at` the time of arrival (seconds since the
    epoch).
    """

    method: str
    raw_path: bytes
    raw_query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    client_ip: str
    secure: bool
    at: float

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, by its lower-case name."""
        for header, value in self.headers:
            if header == name:
                return value
        return None

    def text(self, name: bytes) -> str | None:
        """The first value of a header as Latin-1 text, trimmed."""
        value = self.header(name)
        return None if value is None else value.decode("latin-1").strip()
