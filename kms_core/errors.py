"""The errors that callers see, one class per AWS code.

Client errors of KMS are HTTP 400, all of them (AWS KMS API Reference, "Common Errors"); STS and IAM use others too.
A message is AWS's own sentence; what only the operator may know goes into the audit event, never in here.
"""

from typing import ClassVar


class AwsError(Exception):
    """An error with AWS's code. `status` is the HTTP status, `message` the text for the caller (some have none)."""

    code: ClassVar[str] = "InternalFailure"
    status: ClassVar[int] = 400

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message)
        self.message = message


class InternalError(AwsError):
    """An impossible state of ours; the text names the module, for the log."""

    code = "KMSInternalException"
    status = 500


class ServiceUnavailable(AwsError):
    """Something that a call needs (the audit journal, the database) does not answer."""

    code = "DependencyTimeoutException"
    status = 503


class UnknownOperation(AwsError):
    """No such operation, or one that is not served yet."""

    code = "UnknownOperationException"


class InvalidAction(AwsError):
    """The same, in the query protocol."""

    code = "InvalidAction"


class SerializationException(AwsError):
    """The body is no JSON of the right shape."""

    code = "SerializationException"


class ValidationException(AwsError):
    """A member breaks a constraint of the model."""

    code = "ValidationException"


class AccessDenied(AwsError):
    """No policy allows it, or one denies it."""

    code = "AccessDeniedException"


class NotFound(AwsError):
    """No such key, alias or policy."""

    code = "NotFoundException"


class AlreadyExists(AwsError):
    """The alias exists."""

    code = "AlreadyExistsException"


class Disabled(AwsError):
    """The key is disabled."""

    code = "DisabledException"


class InvalidState(AwsError):
    """The key's state does not allow the operation."""

    code = "KMSInvalidStateException"


class InvalidKeyUsage(AwsError):
    """The key's usage or spec does not fit the operation."""

    code = "InvalidKeyUsageException"


class InvalidCiphertext(AwsError):
    """The blob was not made here, was altered, or the encryption context differs. Never says which."""

    code = "InvalidCiphertextException"


class IncorrectKey(AwsError):
    """The key named is not the key that encrypted."""

    code = "IncorrectKeyException"

    def __init__(self) -> None:
        super().__init__("The key ID in the request does not identify a CMK that can perform this operation.")


class DryRun(AwsError):
    """All checks passed, and nothing was done, as asked."""

    code = "DryRunOperationException"

    def __init__(self) -> None:
        super().__init__("The request would have succeeded, but the DryRun option is set.")


class InvalidArn(AwsError):
    """An ARN that does not parse, or of another service or region."""

    code = "InvalidArnException"


class InvalidAliasName(AwsError):
    """An alias name with characters or a prefix it may not have."""

    code = "InvalidAliasNameException"


class InvalidMarker(AwsError):
    """A marker that no previous answer gave."""

    code = "InvalidMarkerException"

    def __init__(self) -> None:
        super().__init__("Could not deserialize marker")


class InvalidGrantToken(AwsError):
    """A grant token that no CreateGrant gave."""

    code = "InvalidGrantTokenException"


class LimitExceeded(AwsError):
    """A quota."""

    code = "LimitExceededException"


class MalformedPolicyDocument(AwsError):
    """The policy is no policy, or would lock its administrators out."""

    code = "MalformedPolicyDocumentException"


class TagError(AwsError):
    """Tags that may not be."""

    code = "TagException"


class UnsupportedOperation(AwsError):
    """The key, or this service, does not do that."""

    code = "UnsupportedOperationException"
