"""Policy variables: `${aws:username}`, `${key, 'default'}`, and `${*}` `${?}` `${$}` for the signs themselves.

Source: IAM User Guide, "IAM policy elements: Variables and tags". Only policies of version 2012-10-17 have variables;
in older ones the same text is literal. A substituted value is a `Literal`: a tag worth `*` must not widen a policy.

A value whose variable is absent is neither a match nor a mismatch: tests are three-valued, with None for "can't tell",
so that neither `Resource` nor `NotResource`, neither `StringEquals` nor `StringNotEquals` can come true through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kms_core.policy import context_keys
from kms_core.policy.wildcard import Literal, Matcher, Pieces

ContextValue = str | tuple[str, ...]
Lookup = Callable[[str], ContextValue | None]
"""The request's context: from a lower-cased key to its value, or None where the key is absent."""

Match = Callable[[str, Lookup], bool | None]
"""Whether one request value matches any of a list of policy values; None: an absent variable leaves that open."""

_SIGNS = frozenset("*?$")


@dataclass(frozen=True, slots=True)
class Variable:
    """A placeholder: its lower-cased context key and its default, if it has one."""

    key: str
    default: str | None


Template = tuple[str | Literal | Variable, ...]


def parse_template(text: str, variables: bool) -> Template:
    """Cut `text` at its variables; with `variables` false it has none. ValueError for a broken or unknown variable."""
    if not variables or "${" not in text:
        return (text,)
    plain, *placeholders = text.split("${")
    template: list[str | Literal | Variable] = [plain]
    for placeholder in placeholders:
        inside, closed, plain = placeholder.partition("}")
        if not closed:
            raise ValueError(f"a policy variable is not closed: ${{{inside[:100]}")
        template += (_variable(inside), plain)
    return tuple(template)


def expand(template: Template, lookup: Lookup) -> list[str | Literal] | None:
    """The template with its variables' values put in; None if one is absent and has no default."""
    pieces: list[str | Literal] = []
    for piece in template:
        if isinstance(piece, Variable):
            value = lookup(piece.key)
            if not isinstance(value, str):
                value = piece.default
            if value is None:
                return None
            pieces.append(Literal(value))
        else:
            pieces.append(piece)
    return pieces


def any_of(values: Sequence[str], variables: bool, build: Callable[[Pieces], Matcher]) -> Match:
    """A test against any of `values`: those without variables are built here, once, the others on each use."""
    fixed: list[Matcher] = []
    templates: list[Template] = []
    for value in values:
        template = parse_template(value, variables)
        pieces = [piece for piece in template if not isinstance(piece, Variable)]
        if len(pieces) == len(template):
            fixed.append(build(pieces))
        else:
            templates.append(template)
    if templates:
        return _open_test(tuple(fixed), tuple(templates), build)
    return fixed_test(fixed)


def fixed_test(matchers: Sequence[Matcher]) -> Match:
    """A test against any of `matchers`, none of which needs the context."""
    if len(matchers) == 1:
        only = matchers[0]
        return lambda value, _: only(value)
    several = tuple(matchers)

    def test(value: str, _: Lookup) -> bool:
        for matches in several:  # noqa: SIM110 - a generator would double the cost
            if matches(value):
                return True
        return False

    return test


def _open_test(
    fixed: tuple[Matcher, ...], templates: tuple[Template, ...], build: Callable[[Pieces], Matcher]
) -> Match:
    def test(value: str, lookup: Lookup) -> bool | None:
        outcome: bool | None = False
        for matches in fixed:
            if matches(value):
                return True
        for template in templates:
            pieces = expand(template, lookup)
            if pieces is None:
                outcome = None
            elif build(pieces)(value):
                return True
        return outcome

    return test


def _variable(inside: str) -> Literal | Variable:
    if inside in _SIGNS:
        return Literal(inside)
    name, has_default, default = inside.partition(",")
    key = context_keys.require(name.strip())
    if key.multivalued:
        raise ValueError(f"{key.name} has many values and can't be a policy variable")
    if not has_default:
        return Variable(name.strip().lower(), None)
    default = default.strip()
    if len(default) < 2 or default[0] != "'" or default[-1] != "'":
        raise ValueError(f"the default of ${{{key.name}}} is not in single quotes")
    return Variable(name.strip().lower(), default[1:-1])
