"""One call on its way through `Kms.call`, and the row that says what its operation needs.

An operation declares what it touches (`targets`: an action and where the key or alias is found) and in which states the
key may be. `kms_core.service` finds, authorizes and checks all of that before it runs `handle`, so a handler sees only
keys that its caller may use and can skip nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from kms_core.caller import Caller, RequestFacts
from kms_core.crypto.material import Materials
from kms_core.crypto.root import RootOfTrust
from kms_core.keystore.contract import Snapshot, Transaction
from kms_core.model import Alias, Key
from kms_core.operations.params import Params

Output = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Tools:
    """What operations work with."""

    root: RootOfTrust
    materials: Materials
    random: Callable[[int], bytes]


@dataclass(slots=True)
class Call:
    """A call in progress. `keys` and `aliases` are what the row's targets found, in their order."""

    params: Params
    caller: Caller
    facts: RequestFacts
    snapshot: Snapshot
    tools: Tools
    _transaction: Transaction | None
    keys: list[Key] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """The key that the call is about."""
        return self.keys[0]

    @property
    def transaction(self) -> Transaction:
        """The write in progress; only rows with `writes` have one."""
        if self._transaction is None:
            raise RuntimeError("kms_core.operations.call: a read-only operation tried to write")
        return self._transaction


class States(Enum):
    """Which key states an operation accepts (KMS developer guide, "Key states of AWS KMS keys")."""

    ANY = auto()
    ENABLED = auto()
    NOT_PENDING_DELETION = auto()
    PENDING_DELETION = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """Where a target led: a key, or an alias (which IAM policies alone decide about), or neither."""

    key: Key | None = None
    alias: Alias | None = None
    arn: str = "*"
    account: str = ""
    request_alias: str | None = None
    by_ciphertext: bool = False


Context = dict[str, str | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Target:
    """Something that the caller needs a permission on: the action, and how to find the resource."""

    action: str
    find: Callable[[Call], Found]
    context: Callable[[Call], Context] = lambda _call: {}


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table of operations."""

    name: str
    targets: tuple[Target, ...]
    handle: Callable[[Call], Output]
    states: States = States.ANY
    usage: str | None = None
    writes: bool = False
    cross_account: bool = False
    audit_response: bool = False
    audit_defaults: Mapping[str, str] = field(default_factory=dict)
