"""Signature Version 4 for requests to the backend, over a path and a query that are in canonical form already.

Source: S3 API Reference, "Signature Calculations for the Authorization Header". The payload is not signed: bodies are
ciphertext that authenticates itself, and hashing them would cost more than encrypting them. What the backend got is
checked by its CRC32C where it checks one, and by the cipher on every read.

The canonical forms are `kms_core`'s, so that the two ends of this product agree on them.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kms_core.clock import Clock
from kms_core.crypto.secret import Secret
from kms_core.identity.canonical import canonical_headers

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
_TERMINATOR = "aws4_request"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key of ours at the backend; `token` of a session."""

    access_key_id: str
    secret: Secret
    token: str | None = None


CredentialSource = Callable[[], Credentials]
"""Asked at each request, on the event loop: it answers from memory."""


class Signer:
    """Signs for one region. The day's key is derived once for each secret."""

    def __init__(self, credentials: CredentialSource, region: str, clock: Clock) -> None:
        self._credentials = credentials
        self._region = region
        self._clock = clock
        self._derived: tuple[str, Secret, bytes] | None = None

    def sign(self, method: str, host: str, path: str, query: str, headers: Mapping[str, str]) -> dict[str, str]:
        """All headers to send: `headers` (lower-case names) with those that SigV4 adds. Every one of them is signed."""
        who = self._credentials()
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        moment = now.strftime("%Y%m%dT%H%M%SZ")
        sent = {**headers, "host": host, "x-amz-content-sha256": UNSIGNED, "x-amz-date": moment}
        if who.token is not None:
            sent["x-amz-security-token"] = who.token
        names = tuple(sorted(name.encode("ascii") for name in sent))
        listed = b";".join(names).decode()
        lines = canonical_headers([(name.encode(), value.encode("latin-1")) for name, value in sent.items()], names)
        canonical = b"\n".join(
            (method.encode(), path.encode(), query.encode(), lines, listed.encode(), UNSIGNED.encode())
        )
        scope = f"{moment[:8]}/{self._region}/{_SERVICE}/{_TERMINATOR}"
        text = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
        signature = hmac.digest(self._key(moment[:8], who.secret), text.encode(), "sha256").hex()
        sent["authorization"] = (
            f"{_ALGORITHM} Credential={who.access_key_id}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return sent

    def _key(self, day: str, secret: Secret) -> bytes:
        derived = self._derived
        if derived is None or derived[0] != day or derived[1] != secret:
            key = b"AWS4" + secret.reveal()
            for step in (day, self._region, _SERVICE, _TERMINATOR):
                key = hmac.digest(key, step.encode(), "sha256")
            derived = self._derived = (day, secret, key)
        return derived[2]
