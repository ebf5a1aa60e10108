"""GenerateRandom."""

from kms_core.crypto.secret import Secret
from kms_core.errors import UnsupportedOperation, ValidationException
from kms_core.operations.call import Call, Operation, Output, Target
from kms_core.operations.kms.encryption import refuse_recipient
from kms_core.operations.kms.find import everything


def _random(call: Call) -> Output:
    refuse_recipient(call)
    if call.params.has("CustomKeyStoreId"):
        raise UnsupportedOperation("Custom key stores are not supported in this Region.")
    number = call.params.maybe_number("NumberOfBytes")
    if number is None:
        raise ValidationException("NumberOfBytes is required.")
    return {"Plaintext": Secret(call.tools.random(number))}


OPERATIONS = (Operation("GenerateRandom", (Target("kms:GenerateRandom", everything),), _random),)
