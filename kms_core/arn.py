"""Amazon Resource Names, parsed once.

`arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE` (AWS General Reference, "Amazon Resource Names"). Only the partition
`aws` exists here.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Arn:
    """The six fields of an ARN; `resource` keeps whatever colons and slashes it has."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split `text`; ValueError if it is no ARN."""
        fields = text.split(":", 5)
        if len(fields) != 6 or fields[0] != "arn" or not fields[1] or not fields[2] or not fields[5]:
            raise ValueError(f"not an ARN: {text!r}")
        return cls(partition=fields[1], service=fields[2], region=fields[3], account=fields[4], resource=fields[5])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def is_arn(text: str) -> bool:
    """Whether `text` claims to be an ARN."""
    return text.startswith("arn:")


def key_arn(region: str, account: str, key_id: str) -> str:
    """A KMS key's ARN."""
    return f"arn:aws:kms:{region}:{account}:key/{key_id}"


def alias_arn(region: str, account: str, name: str) -> str:
    """A KMS alias's ARN; `name` begins with `alias/`."""
    return f"arn:aws:kms:{region}:{account}:{name}"


def bucket_arn(bucket: str) -> str:
    """An S3 bucket's ARN."""
    return f"arn:aws:s3:::{bucket}"


def object_arn(bucket: str, key: str) -> str:
    """An S3 object's ARN."""
    return f"arn:aws:s3:::{bucket}/{key}"


def root_arn(account: str) -> str:
    """The ARN that stands for an account, and for its root user."""
    return f"arn:aws:iam::{account}:root"


def user_arn(account: str, name: str, path: str = "/") -> str:
    """An IAM user's ARN."""
    return f"arn:aws:iam::{account}:user{path}{name}"
