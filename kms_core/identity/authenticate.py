"""From a signed request to a `Caller`: the access key, its secret, the signature, and whose key it is."""

from dataclasses import dataclass

from kms_core.arn import root_arn
from kms_core.caller import ANONYMOUS, Caller, CallerKind
from kms_core.clock import Clock
from kms_core.crypto.root import RootOfTrust
from kms_core.identity.errors import InvalidSessionToken, UnknownAccessKey, WrongScope
from kms_core.identity.http import HttpHead
from kms_core.identity.secrets import AccessKeySecrets
from kms_core.identity.sigv4 import Signed, SigningChain, read_signature, verify
from kms_core.keystore.contract import Snapshot
from kms_core.keystore.topics import ACCESS_KEYS, USERS, user_id
from kms_core.model import AccessKey


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who sent a request. An anonymous one has neither signature nor chain."""

    caller: Caller
    signed: Signed | None
    chain: SigningChain | None


NOBODY = Authenticated(ANONYMOUS, None, None)


class Authenticator:
    """Verifies requests against the access keys of a snapshot."""

    def __init__(self, root: RootOfTrust, clock: Clock) -> None:
        self._secrets = AccessKeySecrets(root)
        self._clock = clock

    def authenticate(
        self, head: HttpHead, snapshot: Snapshot, *, service: str, payload_hash: str | None = None
    ) -> Authenticated:
        """Who sent this. `payload_hash` is the SHA-256 (hex) of the body where the door has read it already; S3's has
        not, and takes what the request declares. AuthError."""
        signed = read_signature(head)
        if signed is None:
            return NOBODY
        key = snapshot.get(ACCESS_KEYS, signed.access_key_id)
        if key is None or not key.active:
            raise UnknownAccessKey(signed.access_key_id)
        if signed.service != service:
            raise WrongScope(None, service)
        if signed.session_token is not None:
            raise InvalidSessionToken("no session has this token")
        s3 = service == "s3"
        chain = verify(
            signed,
            head,
            self._secrets.open(key),
            now=self._clock.now(),
            payload_hash=payload_hash or signed.payload_hash or "UNSIGNED-PAYLOAD",
            normalise_path=not s3,
        )
        return Authenticated(caller_of(key, snapshot), signed, chain)


def caller_of(key: AccessKey, snapshot: Snapshot) -> Caller:
    """The principal behind an access key. UnknownAccessKey if its user is gone."""
    if key.user is None:
        return Caller(key.account, root_arn(key.account), CallerKind.ROOT, key.account, key.id)
    user = snapshot.get(USERS, user_id(key.account, key.user))
    if user is None:
        raise UnknownAccessKey(key.id)
    return Caller(key.account, user.arn, CallerKind.USER, user.user_id, key.id, user.name)
