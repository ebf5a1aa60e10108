"""uvicorn's HTTP protocol with bounds on a request's head: how long it may take to come, and how large it may be.

uvicorn waits for a head as long as it takes, and keeps as much of it as comes; here the connection is closed after
`HEAD_SECONDS`, or `MAX_HEAD` bytes and one read more. Bodies and replies have their bounds in the gate.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 20.0
MAX_HEAD = 65_536


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _within_message = False

    def connection_made(self, transport: Any) -> None:
        """The clock starts with the connection: one that sends nothing is closed too."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes that came while a head is not whole count against it."""
        if self._deadline is not None and not self._within_body():
            if self._head_bytes > MAX_HEAD:
                self._give_up()
                return
            self._head_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A further request on the connection begins (the first one's clock is running already)."""
        if self._deadline is None:
            self._await_head()
        self._within_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The request is here with all of its body."""
        self._within_message = False
        self._head_is_here()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """What is left of a body that was answered unread is read and dropped, so that the client sees the answer; but
        not for ever."""
        if self._within_message:
            self._await_head()
        super().on_response_complete()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_is_here()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server stops. A connection with no request in flight ends at once: with TLS, a polite close waits for the
        peer to answer it."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:
            super().shutdown()

    def _within_body(self) -> bool:
        return self._within_message and self.cycle is not None and self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _head_is_here(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._head_is_here()
        if not self.transport.is_closing():
            self.transport.abort()
