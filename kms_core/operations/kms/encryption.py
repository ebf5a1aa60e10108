"""Encrypt, Decrypt, ReEncrypt: small plaintexts under a key's material."""

from kms_core.crypto.blob import SALT, open_blob, read_blob, seal_blob
from kms_core.crypto.context import canonical_context
from kms_core.crypto.secret import Secret
from kms_core.errors import InvalidCiphertext, InvalidKeyUsage, UnsupportedOperation, ValidationException
from kms_core.model import Key, Material
from kms_core.operations.call import Call, Context, Operation, Output, States, Target
from kms_core.operations.kms.find import by_ciphertext, by_member
from kms_core.operations.kms.keys import ENCRYPT_DECRYPT, SYMMETRIC


def encrypt_under(call: Call, key: Key, plaintext: Secret, context: dict[str, str]) -> bytes:
    """A blob under the key's current material."""
    return seal_blob(
        key_id=key.key_id,
        material_id=key.current.id,
        material=call.tools.materials.open(key.region, key.key_id, key.current),
        context=canonical_context(context),
        plaintext=plaintext,
        salt=call.tools.random(SALT),
    )


def decrypt_under(call: Call, key: Key, blob: bytes, context: dict[str, str]) -> tuple[Secret, Material]:
    """A blob's plaintext, and the material that made it. InvalidCiphertext."""
    prefix = read_blob(blob).material_prefix
    for material in key.materials:
        if material.id.startswith(prefix):
            opened = call.tools.materials.open(key.region, key.key_id, material)
            return open_blob(blob, material=opened, context=canonical_context(context)), material
    raise InvalidCiphertext


def encryption_context(context: dict[str, str]) -> Context:
    """`kms:EncryptionContext:...` and `kms:EncryptionContextKeys` for a decision.

    Policies compare names without regard to case, so two that differ in nothing else are refused: one of them could
    satisfy a condition in the other's place. ValidationException.
    """
    found: Context = {f"kms:encryptioncontext:{name.lower()}": value for name, value in context.items()}
    if len(found) != len(context):
        raise ValidationException("EncryptionContext has keys that differ in case only.")
    if context:
        found["kms:encryptioncontextkeys"] = tuple(context)
    return found


def _algorithm_context(call: Call, member: str, context_member: str) -> Context:
    return {
        "kms:encryptionalgorithm": call.params.maybe_text(member) or SYMMETRIC,
        **encryption_context(call.params.pairs(context_member)),
    }


def _check_algorithm(call: Call, member: str, key: Key) -> None:
    algorithm = call.params.maybe_text(member)
    if algorithm not in (None, SYMMETRIC):
        raise InvalidKeyUsage(f"Algorithm {algorithm} is incompatible with key spec {key.spec}.")


def refuse_recipient(call: Call) -> None:
    """Nitro attestation documents cannot be verified here."""
    if call.params.has("Recipient"):
        raise UnsupportedOperation("The Recipient parameter is not supported in this Region.")


def _encrypt(call: Call) -> Output:
    _check_algorithm(call, "EncryptionAlgorithm", call.key)
    plaintext = Secret(call.params.blob("Plaintext"))
    blob = encrypt_under(call, call.key, plaintext, call.params.pairs("EncryptionContext"))
    call.notes["keyMaterialId"] = call.key.current.id
    return {"CiphertextBlob": blob, "KeyId": call.key.arn, "EncryptionAlgorithm": SYMMETRIC}


def _decrypt(call: Call) -> Output:
    refuse_recipient(call)
    _check_algorithm(call, "EncryptionAlgorithm", call.key)
    context = call.params.pairs("EncryptionContext")
    plaintext, material = decrypt_under(call, call.key, call.params.blob("CiphertextBlob"), context)
    call.notes["keyMaterialId"] = material.id
    return {
        "KeyId": call.key.arn,
        "Plaintext": plaintext,
        "EncryptionAlgorithm": SYMMETRIC,
        "KeyMaterialId": material.id,
    }


def _reencrypt(call: Call) -> Output:
    source, destination = call.keys
    _check_algorithm(call, "SourceEncryptionAlgorithm", source)
    _check_algorithm(call, "DestinationEncryptionAlgorithm", destination)
    old = call.params.pairs("SourceEncryptionContext")
    plaintext, material = decrypt_under(call, source, call.params.blob("CiphertextBlob"), old)
    blob = encrypt_under(call, destination, plaintext, call.params.pairs("DestinationEncryptionContext"))
    call.notes |= {"sourceKeyMaterialId": material.id, "destinationKeyMaterialId": destination.current.id}
    return {
        "CiphertextBlob": blob,
        "SourceKeyId": source.arn,
        "KeyId": destination.arn,
        "SourceEncryptionAlgorithm": SYMMETRIC,
        "DestinationEncryptionAlgorithm": SYMMETRIC,
        "SourceKeyMaterialId": material.id,
        "DestinationKeyMaterialId": destination.current.id,
    }


_FIND_SOURCE = by_ciphertext("CiphertextBlob", "SourceKeyId")
_FIND_DESTINATION = by_member("DestinationKeyId", aliases=True)


def _reencrypt_context(call: Call, side: str) -> Context:
    """Both decisions see whether the two keys are one."""
    same = _FIND_SOURCE(call).arn == _FIND_DESTINATION(call).arn
    return {
        "kms:reencryptonsamekey": "true" if same else "false",
        **_algorithm_context(call, f"{side}EncryptionAlgorithm", f"{side}EncryptionContext"),
    }


OPERATIONS = (
    Operation(
        "Encrypt",
        (
            Target(
                "kms:Encrypt",
                by_member(aliases=True),
                lambda call: _algorithm_context(call, "EncryptionAlgorithm", "EncryptionContext"),
            ),
        ),
        _encrypt,
        States.ENABLED,
        ENCRYPT_DECRYPT,
        cross_account=True,
        audit_defaults={"encryptionAlgorithm": SYMMETRIC},
    ),
    Operation(
        "Decrypt",
        (
            Target(
                "kms:Decrypt",
                by_ciphertext("CiphertextBlob", "KeyId"),
                lambda call: _algorithm_context(call, "EncryptionAlgorithm", "EncryptionContext"),
            ),
        ),
        _decrypt,
        States.ENABLED,
        ENCRYPT_DECRYPT,
        cross_account=True,
        audit_defaults={"encryptionAlgorithm": SYMMETRIC},
    ),
    Operation(
        "ReEncrypt",
        (
            Target(
                "kms:ReEncryptFrom",
                _FIND_SOURCE,
                lambda call: _reencrypt_context(call, "Source"),
            ),
            Target(
                "kms:ReEncryptTo",
                _FIND_DESTINATION,
                lambda call: _reencrypt_context(call, "Destination"),
            ),
        ),
        _reencrypt,
        States.ENABLED,
        ENCRYPT_DECRYPT,
        cross_account=True,
        audit_defaults={"sourceEncryptionAlgorithm": SYMMETRIC, "destinationEncryptionAlgorithm": SYMMETRIC},
    ),
)
