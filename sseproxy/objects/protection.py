"""Keys around an object: an envelope sealed for a new one, an object key recovered from a stored one.

The object key (OEK) encrypts the body. It is sealed under a data key that the key service made, and the envelope that
holds it authenticates everything that lies beside the body. `open_object` asks the key service for this caller, on
every call, before a byte of the body is read.
"""

from dataclasses import dataclass

from kms_core.arn import bucket_arn
from kms_core.caller import Caller, CallerKind, RequestFacts
from kms_core.crypto.secret import Secret
from sseproxy.cipher.derive import ObjectKey
from sseproxy.cipher.envelope import Envelope, Kind, open_envelope, seal_envelope, verify_mac
from sseproxy.cipher.errors import BadEnvelope, CipherError
from sseproxy.control.buckets import AES256, AWS_KMS
from sseproxy.keys import CONTEXT_KEY, DataKey
from sseproxy.s3.encryption import WantedEncryption, answer, context_pairs, unsigned
from sseproxy.s3.errors import InvalidArgument, KmsRefused, MetadataTooLarge
from sseproxy.s3.metadata import Pairs
from sseproxy.s3.names import Target
from sseproxy.s3.services import Services
from sseproxy.store.contract import StoredHeaders

OEK_BYTES = 32
_ALGORITHMS = {Kind.SSE_S3: AES256, Kind.KMS: AWS_KMS}


def unreadable() -> KmsRefused:
    """What a caller learns of a stored object that does not verify: nothing but that."""
    return KmsRefused("InvalidCiphertextException", "The object cannot be decrypted.")


@dataclass(frozen=True, slots=True)
class Protected:
    """A new object's keys: what will lie beside its body, the key of the body, and the response headers."""

    headers: StoredHeaders
    oek: ObjectKey
    answer: dict[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored object whose envelope has verified, for a caller who may decrypt it."""

    envelope: Envelope
    oek: ObjectKey


def _kms_context(target: Target, client: str | None, *, bucket_key: bool) -> dict[str, str]:
    """The encryption context: the client's pairs, and the ARN that ties the data key to its place."""
    own = bucket_arn(target.bucket) if bucket_key else target.arn
    context = dict(context_pairs(client))
    context.setdefault(CONTEXT_KEY, own)
    # Policies compare names without regard to case: another spelling must not speak for this one.
    if context[CONTEXT_KEY] != own or sum(name.lower() == CONTEXT_KEY for name in context) > 1:
        raise InvalidArgument(f"The encryption context may not have another {CONTEXT_KEY} than the object's own.")
    return context


async def protect(
    services: Services,
    caller: Caller,
    facts: RequestFacts,
    target: Target,
    wanted: WantedEncryption,
    system: Pairs,
    user: Pairs,
    *,
    size: int | None,
    multipart: bool = False,
) -> Protected:
    """Keys for a new object of `size` plaintext bytes (None: not known yet). The key service decides. S3Error."""
    if wanted.kms:
        context = _kms_context(target, wanted.context, bucket_key=wanted.bucket_key)
        data_key = await services.keys.generate(caller, facts, wanted.key, context)
        kind = Kind.KMS
    else:
        data_key = await services.keys.generate_for_service(facts, target.bucket)
        kind = Kind.SSE_S3
    oek = ObjectKey(services.random(OEK_BYTES))
    try:
        envelope = _seal(services, target, wanted, kind, data_key, oek, system, user, size=size, multipart=multipart)
    except BadEnvelope as problem:  # a header or context longer than the format can hold
        raise MetadataTooLarge from problem
    shown = answer(wanted.algorithm, data_key.key_arn, wanted.bucket_key, wanted.context)
    return Protected(StoredHeaders(envelope.encode(), system, user), oek, shown)


def _seal(
    services: Services,
    target: Target,
    wanted: WantedEncryption,
    kind: Kind,
    data_key: DataKey,
    oek: ObjectKey,
    system: Pairs,
    user: Pairs,
    *,
    size: int | None,
    multipart: bool,
) -> Envelope:
    return seal_envelope(
        dk=data_key.plaintext,
        oek=oek,
        sse=kind,
        multipart=multipart,
        bucket_key=wanted.bucket_key,
        oid=services.random(16),
        size=size,
        context=wanted.context,
        wrapped_key=data_key.blob,
        key_arn=data_key.key_arn,
        object_arn=target.arn,
        system=system,
        user=user,
        seal_salt=services.random(32),
    )


def read_envelope(headers: StoredHeaders) -> Envelope:
    """The envelope, parsed and not yet verified. An object without one is refused: there is no plaintext here."""
    try:
        return Envelope.decode(headers.envelope)
    except CipherError as problem:
        raise unreadable() from problem


def open_object(
    services: Services, caller: Caller, facts: RequestFacts, target: Target, headers: StoredHeaders
) -> Opened:
    """The object key, if this caller may decrypt, and if everything beside the body is as it was sealed. S3Error."""
    envelope = read_envelope(headers)
    data_key = _unwrap(services, caller, facts, target, envelope)
    try:
        oek = open_envelope(envelope, data_key, target.arn)
        verify_mac(envelope, oek, target.arn, headers.system, headers.user)
    except CipherError as problem:
        raise unreadable() from problem
    return Opened(envelope, oek)


def _unwrap(services: Services, caller: Caller, facts: RequestFacts, target: Target, envelope: Envelope) -> Secret:
    (key,) = envelope.keys
    if key.wrapped_key is None or key.key_arn is None or envelope.sse not in _ALGORITHMS:
        raise unreadable()
    if envelope.sse is Kind.SSE_S3:
        return services.keys.open_for_service(facts, key.wrapped_key, key.key_arn, target.bucket)
    if caller.kind is CallerKind.ANONYMOUS:
        raise unsigned()
    try:
        context = _kms_context(target, envelope.context, bucket_key=envelope.bucket_key)
    except (ValueError, InvalidArgument) as problem:  # the context has not been verified yet
        raise unreadable() from problem
    return services.keys.open(caller, facts, key.wrapped_key, key.key_arn, context)


def answer_for(envelope: Envelope) -> dict[str, str]:
    """The encryption headers of a stored object, or of an upload."""
    algorithm = _ALGORITHMS.get(envelope.sse)
    if algorithm is None:
        raise unreadable()
    return answer(algorithm, envelope.keys[0].key_arn, envelope.bucket_key)
