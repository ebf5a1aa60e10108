"""Policy documents: JSON in, immutable compiled statements out.

Sources: IAM User Guide, "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language". A document
is understood whole or refused: an unknown element, operator or condition key is an error, because a condition that is
skipped is a permission that nobody gave. Duplicate JSON keys are an error for the same reason.

Bounded on hostile input: depth by the grammar itself, statements by MAX_STATEMENTS, matching by `wildcard`. The size of
the text is for the callers to check: each kind of policy has its own limit.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TypeVar

from kms_core.policy import bucket_grammar, context_keys
from kms_core.policy.conditions import compile_test
from kms_core.policy.principals import Principals, parse_principals
from kms_core.policy.statements import Actions, Condition, Policy, Resources, Statement, StatementEffect
from kms_core.policy.variables import any_of
from kms_core.policy.wildcard import compile_glob

__all__ = ["Fault", "Grammar", "MalformedPolicy", "Policy", "Statement", "StatementEffect", "parse_policy"]

_T = TypeVar("_T")

MAX_STATEMENTS = 500
_VERSIONS = ("2008-10-17", "2012-10-17")
_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)
_SID = re.compile(r"[0-9A-Za-z]*")
_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9*?]+")


class Grammar(Enum):
    """Where a policy is attached. IDENTITY names no principal, KEY and BUCKET must; the value is the vendor."""

    IDENTITY = ""
    KEY = "kms"
    BUCKET = "s3"


class Fault(Enum):
    """What can be wrong with a document: IAM's sentence, then S3's."""

    JSON = ("Syntax errors in policy.", "Policies must be valid JSON and the first byte must be '{'")
    SYNTAX = ("Syntax errors in policy.", "Invalid policy syntax.")
    VERSION = ("Syntax errors in policy.", "The policy must contain a valid version string")
    SID = ("Statement IDs (SID) must be alpha-numeric.", "Invalid policy syntax.")
    SAME_SID = ("Statement IDs (SID) in a single policy must be unique.",) * 2
    NO_STATEMENT = ("Syntax errors in policy.", "Missing required field Statement")
    NO_EFFECT = ("Syntax errors in policy.", "Missing required field Effect")
    NO_PRINCIPAL = ("Policy statement must contain principals.", "Missing required field Principal")
    NO_ACTION = ("Policy statement must contain actions.", "Missing required field Action")
    NO_RESOURCE = ("Policy statement must contain resources.", "Missing required field Resource")
    PRINCIPAL = ("Invalid principal in policy",) * 2
    UNWANTED_PRINCIPAL = ("Policy document should not specify a principal.",) * 2
    ALLOW_NOT_PRINCIPAL = ("Allow with NotPrincipal is not allowed.",) * 2
    ACTION = ("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", "Policy has invalid action")
    RESOURCE = ('Resource must be in ARN format or "*".', "Policy has invalid resource")
    IDLE_ACTION = ("Action does not apply to any resource(s) in statement",) * 2
    CONDITION_KEY = ("Policy has an invalid condition key",) * 2


class MalformedPolicy(ValueError):
    """The document is refused. `str()` is what AWS tells the client, `reason` what an administrator wants to know."""

    def __init__(self, fault: Fault, grammar: Grammar, reason: str) -> None:
        super().__init__(fault.value[grammar is Grammar.BUCKET])
        self.fault = fault
        self.reason = reason


def parse_policy(text: str, grammar: Grammar, bucket: str | None = None) -> Policy:
    """Compile a document, or raise MalformedPolicy. `bucket` holds a BUCKET policy's resources to that bucket."""
    return _Parser(grammar, bucket).policy(text)


class _Parser:
    """One document's parse: the grammar it is held to, and its version."""

    def __init__(self, grammar: Grammar, bucket: str | None) -> None:
        self._grammar = grammar
        self._bucket = bucket
        self._version = _VERSIONS[0]

    def policy(self, text: str) -> Policy:
        document = self._decode(text)
        self._only(document, _ELEMENTS)
        version, id_ = document.get("Version", self._version), document.get("Id")
        if not isinstance(version, str) or version not in _VERSIONS:
            raise self._malformed(Fault.VERSION, f"unknown version {version!r:.100}")
        if id_ is not None and not isinstance(id_, str):
            raise self._malformed(Fault.SYNTAX, "Id is not a string")
        self._version = version
        return Policy(version, id_, self._statements(document.get("Statement")), text)

    def _decode(self, text: str) -> Mapping[str, object]:
        """The document as JSON. `json` stops at the interpreter's recursion limit, so depth is bounded."""
        if self._grammar is Grammar.BUCKET and not text.startswith("{"):
            raise self._malformed(Fault.JSON, "the first byte is not '{'")
        try:
            document = json.loads(text, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
            json.dumps(document, ensure_ascii=False).encode()  # an escaped lone surrogate is no character
        except (ValueError, RecursionError) as error:
            raise self._malformed(Fault.JSON, str(error)) from error
        if not isinstance(document, dict):
            raise self._malformed(Fault.JSON, "not a JSON object")
        return document

    def _statements(self, element: object) -> tuple[Statement, ...]:
        elements = element if isinstance(element, list) else [element]
        if element is None or not elements:
            raise self._malformed(Fault.NO_STATEMENT, "no statement")
        if len(elements) > MAX_STATEMENTS:
            raise self._malformed(Fault.SYNTAX, f"more than {MAX_STATEMENTS} statements")
        statements = tuple(self._statement(index, one) for index, one in enumerate(elements))
        sids = [statement.sid for statement in statements if statement.sid]
        if len(set(sids)) != len(sids):
            raise self._malformed(Fault.SAME_SID, "a Sid occurs twice")
        return statements

    def _statement(self, index: int, element: object) -> Statement:
        if not isinstance(element, dict):
            raise self._malformed(Fault.SYNTAX, f"statement {index} is not an object")
        self._only(element, _STATEMENT_ELEMENTS)
        statement = Statement(
            index,
            self._sid(element.get("Sid")),
            self._effect(element),
            self._actions(element),
            self._resources(element),
            self._principals(element),
            self._conditions(element.get("Condition", {})),
        )
        self._check_against_bucket(statement)
        return statement

    def _sid(self, sid: object) -> str | None:
        if sid is None:
            return None
        plain = self._grammar is Grammar.IDENTITY
        if not isinstance(sid, str) or not (_SID.fullmatch(sid) if plain else sid.isprintable()):
            raise self._malformed(Fault.SID, f"Sid {sid!r:.100}")
        return sid or None

    def _effect(self, element: Mapping[str, object]) -> StatementEffect:
        effect = element.get("Effect")
        if effect is None:
            raise self._malformed(Fault.NO_EFFECT, "no Effect")
        if effect not in ("Allow", "Deny"):
            raise self._malformed(Fault.SYNTAX, f"Effect {effect!r:.100}")
        return StatementEffect(effect)

    def _actions(self, element: Mapping[str, object]) -> Actions:
        value, negated = self._either(element, "Action", Fault.NO_ACTION)
        actions = self._strings(value, Fault.NO_ACTION)
        for action in actions:
            if action != "*" and not _ACTION.fullmatch(action):
                raise self._malformed(Fault.ACTION, f"action {action[:100]}")
        patterns = tuple(action.lower() for action in actions)
        return Actions(patterns, negated, tuple(compile_glob((pattern,)) for pattern in patterns))

    def _resources(self, element: Mapping[str, object]) -> Resources:
        value, negated = self._either(element, "Resource", Fault.NO_RESOURCE)
        resources = self._strings(value, Fault.NO_RESOURCE)
        for resource in resources:
            if resource != "*" and not (resource.startswith("arn:") and resource.count(":") >= 5):
                raise self._malformed(Fault.RESOURCE, f"resource {resource[:200]}")
        match = self._converted(Fault.RESOURCE, lambda: any_of(resources, self._variables, compile_glob))
        return Resources(resources, negated, match)

    def _principals(self, element: Mapping[str, object]) -> Principals | None:
        if self._grammar is Grammar.IDENTITY:
            if "Principal" in element or "NotPrincipal" in element:
                raise self._malformed(Fault.UNWANTED_PRINCIPAL, "an identity policy names no principal")
            return None
        value, negated = self._either(element, "Principal", Fault.NO_PRINCIPAL)
        if negated and element.get("Effect") == "Allow":
            raise self._malformed(Fault.ALLOW_NOT_PRINCIPAL, "NotPrincipal goes with Deny only")
        return self._converted(Fault.PRINCIPAL, lambda: parse_principals(value, negated))

    def _conditions(self, element: object) -> tuple[Condition, ...]:
        if not isinstance(element, dict):
            raise self._malformed(Fault.SYNTAX, "Condition is not an object")
        conditions: list[Condition] = []
        for operator, block in element.items():
            if not isinstance(block, dict):
                raise self._malformed(Fault.SYNTAX, f"{operator:.100} is not an object")
            conditions += (self._condition(operator, key, value) for key, value in block.items())
        return tuple(conditions)

    def _condition(self, operator: str, key: str, value: object) -> Condition:
        row = self._converted(Fault.CONDITION_KEY, lambda: context_keys.require(key))
        vendor = row.name.partition(":")[0]
        if self._grammar is not Grammar.IDENTITY and vendor not in ("aws", self._grammar.value):
            raise self._malformed(Fault.CONDITION_KEY, f"{row.name} does not belong to this kind of policy")
        values = tuple(self._scalar(one) for one in (value if isinstance(value, list) else [value]))
        test = self._converted(Fault.SYNTAX, lambda: compile_test(operator, values, self._variables))
        return Condition(operator, key.lower(), values, test)

    def _check_against_bucket(self, statement: Statement) -> None:
        if self._bucket is None:
            return
        actions, resources = statement.actions, statement.resources
        for action in actions.patterns:
            if not bucket_grammar.is_s3_action(action):
                raise self._malformed(Fault.ACTION, f"action {action[:100]} is not S3's")
        for resource in resources.patterns:
            if not bucket_grammar.is_of_bucket(resource, self._bucket):
                raise self._malformed(Fault.RESOURCE, f"resource {resource[:200]} is not of this bucket")
        if actions.negated or resources.negated:
            return
        idle = bucket_grammar.idle_action(actions.patterns, resources.patterns, self._bucket)
        if idle is not None:
            raise self._malformed(Fault.IDLE_ACTION, f"{idle[:100]} applies to none of the resources")

    @property
    def _variables(self) -> bool:
        return self._version != _VERSIONS[0]

    def _either(self, element: Mapping[str, object], name: str, missing: Fault) -> tuple[object, bool]:
        """The value of `name` or of `Not` + `name`, of which exactly one must be there; whether it was the latter."""
        negated = f"Not{name}" in element
        if negated and name in element:
            raise self._malformed(Fault.SYNTAX, f"both {name} and Not{name}")
        if not negated and name not in element:
            raise self._malformed(missing, f"neither {name} nor Not{name}")
        return element[f"Not{name}" if negated else name], negated

    def _strings(self, value: object, empty: Fault) -> tuple[str, ...]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise self._malformed(empty, "an empty list")
        strings = tuple(one for one in values if isinstance(one, str))
        if len(strings) != len(values):
            raise self._malformed(Fault.SYNTAX, "not a string or a list of strings")
        return strings

    def _scalar(self, value: object) -> str:
        """A condition value as text: JSON numbers and booleans are allowed in a string's place."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise self._malformed(Fault.SYNTAX, "a condition value is not a string, number or boolean")

    def _only(self, element: Mapping[str, object], known: frozenset[str]) -> None:
        for name in element:
            if name not in known:
                raise self._malformed(Fault.SYNTAX, f"unknown field {name[:100]}")

    def _converted(self, fault: Fault, parse: Callable[[], _T]) -> _T:
        """What `parse` gives; its ValueError becomes the fault's MalformedPolicy."""
        try:
            return parse()
        except ValueError as error:
            raise self._malformed(fault, str(error)) from error

    def _malformed(self, fault: Fault, reason: str) -> MalformedPolicy:
        return MalformedPolicy(fault, self._grammar, reason)


def _no_duplicates(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same key twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
