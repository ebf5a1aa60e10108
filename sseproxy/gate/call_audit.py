"""The CloudTrail event of one S3 call.

It is in the journal before the effect: before something is committed (`before_effect`), before the first byte of
plaintext leaves (`finish`, which the door calls ahead of the reply). If a call that was recorded as done fails after
all, a second event with the same request id corrects the first.
"""

from collections.abc import Mapping

from kms_core.arn import bucket_arn
from kms_core.audit.event import AuditEvent, Resource
from kms_core.audit.journal import Journal, JournalError
from kms_core.caller import Caller, RequestFacts
from sseproxy.control.buckets import Bucket
from sseproxy.s3.errors import KmsRefused, S3Error, ServiceUnavailable
from sseproxy.s3.names import Target
from sseproxy.s3.operation import Operation, Scope

_SOURCE = "s3.amazonaws.com"
_UNNAMED = "UnknownOperation"


def _code(problem: S3Error) -> str:
    return f"KMS.{problem.kms_code}" if isinstance(problem, KmsRefused) else problem.code


class CallAudit:
    """One call's event, or two."""

    def __init__(
        self,
        journal: Journal,
        operation: Operation | None,
        caller: Caller,
        facts: RequestFacts,
        target: Target,
        bucket: Bucket | None,
        query: Mapping[str, str],
    ) -> None:
        self._journal = journal
        self._operation = operation
        self._caller = caller
        self._facts = facts
        self._target = target
        self._bucket = bucket
        self._query = query
        self._details: dict[str, object] = {}
        self._others: list[Target] = []
        self._written = False

    def note(self, **details: object) -> None:
        """Add to the event's additional data."""
        self._details.update(details)

    def about(self, target: Target) -> None:
        """Name a further object that the call is about."""
        self._others.append(target)

    async def before_effect(self) -> None:
        """Record the call as done, because now it will be. ServiceUnavailable: then it must not be."""
        if not self._written:
            self._write(None)
            self._written = True

    def finish(self, problem: S3Error | None) -> None:
        """Record how the call ended, unless that is in the journal already. ServiceUnavailable."""
        if problem is None and self._written:
            return
        if self._written:
            self.note(correction="the call failed after it was recorded")
        self._write(problem)
        self._written = True

    def _parameters(self) -> dict[str, object]:
        parameters: dict[str, object] = {name: value for name, value in self._query.items() if name[:6] != "X-Amz-"}
        if self._target.bucket:
            parameters["bucketName"] = self._target.bucket
        if self._target.key:
            parameters["key"] = self._target.key
        return parameters

    def _resources(self) -> list[Resource]:
        found: list[Resource] = []
        account = self._bucket.account if self._bucket is not None else ""
        if self._target.key:
            found.append(Resource(account, "AWS::S3::Object", self._target.arn))
        if self._target.bucket:
            found.append(Resource(account, "AWS::S3::Bucket", bucket_arn(self._target.bucket)))
        return found + [Resource("", "AWS::S3::Object", other.arn) for other in self._others]

    def _write(self, problem: S3Error | None) -> None:
        operation = self._operation
        event = AuditEvent(
            source=_SOURCE,
            name=operation.name if operation is not None else _UNNAMED,
            caller=self._caller,
            facts=self._facts,
            read_only=operation is None or operation.read_only,
            management=operation is None or not (operation.scope is Scope.OBJECT or operation.data_event),
            parameters=self._parameters() or None,
            additional=dict(self._details) or None,
            resources=self._resources(),
            error_code=_code(problem) if problem is not None else None,
            error_message=problem.message if problem is not None else None,
            recipient=self._bucket.account if self._bucket is not None else None,
        )
        try:
            self._journal.append(event)
        except JournalError as failure:
            raise ServiceUnavailable from failure
