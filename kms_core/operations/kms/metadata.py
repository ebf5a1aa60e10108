"""KeyMetadata, as CreateKey and DescribeKey answer it."""

from kms_core.model import Key, KeyState


def key_metadata(key: Key) -> dict[str, object]:
    """A key's KeyMetadata."""
    metadata: dict[str, object] = {
        "AWSAccountId": key.account,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": key.state is KeyState.ENABLED,
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": key.state.value,
        "Origin": key.origin,
        "KeyManager": key.manager.value,
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": key.multi_region,
        "CurrentKeyMaterialId": key.current.id,
    }
    if key.multi_region:
        metadata["MultiRegionConfiguration"] = {
            "MultiRegionKeyType": "PRIMARY",
            "PrimaryKey": {"Arn": key.arn, "Region": key.region},
            "ReplicaKeys": [],
        }
    if key.deletion_at is not None:
        metadata["DeletionDate"] = key.deletion_at
    return metadata
