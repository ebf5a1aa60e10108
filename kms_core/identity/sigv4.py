"""Signature Version 4: whether the key that a request names has signed it.

Source: IAM User Guide, "Create a signed AWS API request". Pure: the time is an argument, and the only state is a
bounded memory of signing keys, each of which depends on nothing but its arguments.
"""

import hmac
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from kms_core.crypto.secret import Secret
from kms_core.identity.canonical import canonical_request
from kms_core.identity.errors import ExpiredRequest, SignatureMismatch, SkewedTime, UnsignedHeader
from kms_core.identity.http import HttpHead
from kms_core.identity.signature import ALGORITHM, TERMINATOR, Signed, read_signature

__all__ = ["Signed", "SigningChain", "read_signature", "verify"]

_KEPT_SIGNING_KEYS = 1024


@dataclass(frozen=True, slots=True)
class SigningChain:
    """What the signatures of an aws-chunked body hang on: the verified signature of the head (hex) and its key."""

    seed: str
    key: Secret
    scope: str
    amz_date: str

    def sign(self, string_to_sign: str) -> str:
        """The signature (hex) of a string under this chain's key."""
        return hmac.digest(self.key.reveal(), string_to_sign.encode("latin-1"), "sha256").hex()


class _KeyOwner:
    """A secret as a key of the cache: hashed by its access key id, compared in constant time, hidden in every repr."""

    __slots__ = ("_access_key_id", "secret")

    def __init__(self, access_key_id: str, secret: Secret) -> None:
        self._access_key_id = access_key_id
        self.secret = secret

    def __hash__(self) -> int:
        return hash(self._access_key_id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _KeyOwner)
            and self._access_key_id == other._access_key_id
            and (self.secret is other.secret or self.secret == other.secret)
        )


@lru_cache(maxsize=_KEPT_SIGNING_KEYS)
def _signing_key(owner: _KeyOwner, date: str, region: str, service: str) -> Secret:
    """The key of a day, region and service. It depends on the secret itself, so a replaced secret gets another one."""
    key = b"AWS4" + owner.secret.reveal()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return Secret(key)


def verify(
    signed: Signed,
    head: HttpHead,
    secret: Secret,
    *,
    now: float,
    payload_hash: str,
    normalise_path: bool,
    max_skew: float = 900.0,
) -> SigningChain:
    """Check that `secret` signed this request for about this time; returns what a chunked body's signatures hang on.

    `now` and `max_skew` are seconds. `payload_hash` is the canonical request's last line: for S3 what
    x-amz-content-sha256 says, or `UNSIGNED-PAYLOAD` if a presigned request has none; for the others the SHA-256 (hex)
    of the body. `normalise_path` is False for S3 alone. Raises SkewedTime, ExpiredRequest, UnsignedHeader or
    SignatureMismatch.
    """
    _check_time(signed, now, max_skew)
    names = tuple([name.encode("latin-1") for name in signed.signed_headers])
    _check_coverage(head, names)
    request = canonical_request(head, names, payload_hash, normalise_path=normalise_path, presigned=signed.presigned)
    scope = signed.scope
    text = f"{ALGORITHM}\n{signed.amz_date}\n{scope}\n{sha256(request).hexdigest()}"
    key = _signing_key(_KeyOwner(signed.access_key_id, secret), signed.date, signed.region, signed.service)
    signature = hmac.digest(key.reveal(), text.encode("latin-1"), "sha256").hex()
    if not hmac.compare_digest(signature.encode("ascii"), signed.signature.encode("latin-1")):
        raise SignatureMismatch(signed.access_key_id, text, signed.signature, request.decode("latin-1"))
    return SigningChain(signature, key, scope, signed.amz_date)


def _check_time(signed: Signed, now: float, max_skew: float) -> None:
    """A header signature lives `max_skew` to both sides; a presigned one until it expires, and may be as much early."""
    if signed.timestamp - now > max_skew or (signed.expires is None and now - signed.timestamp > max_skew):
        raise SkewedTime(signed.timestamp, now, max_skew)
    if signed.expires is not None and now > signed.timestamp + signed.expires:
        raise ExpiredRequest(signed.expires, signed.timestamp + signed.expires, now)


def _check_coverage(head: HttpHead, signed: tuple[bytes, ...]) -> None:
    """The host and every x-amz-* header change what a request means, so none of them may come unsigned."""
    unsigned = [name for name, _ in head.headers if name.startswith(b"x-amz-") and name not in signed]
    if b"host" not in signed:
        unsigned.insert(0, b"host")
    if unsigned:
        raise UnsignedHeader(tuple([name.decode("latin-1") for name in unsigned]))
