"""ARN operators (IAM User Guide, "Condition operators"): ArnEquals and ArnLike are the same test.

The six colon-separated fields are compared one by one, each as a glob, so a star does not reach over a colon; only the
sixth, the resource, may have colons of its own. The value `*` alone stands for every ARN.
"""

from collections.abc import Sequence

from kms_core.policy.variables import Match, any_of
from kms_core.policy.wildcard import Literal, Matcher, Pieces, compile_glob

_FIELDS = 6


def like(values: Sequence[str], variables: bool) -> Match:
    """ArnLike and ArnEquals; ValueError for a value that can't be an ARN."""
    for value in values:
        if value != "*" and value.count(":") < _FIELDS - 1 and not (variables and "${" in value):
            raise ValueError(f"not an ARN: {value[:200]}")
    return any_of(values, variables, _compile)


def _compile(pieces: Pieces) -> Matcher:
    fields = _cut_at_colons(pieces)
    if fields == [["*"]]:
        fields = [["*"]] * _FIELDS
    if len(fields) != _FIELDS:
        return lambda _: False
    matchers = tuple(compile_glob(field) for field in fields)

    def match(value: str) -> bool:
        parts = value.split(":", _FIELDS - 1)
        return len(parts) == _FIELDS and all(matches(part) for matches, part in zip(matchers, parts, strict=True))

    return match


def _cut_at_colons(pieces: Pieces) -> list[list[str | Literal]]:
    """At most six fields; a variable's value may span several (it can be a whole ARN)."""
    fields: list[list[str | Literal]] = [[]]
    for piece in pieces:
        text = piece if isinstance(piece, str) else piece.text
        for number, part in enumerate(text.split(":", _FIELDS - len(fields))):
            if number:
                fields.append([])
            if part:
                fields[-1].append(part if isinstance(piece, str) else Literal(part))
    return fields
