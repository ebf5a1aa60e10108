"""What can be wrong with a signature, in words of no service's: each door maps them to its own codes.

No class carries a secret. What `SignatureMismatch` carries is made of the request alone, so it may be shown to the
caller, as S3 does.
"""


class AuthError(Exception):
    """The request is not authentic, or is not signed in a way that is served here."""


class MissingAuthentication(AuthError):
    """No signature at all, where one is needed."""


class TooManyAuthentications(AuthError):
    """Both an Authorization header and a signature in the query."""


class MalformedAuthorization(AuthError):
    """Something of the signature does not parse; `reason` is a sentence for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class IncompleteSignature(AuthError):
    """Parts of the signature are absent: `missing` names them, as fields of the header or as query parameters."""

    def __init__(self, missing: tuple[str, ...], presigned: bool) -> None:
        super().__init__(", ".join(missing))
        self.missing = missing
        self.presigned = presigned


class UnsupportedAlgorithm(AuthError):
    """Signed by another scheme: `AWS` is Signature Version 2, `AWS4-ECDSA-P256-SHA256` is SigV4A."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithm)
        self.algorithm = algorithm


class WrongScope(AuthError):
    """The credential scope is of another service or region than the one that was asked; None where any would do."""

    def __init__(self, region: str | None, service: str | None) -> None:
        super().__init__(f"expected region {region}, service {service}")
        self.region = region
        self.service = service


class SkewedTime(AuthError):
    """The request's time and ours lie more than `max_skew` apart. All in seconds, the times since the epoch."""

    def __init__(self, request_time: float, server_time: float, max_skew: float) -> None:
        super().__init__(f"{request_time} is more than {max_skew} s from {server_time}")
        self.request_time = request_time
        self.server_time = server_time
        self.max_skew = max_skew


class ExpiredRequest(AuthError):
    """A presigned request past its time: it lived `expires` seconds, until `at` (seconds since the epoch)."""

    def __init__(self, expires: int, at: float, server_time: float) -> None:
        super().__init__(f"expired at {at}, it is {server_time}")
        self.expires = expires
        self.at = at
        self.server_time = server_time


class UnsignedHeader(AuthError):
    """Headers that must be signed, and are not."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class SignatureMismatch(AuthError):
    """The signature is not the one that this request and this key give."""

    def __init__(
        self, access_key_id: str, string_to_sign: str, signature_provided: str, canonical_request: str
    ) -> None:
        super().__init__(f"signature of {access_key_id} does not match")
        self.access_key_id = access_key_id
        self.string_to_sign = string_to_sign
        self.signature_provided = signature_provided
        self.canonical_request = canonical_request


class UnknownAccessKey(AuthError):
    """No such access key, or it is inactive."""

    def __init__(self, access_key_id: str) -> None:
        super().__init__(access_key_id)
        self.access_key_id = access_key_id


class InvalidSessionToken(AuthError):
    """A session token that nobody issued."""
