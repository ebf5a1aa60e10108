"""Data keys: fresh random bytes, in the clear (if asked) and under a KMS key."""

from kms_core.crypto.secret import Secret
from kms_core.errors import ValidationException
from kms_core.operations.call import Call, Context, Operation, Output, States, Target
from kms_core.operations.kms.encryption import encrypt_under, encryption_context, refuse_recipient
from kms_core.operations.kms.find import by_member
from kms_core.operations.kms.keys import ENCRYPT_DECRYPT, SYMMETRIC

_BYTES = {"AES_256": 32, "AES_128": 16}


def _size(call: Call) -> int:
    spec, number = call.params.maybe_text("KeySpec"), call.params.maybe_number("NumberOfBytes")
    if (spec is None) == (number is None):
        raise ValidationException("Please specify either number of bytes or key spec.")
    return _BYTES[spec] if spec is not None else number or 0


def _context(call: Call) -> Context:
    return {"kms:encryptionalgorithm": SYMMETRIC, **encryption_context(call.params.pairs("EncryptionContext"))}


def _without_plaintext(call: Call) -> Output:
    data_key = Secret(call.tools.random(_size(call)))
    return _wrapped(call, data_key)


def _wrapped(call: Call, data_key: Secret) -> dict[str, object]:
    key = call.key
    blob = encrypt_under(call, key, data_key, call.params.pairs("EncryptionContext"))
    call.notes["keyMaterialId"] = key.current.id
    return {"CiphertextBlob": blob, "KeyId": key.arn, "KeyMaterialId": key.current.id}


def _generate(call: Call) -> Output:
    refuse_recipient(call)
    data_key = Secret(call.tools.random(_size(call)))
    return {"Plaintext": data_key, **_wrapped(call, data_key)}


OPERATIONS = tuple(
    Operation(
        name,
        (Target(f"kms:{name}", by_member(aliases=True), _context),),
        handle,
        States.ENABLED,
        ENCRYPT_DECRYPT,
        cross_account=True,
    )
    for name, handle in (
        ("GenerateDataKey", _generate),
        ("GenerateDataKeyWithoutPlaintext", _without_plaintext),
    )
)
