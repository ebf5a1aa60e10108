"""Failed authentication in S3's words."""

from datetime import UTC, datetime

from kms_core.identity import errors as auth
from sseproxy.s3 import errors as s3


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hex(text: str) -> str:
    return " ".join(f"{byte:02x}" for byte in text.encode())


def _mismatch(error: auth.SignatureMismatch) -> s3.S3Error:
    """Everything in here comes from the request; nothing of the secret does."""
    return s3.SignatureDoesNotMatch(
        None,
        AWSAccessKeyId=error.access_key_id,
        StringToSign=error.string_to_sign,
        SignatureProvided=error.signature_provided,
        StringToSignBytes=_hex(error.string_to_sign),
        CanonicalRequest=error.canonical_request,
        CanonicalRequestBytes=_hex(error.canonical_request),
    )


def as_s3_error(error: auth.AuthError, *, presigned: bool) -> s3.S3Error:
    """The error that the caller sees."""
    match error:
        case auth.SignatureMismatch():
            return _mismatch(error)
        case auth.UnknownAccessKey():
            return s3.InvalidAccessKeyId(None, AWSAccessKeyId=error.access_key_id)
        case auth.SkewedTime():
            return s3.RequestTimeTooSkewed(
                None,
                RequestTime=_time(error.request_time),
                ServerTime=_time(error.server_time),
                MaxAllowedSkewMilliseconds=str(int(error.max_skew * 1000)),
            )
        case auth.ExpiredRequest():
            times = {"X-Amz-Expires": str(error.expires), "Expires": _time(error.at)}
            return s3.AccessDenied("Request has expired", **times, ServerTime=_time(error.server_time))
        case auth.UnsignedHeader():
            return s3.AccessDenied(
                "There were headers present in the request which were not signed",
                HeadersNotSigned=", ".join(error.names),
            )
        case auth.TooManyAuthentications():
            return s3.InvalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified"
            )
        case auth.UnsupportedAlgorithm():
            if error.algorithm.startswith("AWS4-ECDSA"):
                return s3.NotImplementedYet("Signature Version 4A is not implemented")
            return s3.InvalidRequest(
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
            )
        case auth.InvalidSessionToken():
            return s3.InvalidToken()
        case auth.WrongScope():
            return s3.AuthorizationHeaderMalformed(
                f'The authorization header is malformed; incorrect service. This endpoint belongs to "{error.service}".'
            )
        case auth.IncompleteSignature():
            return s3.AuthorizationQueryParametersError() if error.presigned else s3.AuthorizationHeaderMalformed()
        case auth.MalformedAuthorization():
            if presigned:
                return s3.AuthorizationQueryParametersError(error.reason)
            return s3.AuthorizationHeaderMalformed(f"The authorization header is malformed; {error.reason}")
        case _:
            return s3.AccessDenied()
