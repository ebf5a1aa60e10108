"""The ASGI application: every request comes in here and goes to the service that it is for."""

import asyncio
import time
import uuid
from concurrent.futures import Executor
from typing import Any

import structlog

from kms_core.clock import Clock
from kms_core.identity.http import HttpHead
from kms_core.wire.endpoint import Answer, Endpoint
from sseproxy.cipher.errors import CipherError
from sseproxy.gate import metrics
from sseproxy.gate.body import ClientGone
from sseproxy.gate.dispatch import Service, service_of
from sseproxy.gate.reply import ClientLeft, Receive, Send, as_reply, new_request_id, send_reply
from sseproxy.gate.request import Scope, read_head
from sseproxy.gate.s3_door import Admission, S3Door
from sseproxy.s3 import errors as s3
from sseproxy.store.contract import StoreError

log = structlog.get_logger(__name__)
_MAX_API_BODY = 1_048_576
_JSON = (b"content-type", b"application/x-amz-json-1.1")
_TOO_LARGE = Answer(413, (_JSON,), b'{"__type":"RequestEntityTooLargeException"}')
_NO_SUCH_SERVICE = Answer(
    400, (_JSON,), b'{"__type":"UnknownOperationException","message":"This service is not served here."}'
)
_NO_SUCH_QUERY_SERVICE = Answer(
    400,
    ((b"content-type", b"text/xml"),),
    b"<ErrorResponse><Error><Type>Sender</Type><Code>InvalidAction</Code>"
    b"<Message>This service is not served here.</Message></Error></ErrorResponse>",
)


class Gate:
    """S3, KMS and STS on one port."""

    def __init__(
        self, s3_door: S3Door, endpoint: Endpoint, clock: Clock, writer: Executor, *, idle_timeout: float
    ) -> None:
        self._idle_timeout = idle_timeout
        self._s3_door = s3_door
        self._endpoint = endpoint
        self._clock = clock
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        began = time.perf_counter()
        head = read_head(scope, self._clock.now())
        service = service_of(head)
        if head.header(b"expect") is not None:
            receive, send = _closing_unless_read(receive, send)
        metrics.UNDER_WAY.inc()
        try:
            if service is Service.S3:
                operation, status = await self._s3(head, receive, send)
            else:
                operation, status = await self._api(service, head, receive, send)
        finally:
            metrics.UNDER_WAY.dec()
        metrics.count(service.name, operation, status, time.perf_counter() - began)

    async def _s3(self, head: HttpHead, receive: Receive, send: Send) -> tuple[str, int]:
        admission = Admission(head, new_request_id())
        is_head = head.method == "HEAD"
        try:
            reply = await self._s3_door.handle(admission, receive)
        except ClientGone:
            return _name(admission), 499
        except s3.S3Error as problem:
            resource = head.raw_path.decode("latin-1")
            reply = as_reply(problem, resource, admission.request_id, head=is_head)
        try:
            idle = self._idle_timeout
            await send_reply(reply, admission.request_id, receive, send, head=is_head, idle_timeout=idle)
        except (TimeoutError, ClientLeft):
            return _name(admission), 499
        except (CipherError, StoreError, s3.S3Error) as problem:
            self._broken(admission, problem)
            return _name(admission), 599
        return _name(admission), reply.status

    @staticmethod
    def _broken(admission: Admission, problem: Exception) -> None:
        """The rest of a body did not verify, after its beginning has left. The reply stays unfinished, so the server
        cuts the connection, and the client knows that it has not got everything."""
        metrics.BROKEN.inc()
        log.error("a reply was cut off", request_id=admission.request_id, problem=type(problem).__name__)
        if admission.audit is not None:
            admission.audit.finish(s3.InternalError())

    async def _api(self, service: Service, head: HttpHead, receive: Receive, send: Send) -> tuple[str, int]:
        operation = (head.text(b"x-amz-target") or "").rpartition(".")[2] or service.name
        form = (head.header(b"content-type") or b"").startswith(b"application/x-www-form-urlencoded")
        answer = _NO_SUCH_QUERY_SERVICE if form else _NO_SUCH_SERVICE
        if service is not Service.OTHER:
            body = await self._read(receive)
            if body is None:
                answer = _TOO_LARGE
            else:
                answer = await self._answer(head, body)
        headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
        return operation if answer.status == 200 else "", answer.status

    async def _read(self, receive: Receive) -> bytes | None:
        """The whole body; None if it is too large, too slow, or the client has gone."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._idle_timeout):
                while True:
                    message: dict[str, Any] = await receive()
                    body += message.get("body", b"")
                    if message["type"] != "http.request" or len(body) > _MAX_API_BODY:
                        return None
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            return None

    async def _answer(self, head: HttpHead, body: bytes) -> Answer:
        """What only computes is answered at once; what writes to the database goes to its thread."""
        request_id = _api_request_id()
        try:
            if not self._endpoint.blocks(head):
                return self._endpoint.handle(head, body, request_id)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._writer, self._endpoint.handle, head, body, request_id)
        except Exception:
            log.exception("a call of the key service failed", request_id=request_id)
            return self._endpoint.failure(head, request_id)


def _closing_unless_read(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """For `Expect: 100-continue`: a reply sent without asking for the body ends the connection.

    The client may send the body all the same, or not (RFC 9110 section 10.1.1); what comes next on the connection
    could be either, and must not be taken for the other.
    """
    asked = False

    async def receiving() -> Any:
        nonlocal asked
        asked = True
        return await receive()

    async def sending(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and not asked:
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return receiving, sending


def _name(admission: Admission) -> str:
    return admission.operation.name if admission.operation is not None else ""


def _api_request_id() -> str:
    """A request id as the JSON and query services give."""
    return str(uuid.uuid4())
