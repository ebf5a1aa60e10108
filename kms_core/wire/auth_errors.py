"""Failed authentication in the words of the JSON and query services (AWS API references, "Common error types")."""

from datetime import UTC, datetime

from kms_core.errors import AwsError
from kms_core.identity import errors as auth


class MissingAuthenticationToken(AwsError):
    """No signature."""

    code = "MissingAuthenticationTokenException"


class UnrecognizedClient(AwsError):
    """No such access key."""

    code = "UnrecognizedClientException"


class InvalidSignature(AwsError):
    """The signature does not match, or is not of this time, region or service."""

    code = "InvalidSignatureException"


class IncompleteSignature(AwsError):
    """Something of the signature is missing or malformed."""

    code = "IncompleteSignatureException"


class MissingAuthenticationTokenQuery(AwsError):
    """No signature, in the query protocol."""

    code = "MissingAuthenticationToken"
    status = 403


class InvalidClientTokenId(AwsError):
    """No such access key, in the query protocol."""

    code = "InvalidClientTokenId"
    status = 403


class SignatureDoesNotMatch(AwsError):
    """The signature does not match, in the query protocol."""

    code = "SignatureDoesNotMatch"
    status = 403


class IncompleteSignatureQuery(AwsError):
    """Something of the signature is missing or malformed, in the query protocol."""

    code = "IncompleteSignature"


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def _mismatch_text(error: auth.AuthError) -> str:
    if isinstance(error, auth.SkewedTime):
        request, server, skew = error.request_time, error.server_time, error.max_skew
        if request < server:
            return f"Signature expired: {_time(request)} is now earlier than {_time(server - skew)}"
        return f"Signature not yet current: {_time(request)} is still later than {_time(server + skew)}"
    if isinstance(error, auth.ExpiredRequest):
        return f"Signature expired: {_time(error.at)} is now earlier than {_time(error.server_time)}"
    if isinstance(error, auth.WrongScope):
        return f"Credential should be scoped to correct service: '{error.service}'."
    return _MISMATCH


def as_aws_error(error: auth.AuthError, *, query: bool) -> AwsError:
    """The error that the caller sees."""
    if isinstance(error, auth.MissingAuthentication):
        return (MissingAuthenticationTokenQuery if query else MissingAuthenticationToken)(
            "Request is missing Authentication Token"
        )
    if isinstance(error, auth.UnknownAccessKey | auth.InvalidSessionToken):
        return (InvalidClientTokenId if query else UnrecognizedClient)(
            "The security token included in the request is invalid."
        )
    if isinstance(error, auth.IncompleteSignature):
        place = "Query string" if error.presigned else "Authorization header"
        text = " ".join(f"{place} requires '{name}' parameter." for name in error.missing)
        return (IncompleteSignatureQuery if query else IncompleteSignature)(text)
    if isinstance(
        error,
        auth.MalformedAuthorization | auth.UnsupportedAlgorithm | auth.TooManyAuthentications,
    ):
        return (IncompleteSignatureQuery if query else IncompleteSignature)(str(error))
    return (SignatureDoesNotMatch if query else InvalidSignature)(_mismatch_text(error))
