"""The S3 door: one way in for every S3 request, in one order.

Authenticate, find the operation and the bucket, bind the fields, decide, record, run. Whatever goes wrong becomes an
S3Error here, and only here. An operation is reached through `admit` alone, so it can skip none of this.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import structlog

from kms_core.audit.journal import Journal
from kms_core.caller import ANONYMOUS, Caller, CallerKind, RequestFacts
from kms_core.identity.authenticate import NOBODY, Authenticated, Authenticator
from kms_core.identity.errors import AuthError
from kms_core.identity.http import HttpHead
from kms_core.keystore.contract import Snapshot
from sseproxy.authorize import decide, denial
from sseproxy.cipher.errors import CipherError
from sseproxy.control.buckets import BUCKETS, Bucket, BucketGone
from sseproxy.gate.auth_errors import as_s3_error
from sseproxy.gate.body import Body, ClientGone, read_claims
from sseproxy.gate.call_audit import CallAudit
from sseproxy.gate.reply import Receive
from sseproxy.gate.request import read_conditions, read_request
from sseproxy.objects.protection import unreadable
from sseproxy.s3 import errors as s3
from sseproxy.s3 import routes
from sseproxy.s3.fields import Binder, Request
from sseproxy.s3.names import Target, read_target
from sseproxy.s3.operation import BodyKind, Call, Operation, Reply, Scope
from sseproxy.s3.operations.store_errors import as_s3_error as store_error
from sseproxy.s3.services import Services
from sseproxy.store.contract import StoreError

log = structlog.get_logger(__name__)
DEFAULT_REGION = "us-east-1"
_MAX_DOCUMENT = 2 * 1024 * 1024
_DOCUMENT_SECONDS = 60.0


@dataclass(slots=True)
class Admission:
    """A request as far as the door has come with it: what its answer and its event are made of, even when it fails."""

    head: HttpHead
    request_id: str
    target: Target = field(default_factory=Target)
    request: Request = field(default_factory=lambda: Request({}, {}))
    operation: Operation | None = None
    who: Authenticated = NOBODY
    bucket: Bucket | None = None
    audit: CallAudit | None = None


class S3Door:
    """Admits S3 requests to their operations."""

    def __init__(
        self,
        services: Services,
        authenticator: Authenticator,
        journal: Journal,
        *,
        base_domains: tuple[str, ...],
        idle_timeout: float,
    ) -> None:
        self._services = services
        self._authenticator = authenticator
        self._journal = journal
        self._base_domains = base_domains
        self._idle_timeout = idle_timeout
        self._binders: dict[str, Binder[Any]] = {row.name: Binder(row.input_type) for row in routes.OPERATIONS}

    async def handle(self, admission: Admission, receive: Receive) -> Reply:
        """The reply to a request, its event written. S3Error, with its event written too; ClientGone."""
        try:
            reply = await self._run(admission, receive)
        except (ClientGone, s3.S3Error) as problem:
            failure = s3.IncompleteBody() if isinstance(problem, ClientGone) else problem
            self._audit(admission).finish(failure)
            raise
        except StoreError as problem:
            failure = store_error(problem)
            if isinstance(failure, s3.InternalError):
                log.error("the store failed", request_id=admission.request_id, exc_info=problem)
            self._audit(admission).finish(failure)
            raise failure from problem
        except BucketGone as problem:
            failure = s3.NoSuchBucket(BucketName=admission.target.bucket)
            self._audit(admission).finish(failure)
            raise failure from problem
        except CipherError as problem:
            self._audit(admission).finish(unreadable())
            raise unreadable() from problem
        except Exception as problem:
            log.exception("an S3 call failed", request_id=admission.request_id)
            self._audit(admission).finish(s3.InternalError())
            raise s3.InternalError from problem
        self._audit(admission).finish(None)
        return reply

    async def _run(self, admission: Admission, receive: Receive) -> Reply:
        head, snapshot = admission.head, self._services.database.snapshot()
        admission.target = read_target(head.raw_path, head.text(b"host") or "", self._base_domains)
        admission.request = read_request(head)
        admission.operation = self._find(admission)
        admission.who = self._authenticate(head, snapshot)
        call = self._admit(admission, snapshot)
        body = self._body(admission, receive)
        if admission.operation.body is BodyKind.DOCUMENT and body is not None:
            document = await self._document(body)
            # Reading took as long as the client liked: what was decided before must be decided on what is true now.
            call = self._admit(admission, self._services.database.snapshot())
            call.document, call.vouched = document, body.is_vouched_for
        elif admission.operation.body is BodyKind.STREAM:
            call.body = body
        return await admission.operation.handle(call)

    def _find(self, admission: Admission) -> Operation:
        request = admission.request
        return routes.find(admission.head.method, admission.target, request.query, request.headers)

    def _authenticate(self, head: HttpHead, snapshot: Snapshot) -> Authenticated:
        try:
            return self._authenticator.authenticate(head, snapshot, service="s3")
        except AuthError as error:
            raise as_s3_error(error, presigned=head.header(b"authorization") is None) from error

    @staticmethod
    def _bucket(admission: Admission, snapshot: Snapshot) -> Bucket | None:
        """The bucket named, if the operation needs one. NoSuchBucket, AuthorizationHeaderMalformed, AccessDenied."""
        operation, name = admission.operation, admission.target.bucket
        if not name or operation is None or not operation.bucket_must_exist:
            return None
        bucket = snapshot.get(BUCKETS, name)
        if bucket is None:
            raise s3.NoSuchBucket(BucketName=name)
        signed = admission.who.signed
        if signed is not None and signed.region != bucket.region:
            raise s3.AuthorizationHeaderMalformed(
                f"The authorization header is malformed; the region '{signed.region}' is wrong; "
                f"expecting '{bucket.region}'",
                Region=bucket.region,
            )
        if admission.request.headers.get("x-amz-expected-bucket-owner", bucket.account) != bucket.account:
            raise s3.AccessDenied
        return bucket

    def facts(self, admission: Admission) -> RequestFacts:
        """The circumstances of the request. Its region is the one that it is signed for, or else the bucket's."""
        head, signed, bucket = admission.head, admission.who.signed, admission.bucket
        region = signed.region if signed is not None else bucket.region if bucket is not None else DEFAULT_REGION
        return RequestFacts(
            at=head.at,
            region=region,
            client_ip=head.client_ip,
            secure=head.secure,
            user_agent=admission.request.headers.get("user-agent", ""),
            request_id=admission.request_id,
        )

    def _admit(self, admission: Admission, snapshot: Snapshot) -> Call[Any]:
        """Find the bucket, decide on the row's action, and make the call. NoSuchBucket, AccessDenied."""
        admission.bucket = self._bucket(admission, snapshot)
        operation, who, target = admission.operation, admission.who, admission.target
        if operation is None:
            raise RuntimeError("sseproxy.gate.s3_door: admitted without an operation")
        facts = self.facts(admission)
        admission.audit = CallAudit(
            self._journal, operation, who.caller, facts, target, admission.bucket, admission.request.query
        )
        conditions = read_conditions(admission.request, who.signed, facts.at, listing=operation.scope is Scope.BUCKET)
        if operation.action is not None:
            resource = target.arn if operation.scope is not Scope.SERVICE else "*"
            action = operation.action
            if operation.version_action is not None and "versionId" in admission.request.query:
                action = operation.version_action
            decision = decide(who.caller, facts, snapshot, admission.bucket, action, resource, conditions)
            admission.audit.note(decision=decision.why)
            if not decision.allowed and not self._is_owning_root(operation, who.caller, admission.bucket):
                raise denial(who.caller, admission.bucket, action, resource, decision)
            if operation.owner_only and admission.bucket is not None and who.caller.account != admission.bucket.account:
                raise s3.MethodNotAllowed(Method=operation.method, ResourceType="BUCKETPOLICY")
        return Call(
            operation=operation,
            target=target,
            input=self._binders[operation.name].bind(admission.request),
            caller=who.caller,
            facts=facts,
            snapshot=snapshot,
            conditions=conditions,
            services=self._services,
            audit=admission.audit,
            own_bucket=admission.bucket,
        )

    @staticmethod
    def _is_owning_root(operation: Operation, caller: Caller, bucket: Bucket | None) -> bool:
        """Whom no bucket policy can keep from the bucket policy (API Reference, PutBucketPolicy)."""
        own = bucket is not None and caller.account == bucket.account
        return operation.owner_only and own and caller.kind is CallerKind.ROOT

    def _body(self, admission: Admission, receive: Receive) -> Body | None:
        operation = admission.operation
        if operation is None or operation.body is BodyKind.NONE:
            return None
        of_object = operation.name == "CompleteMultipartUpload"
        claims = read_claims(admission.head, admission.who.signed, of_object=of_object)
        return Body(claims, receive, admission.who.chain, idle_timeout=self._idle_timeout)

    @staticmethod
    async def _document(body: Body) -> bytes:
        try:
            async with asyncio.timeout(_DOCUMENT_SECONDS):
                return await body.read_all(_MAX_DOCUMENT)
        except TimeoutError as problem:
            raise s3.RequestTimeout from problem
        except s3.EntityTooLarge as problem:
            raise s3.MaxMessageLengthExceeded(MaxMessageLengthBytes=str(_MAX_DOCUMENT)) from problem

    def _audit(self, admission: Admission) -> CallAudit:
        """The call's event; one that was never admitted has the anonymous caller unless its signature held."""
        if admission.audit is None:
            caller = admission.who.caller if admission.who.signed is not None else ANONYMOUS
            admission.audit = CallAudit(
                self._journal,
                admission.operation,
                caller,
                self.facts(admission),
                admission.target,
                admission.bucket,
                admission.request.query,
            )
        return admission.audit
