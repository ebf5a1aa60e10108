"""The condition keys that policies may name: one table, and the only place that knows which of them a request carries.

A key that AWS defines but no operation here fills in has `carried=False`, and a policy that uses it is refused: a
condition that could never match (or, negated, always would) must not be taken for protection.

Sources: IAM User Guide, "AWS global condition context keys"; KMS Developer Guide, "AWS KMS condition keys"; Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3". Types are AWS's own and are told to
administrators only: like AWS, a policy may use any operator on any key.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class KeyType(StrEnum):
    """What a key's values are."""

    STRING = "String"
    ARN = "ARN"
    BOOL = "Bool"
    NUMERIC = "Numeric"
    DATE = "Date"
    IP = "IPAddress"


class Source(StrEnum):
    """Who supplies a key's value."""

    CALLER = "caller"
    REQUEST = "request"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class ContextKey:
    """One row; a `name` that ends in `/` or `:` is a family, to which a tag's or context pair's key is appended."""

    name: str
    type: KeyType
    source: Source
    multivalued: bool
    carried: bool


_STRING, _ARN, _BOOL = KeyType.STRING, KeyType.ARN, KeyType.BOOL
_NUMERIC, _DATE, _IP = KeyType.NUMERIC, KeyType.DATE, KeyType.IP
_CALLER, _REQUEST, _RESOURCE = Source.CALLER, Source.REQUEST, Source.RESOURCE

# type, source, multivalued, carried, names
_ROWS: tuple[tuple[KeyType, Source, bool, bool, str], ...] = (
    (_ARN, _CALLER, False, True, "aws:PrincipalArn"),
    (_STRING, _CALLER, False, True, "aws:PrincipalAccount aws:PrincipalType aws:PrincipalTag/ aws:userid aws:username"),
    (_BOOL, _CALLER, False, False, "aws:MultiFactorAuthPresent aws:PrincipalIsAWSService aws:AssumedRoot"),
    (_NUMERIC, _CALLER, False, False, "aws:MultiFactorAuthAge"),
    (_DATE, _CALLER, False, False, "aws:TokenIssueTime"),
    (_STRING, _CALLER, False, False, "aws:PrincipalOrgID aws:PrincipalServiceName aws:FederatedProvider"),
    (_STRING, _CALLER, False, False, "aws:SourceIdentity aws:ChatbotSourceArn aws:ProxyPrincipalArn"),
    (_STRING, _CALLER, False, False, "aws:Ec2InstanceSourceVpc aws:Ec2InstanceSourcePrivateIPv4 ec2:RoleDelivery"),
    (_ARN, _CALLER, False, False, "ec2:SourceInstanceArn lambda:SourceFunctionArn glue:RoleAssumedBy"),
    (_STRING, _CALLER, True, False, "aws:PrincipalOrgPaths aws:PrincipalServiceNamesList"),
    (_IP, _REQUEST, False, True, "aws:SourceIp"),
    (_IP, _REQUEST, False, False, "aws:VpcSourceIp"),
    (_BOOL, _REQUEST, False, True, "aws:SecureTransport aws:ViaAWSService"),
    (_DATE, _REQUEST, False, True, "aws:CurrentTime aws:EpochTime"),
    (_STRING, _REQUEST, False, True, "aws:UserAgent aws:Referer aws:RequestedRegion aws:RequestTag/"),
    (_STRING, _REQUEST, False, True, "aws:CalledViaFirst aws:CalledViaLast"),
    (_STRING, _REQUEST, True, True, "aws:CalledVia aws:TagKeys"),
    (
        _STRING,
        _REQUEST,
        False,
        False,
        "aws:SourceAccount aws:SourceOrgID aws:SourceVpc aws:SourceVpce aws:SourceVpcArn",
    ),
    (_STRING, _REQUEST, False, False, "aws:VpceAccount aws:VpceOrgID aws:IsMcpServiceAction"),
    (_STRING, _REQUEST, True, False, "aws:SourceOrgPaths aws:VpceOrgPaths"),
    (_ARN, _REQUEST, False, False, "aws:SourceArn"),
    (_STRING, _RESOURCE, False, True, "aws:ResourceAccount aws:ResourceTag/"),
    (_STRING, _RESOURCE, False, False, "aws:ResourceOrgID"),
    (_STRING, _RESOURCE, True, False, "aws:ResourceOrgPaths"),
    (_STRING, _REQUEST, False, True, "kms:ViaService kms:CallerAccount kms:EncryptionContext: kms:RequestAlias"),
    (_STRING, _REQUEST, False, True, "kms:EncryptionAlgorithm"),
    (_STRING, _REQUEST, True, True, "kms:EncryptionContextKeys"),
    (_BOOL, _REQUEST, False, True, "kms:BypassPolicyLockoutSafetyCheck kms:ReEncryptOnSameKey"),
    (_NUMERIC, _REQUEST, False, True, "kms:ScheduleKeyDeletionPendingWindowInDays"),
    (_BOOL, _REQUEST, False, False, "kms:GrantIsForAWSResource"),
    (_STRING, _REQUEST, False, False, "kms:GrantConstraintType kms:GranteePrincipal kms:RetiringPrincipal"),
    (_STRING, _REQUEST, True, False, "kms:GrantOperations"),
    (_STRING, _REQUEST, False, False, "kms:SigningAlgorithm kms:MacAlgorithm kms:MessageType kms:DataKeyPairSpec"),
    (_STRING, _REQUEST, False, False, "kms:KeyAgreementAlgorithm kms:WrappingKeySpec kms:WrappingAlgorithm"),
    (_STRING, _REQUEST, False, False, "kms:ExpirationModel kms:PrimaryRegion kms:ReplicaRegion"),
    (_DATE, _REQUEST, False, False, "kms:ValidTo"),
    (_NUMERIC, _REQUEST, False, False, "kms:RotationPeriodInDays"),
    (_STRING, _REQUEST, False, False, "kms:RecipientAttestation:"),
    (_STRING, _RESOURCE, False, True, "kms:KeySpec kms:KeyUsage kms:KeyOrigin kms:MultiRegionKeyType"),
    (_STRING, _RESOURCE, False, True, "kms:CustomerMasterKeySpec kms:CustomerMasterKeyUsage"),
    (_BOOL, _RESOURCE, False, True, "kms:MultiRegion"),
    (_STRING, _RESOURCE, True, True, "kms:ResourceAliases"),
    (_STRING, _REQUEST, False, True, "s3:prefix s3:delimiter s3:x-amz-acl s3:x-amz-storage-class"),
    (_STRING, _REQUEST, False, False, "s3:LocationConstraint"),
    (_NUMERIC, _REQUEST, False, True, "s3:max-keys s3:signatureAge"),
    (
        _STRING,
        _REQUEST,
        False,
        True,
        "s3:x-amz-server-side-encryption s3:x-amz-copy-source s3:x-amz-metadata-directive",
    ),
    (_ARN, _REQUEST, False, True, "s3:x-amz-server-side-encryption-aws-kms-key-id"),
    (_STRING, _REQUEST, False, True, "s3:x-amz-server-side-encryption-customer-algorithm s3:x-amz-content-sha256"),
    (_STRING, _REQUEST, False, True, "s3:authType s3:signatureversion"),
    (_STRING, _RESOURCE, False, True, "s3:ResourceAccount"),
    (_NUMERIC, _REQUEST, False, False, "s3:TlsVersion s3:object-lock-remaining-retention-days"),
    (_DATE, _REQUEST, False, False, "s3:object-lock-retain-until-date"),
    (
        _STRING,
        _REQUEST,
        False,
        False,
        "s3:object-lock-mode s3:object-lock-legal-hold s3:VersionId s3:RequestObjectTag/",
    ),
    (_STRING, _REQUEST, True, False, "s3:RequestObjectTagKeys"),
    (_STRING, _REQUEST, False, False, "s3:x-amz-grant-read s3:x-amz-grant-read-acp s3:x-amz-grant-full-control"),
    (
        _STRING,
        _REQUEST,
        False,
        False,
        "s3:x-amz-grant-write s3:x-amz-grant-write-acp s3:x-amz-website-redirect-location",
    ),
    (
        _STRING,
        _REQUEST,
        False,
        False,
        "s3:if-match s3:if-none-match s3:ObjectCreationOperation s3:x-amz-object-ownership",
    ),
    (_STRING, _REQUEST, False, False, "s3:destinationRegion s3:InventoryAccessibleOptionalFields s3:BucketTag/"),
    (_STRING, _RESOURCE, False, False, "s3:ExistingObjectTag/ s3:DataAccessPointAccount s3:AccessPointNetworkOrigin"),
    (_STRING, _RESOURCE, False, False, "s3:AccessPointTag/ s3:ExistingJobOperation s3:ExistingJobPriority"),
    (_STRING, _RESOURCE, False, False, "s3:RequestJobOperation s3:RequestJobPriority s3:JobSuspendedCause"),
    (_ARN, _RESOURCE, False, False, "s3:DataAccessPointArn s3:AccessGrantsInstanceArn"),
)


def _table() -> Iterator[ContextKey]:
    for type_, source, multivalued, carried, names in _ROWS:
        for name in names.split():
            yield ContextKey(name, type_, source, multivalued, carried)


KEYS = {key.name.lower(): key for key in _table()}
"""Every known key and family, by lower-cased name: condition keys are case-insensitive."""


def find(name: str) -> ContextKey | None:
    """The row of the key `name`, in any case; None if AWS has no such key."""
    lowered = name.lower()
    for sign in "/:":
        vendor, colon, rest = lowered.partition(":")
        family, parted, member = rest.partition(sign)
        row = KEYS.get(f"{vendor}{colon}{family}{sign}") if parted and member else None
        if row is not None:
            return row
    row = KEYS.get(lowered)
    return None if row is None or row.name[-1] in "/:" else row


def require(name: str) -> ContextKey:
    """The row of the key `name`; ValueError, with a sentence for the administrator, unless requests here carry it."""
    key = find(name)
    if key is None:
        raise ValueError(f"unknown condition key {name[:200]}")
    if not key.carried:
        raise ValueError(f"condition key {key.name} is known, but no request here carries it")
    return key
