"""KMS: one file per noun, and the table of every operation that is served."""

from kms_core.operations.call import Operation
from kms_core.operations.kms import aliases, data_keys, encryption, keys, policies, random, tags

OPERATIONS: dict[str, Operation] = {
    row.name: row
    for rows in (
        keys.OPERATIONS,
        aliases.OPERATIONS,
        policies.OPERATIONS,
        encryption.OPERATIONS,
        data_keys.OPERATIONS,
        random.OPERATIONS,
        tags.OPERATIONS,
    )
    for row in rows
}
