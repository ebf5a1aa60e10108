"""What S3 asks of a bucket policy beyond the common grammar: only S3 actions, only this bucket, and the two must fit.

Sources: Amazon S3 User Guide, "Policies and permissions in Amazon S3"; Service Authorization Reference, "Actions,
resources, and condition keys for Amazon S3" (which actions are about objects, which about buckets).

An action this table does not know is taken to fit any resource: S3 adds actions faster than tables learn of them.
"""

from collections.abc import Sequence

from kms_core.arn import bucket_arn
from kms_core.policy.wildcard import compile_glob

_OBJECT_ACTIONS = """
    AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
    DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
    GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
    GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication
    ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold
    PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject
    ReplicateTags RestoreObject UpdateObjectEncryption
"""
_BUCKET_ACTIONS = """
    CreateBucket DeleteBucket DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration
    GetAnalyticsConfiguration GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging GetBucketNotification
    GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
    GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
    GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
    GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
    ListBucketMultipartUploads ListBucketVersions PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAcl
    PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
    PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging
    PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration
    PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutReplicationConfiguration
"""


def _actions(names: str) -> tuple[str, ...]:
    return tuple(f"s3:{name.lower()}" for name in names.split())


_OF_OBJECTS = _actions(_OBJECT_ACTIONS)
_OF_BUCKETS = _actions(_BUCKET_ACTIONS)


def is_s3_action(pattern: str) -> bool:
    """Whether an action pattern is about S3 alone."""
    return pattern == "*" or pattern.lower().startswith("s3:")


def is_of_bucket(resource: str, bucket: str) -> bool:
    """Whether a resource pattern is the bucket's own ARN, or lies under it."""
    arn = bucket_arn(bucket)
    return resource == arn or resource.startswith(f"{arn}/")


def idle_action(actions: Sequence[str], resources: Sequence[str], bucket: str) -> str | None:
    """The first action pattern that applies to none of the bucket's `resources`; None if all have something to do."""
    has_bucket = bucket_arn(bucket) in resources
    has_objects = any(resource != bucket_arn(bucket) for resource in resources)
    for action in actions:
        matches = compile_glob((action.lower(),))
        of_objects = any(map(matches, _OF_OBJECTS))
        of_buckets = any(map(matches, _OF_BUCKETS))
        known = of_objects or of_buckets
        if known and not (of_objects and has_objects) and not (of_buckets and has_bucket):
            return action
    return None
