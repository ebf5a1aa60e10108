"""Compiled statements and policies: what a document becomes, and the only thing a decision looks at.

Immutable but for one cache, from an action to the statements about it; its entries are whole values, so a race between
threads costs a second computation and nothing else.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from kms_core.policy.conditions import Test
from kms_core.policy.principals import Principals
from kms_core.policy.variables import Lookup, Match
from kms_core.policy.wildcard import Matcher

_MAX_REMEMBERED_ACTIONS = 512


class StatementEffect(StrEnum):
    """What a matching statement does."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class Actions:
    """An Action or NotAction element; patterns are lower-cased, as actions are case-insensitive."""

    patterns: tuple[str, ...]
    negated: bool
    matchers: tuple[Matcher, ...] = field(repr=False)

    def match(self, action: str) -> bool:
        """Whether the element covers `action`, in any case."""
        lowered = action.lower()
        return any(matches(lowered) for matches in self.matchers) is not self.negated


@dataclass(frozen=True, slots=True)
class Resources:
    """A Resource or NotResource element; each pattern is a glob over the whole ARN, case-sensitive."""

    patterns: tuple[str, ...]
    negated: bool
    match: Match = field(repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator block; `key` is lower-cased."""

    operator: str
    key: str
    values: tuple[str, ...]
    test: Test = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """A compiled statement; `principals` is None in an identity policy. `index` counts from 0."""

    index: int
    sid: str | None
    effect: StatementEffect
    actions: Actions
    resources: Resources
    principals: Principals | None
    conditions: tuple[Condition, ...]

    @property
    def label(self) -> str:
        """The Sid, or the place in the document for a statement without one."""
        return self.sid or f"#{self.index}"

    def covers(self, resource: str, lookup: Lookup) -> bool:
        """Whether resource and conditions match; action and principal are for the caller to have matched."""
        outcome = self.resources.match(resource, lookup)
        if outcome is None or outcome is self.resources.negated:
            return False
        for condition in self.conditions:  # noqa: SIM110 - a generator would double the cost
            if not condition.test(lookup(condition.key), lookup):
                return False
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A compiled document. `text` is the document as it was given, `id` its Id element."""

    version: str
    id: str | None
    statements: tuple[Statement, ...]
    text: str = field(repr=False)
    _by_action: dict[str, tuple[Statement, ...]] = field(default_factory=dict, repr=False)

    def candidates(self, action: str) -> tuple[Statement, ...]:
        """The statements whose Action or NotAction covers `action`: Deny first, so a reader may stop at an Allow."""
        found = self._by_action.get(action)
        if found is None:
            covering = [statement for statement in self.statements if statement.actions.match(action)]
            found = tuple(sorted(covering, key=lambda statement: statement.effect is StatementEffect.ALLOW))
            if len(self._by_action) >= _MAX_REMEMBERED_ACTIONS:
                self._by_action.clear()
            self._by_action[action] = found
        return found

    @property
    def aws_principals(self) -> frozenset[str]:
        """Every account id, ARN and principal id that the statements name: an operation asks whether they exist."""
        named = [statement.principals for statement in self.statements if statement.principals is not None]
        return frozenset().union(*(principals.names | principals.accounts for principals in named))
