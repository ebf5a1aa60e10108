"""The HTTP side of KMS and STS: the bytes of a request in, the bytes of a reply out.

KMS speaks JSON 1.1 (`X-Amz-Target: TrentService.<Operation>`), STS the query protocol (`Action=` in a form). The body
has been read whole by whoever calls; a bound on its size is theirs.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from kms_core.caller import CallerKind, RequestFacts
from kms_core.errors import AwsError, InternalError, InvalidAction, SerializationException, UnknownOperation
from kms_core.identity.authenticate import Authenticated, Authenticator
from kms_core.identity.errors import AuthError, MissingAuthentication
from kms_core.identity.http import HttpHead
from kms_core.keystore.contract import Database
from kms_core.service import Kms
from kms_core.wire import json11, query
from kms_core.wire.auth_errors import as_aws_error
from kms_core.wire.shapes import Service, load_service

_TARGET = b"x-amz-target"
_JSON = b"application/x-amz-json-1.1"
_XML = b"text/xml"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP reply, whole."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Endpoint:
    """The door for KMS and STS."""

    def __init__(self, kms: Kms, database: Database, authenticator: Authenticator) -> None:
        self._kms = kms
        self._database = database
        self._authenticator = authenticator
        self._services = {name: load_service(name) for name in ("kms", "sts")}

    def blocks(self, head: HttpHead) -> bool:
        """Whether this request may write to the database, and so must be handled off an event loop."""
        target = head.text(_TARGET)
        name = (target or "").rpartition(".")[2]
        return self._kms.serves("kms", name) and self._kms.writes("kms", name)

    def handle(self, head: HttpHead, body: bytes, request_id: str) -> Answer:
        """Answer one request."""
        target = head.text(_TARGET)
        service = self._services["sts" if target is None else "kms"]
        try:
            reply = self._handle(service, target, head, body, request_id)
        except AwsError as error:
            return self._refusal(service, error, request_id)
        return Answer(200, _headers(service, request_id), reply)

    def failure(self, head: HttpHead, request_id: str) -> Answer:
        """The answer when something broke that no operation foresaw."""
        service = self._services["sts" if head.text(_TARGET) is None else "kms"]
        return self._refusal(service, InternalError(), request_id)

    def _handle(self, service: Service, target: str | None, head: HttpHead, body: bytes, request_id: str) -> bytes:
        who = self._authenticate(service, head, body)
        facts = RequestFacts(
            at=head.at,
            region=who.signed.region if who.signed else "",
            client_ip=head.client_ip,
            secure=head.secure,
            user_agent=head.text(b"user-agent") or "",
            request_id=request_id,
        )
        form = [] if target is not None else _form(head, body)
        name = target.rpartition(".")[2] if target is not None else dict(form).get("Action", "")
        if name not in service.operations or not self._kms.serves(service.name, name):
            if target is not None:
                raise UnknownOperation
            raise InvalidAction(f"Could not find operation {name} for version {service.api_version}")
        operation = service.operations[name]
        try:
            params = json11.parse(body, operation) if target is not None else query.parse(form, operation)
        except AwsError as error:
            self._kms.refuse(service.name, name, who.caller, facts, error)
            raise
        output = self._kms.call(service.name, name, params, who.caller, facts)
        if target is not None:
            return json11.render(operation, output)
        return query.render(service, operation, output, request_id)

    def _authenticate(self, service: Service, head: HttpHead, body: bytes) -> Authenticated:
        snapshot = self._database.snapshot()
        try:
            who = self._authenticator.authenticate(
                head, snapshot, service=service.name, payload_hash=hashlib.sha256(body).hexdigest()
            )
            if who.caller.kind is CallerKind.ANONYMOUS:
                raise MissingAuthentication
        except AuthError as error:
            raise as_aws_error(error, query=service.name == "sts") from error
        return who

    @staticmethod
    def _refusal(service: Service, error: AwsError, request_id: str) -> Answer:
        if isinstance(error, InternalError):
            error = InternalError()  # its text is for the log
        if service.name == "sts":
            return Answer(error.status, _headers(service, request_id), query.render_error(service, error, request_id))
        return Answer(error.status, _headers(service, request_id), json11.render_error(error))


def _headers(service: Service, request_id: str) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"content-type", _XML if service.name == "sts" else _JSON),
        (b"x-amzn-requestid", request_id.encode()),
    )


def _form(head: HttpHead, body: bytes) -> list[tuple[str, str]]:
    """The pairs of a form, from the body or (for GET) the query."""
    text = head.raw_query if head.method == "GET" else body
    try:
        return parse_qsl(text.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as problem:
        raise SerializationException("The request is no form") from problem
