"""A TCP forwarder on 127.0.0.1 that writes down the HTTP requests which pass through it."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_HEAD = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")


@dataclass
class Counter:
    """`requests` are `METHOD /path?query`, in the order in which they began."""

    endpoint: str
    requests: list[str] = field(default_factory=list)


def _pump(source: socket.socket, target: socket.socket, counter: Counter | None) -> None:
    """Copy bytes one way. A client sends its next head only after an answer, so a head begins what is received."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            found = _HEAD.match(data) if counter is not None else None
            if found is not None and counter is not None:
                counter.requests.append(f"{found[1].decode()} {found[2].decode()}")
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def counting(endpoint: str) -> Iterator[Counter]:
    """Forward to `endpoint` for the length of a block."""
    parts = urlsplit(endpoint)
    listener = socket.create_server(("127.0.0.1", 0))
    counter = Counter(f"http://127.0.0.1:{listener.getsockname()[1]}")
    opened: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((parts.hostname or "", parts.port or 80))
                opened.extend((client, server))
                for source, target, watched in ((client, server, counter), (server, client, None)):
                    thread = threading.Thread(target=_pump, args=(source, target, watched), daemon=True)
                    threads.append(thread)
                    thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield counter
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for one in opened:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
        for one in opened:
            one.close()
