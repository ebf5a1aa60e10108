"""What the key service keeps: accounts, users, access keys, KMS keys with their material, aliases. Immutable values.

Times are seconds since the epoch. Key material and secret access keys appear only as `sealed` bytes, under the root of
trust.
"""

from dataclasses import dataclass
from enum import StrEnum

from kms_core import arn

SERVICE_ACCOUNT = "000000000000"
"""The account that owns what the services own (SSE-S3's keys); no customer account may have this id."""


class KeyState(StrEnum):
    """KMS developer guide, "Key states of AWS KMS keys"."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_DELETION = "PendingDeletion"


class KeyManager(StrEnum):
    """Who manages a key: the customer, or AWS (`alias/aws/...`)."""

    CUSTOMER = "CUSTOMER"
    AWS = "AWS"


@dataclass(frozen=True, slots=True)
class Material:
    """One generation of a key's material. `id` is 64 hex digits, KMS's KeyMaterialId."""

    id: str
    version: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A KMS key in one region, with all that a decision about it needs."""

    key_id: str
    account: str
    region: str
    created: float
    state: KeyState
    description: str
    usage: str
    spec: str
    origin: str
    manager: KeyManager
    multi_region: bool
    deletion_at: float | None
    pending_window: int | None
    policy: str
    tags: tuple[tuple[str, str], ...]
    aliases: tuple[str, ...]
    materials: tuple[Material, ...]

    @property
    def arn(self) -> str:
        """The key's ARN."""
        return arn.key_arn(self.region, self.account, self.key_id)

    @property
    def current(self) -> Material:
        """The material that encrypts."""
        return self.materials[-1]


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias; `name` begins with `alias/`, `target` is the ARN of its key."""

    name: str
    account: str
    region: str
    target: str
    created: float
    updated: float

    @property
    def arn(self) -> str:
        """The alias's ARN."""
        return arn.alias_arn(self.region, self.account, self.name)


@dataclass(frozen=True, slots=True)
class Account:
    """A 12-digit account."""

    id: str
    name: str
    created: float


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user and its inline policies as (name, document) pairs. `user_id` is the stable `AIDA...` id."""

    account: str
    name: str
    path: str
    user_id: str
    created: float
    policies: tuple[tuple[str, str], ...]

    @property
    def arn(self) -> str:
        """The user's ARN."""
        return arn.user_arn(self.account, self.name, self.path)


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A credential of a user, or of an account's root user (`user` is None then)."""

    id: str
    account: str
    user: str | None
    sealed: bytes
    active: bool
    created: float
