"""The key policies that AWS gives when the caller gives none, and the one policy name there is."""

import json

from kms_core.arn import root_arn

POLICY_NAME = "default"


def default_policy(account: str) -> str:
    """A customer key's: IAM policies of the account decide (KMS developer guide, "Default key policy")."""
    return _render(
        {
            "Version": "2012-10-17",
            "Id": "key-default-1",
            "Statement": [
                {
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": root_arn(account)},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
    )


def managed_policy(account: str, region: str, service: str) -> str:
    """An AWS-managed key's: all of the account, but only through the service, and look-ups by IAM."""
    return _render(
        {
            "Version": "2012-10-17",
            "Id": f"auto-{service}-2",
            "Statement": [
                {
                    "Sid": f"Allow access through {service.upper()} for all principals in the account "
                    f"that are authorized to use {service.upper()}",
                    "Effect": "Allow",
                    "Principal": {"AWS": "*"},
                    "Action": [
                        "kms:Encrypt",
                        "kms:Decrypt",
                        "kms:ReEncrypt*",
                        "kms:GenerateDataKey*",
                        "kms:CreateGrant",
                        "kms:DescribeKey",
                    ],
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": {
                            "kms:CallerAccount": account,
                            "kms:ViaService": f"{service}.{region}.amazonaws.com",
                        }
                    },
                },
                {
                    "Sid": "Allow direct access to key metadata to the account",
                    "Effect": "Allow",
                    "Principal": {"AWS": root_arn(account)},
                    "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                    "Resource": "*",
                },
            ],
        }
    )


def service_policy(service: str) -> str:
    """A service-owned key's: the service alone, for data keys."""
    return _render(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": service},
                    "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                    "Resource": "*",
                }
            ],
        }
    )


def _render(document: object) -> str:
    """JSON with the spacing that GetKeyPolicy gives on AWS."""
    return json.dumps(document, indent=2, separators=(",", " : "))
