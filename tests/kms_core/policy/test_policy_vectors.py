"""The corpus of decisions in tests/vectors/policy: each with the AWS page whose rule it shows.

A vector names a caller of the cast below, the kind of resource, the statements on either side and the outcome. All
resources belong to account 111122223333.
"""

import json
from pathlib import Path

import pytest

from kms_core.caller import ANONYMOUS, Caller, CallerKind, service_caller
from kms_core.policy.document import Grammar, parse_policy
from kms_core.policy.evaluate import AccessRequest, NamedPolicy, ResourceRule, evaluate

OWNER, OTHER = "111122223333", "444455556666"


def user(account: str, name: str, **tags: str) -> Caller:
    arn = f"arn:aws:iam::{account}:user/{name}"
    principal_id = f"AIDA{name.upper() * 3}1"
    return Caller(account, arn, CallerKind.USER, principal_id, user_name=name, tags=tags)


def root(account: str) -> Caller:
    return Caller(account, f"arn:aws:iam::{account}:root", CallerKind.ROOT, account)


CAST = {
    "alice": user(OWNER, "alice", team="red"),
    "starry": user(OWNER, "starry", team="*"),
    "bob": user(OWNER, "bob"),
    "root": root(OWNER),
    "carol": user(OTHER, "carol"),
    "foreign root": root(OTHER),
    "anonymous": ANONYMOUS,
    "s3 service": service_caller("s3.amazonaws.com"),
}
KINDS = {
    "key": (ResourceRule.KEY, Grammar.KEY),
    "bucket": (ResourceRule.BUCKET, Grammar.BUCKET),
    "none": (ResourceRule.NONE, Grammar.KEY),
}
VECTORS = [
    pytest.param(vector, id=f"{path.stem}: {vector['name']}")
    for path in sorted((Path(__file__).parents[2] / "vectors" / "policy").glob("*.json"))
    for vector in json.loads(path.read_text())
]


def document(vector, statements):
    return json.dumps({"Version": vector.get("version", "2012-10-17"), "Statement": statements})


@pytest.mark.parametrize("vector", VECTORS)
def test_the_decision_is_the_one_the_rule_gives(vector):
    rule, grammar = KINDS[vector["kind"]]
    context = {
        key: value if isinstance(value, str) else tuple(value) for key, value in vector.get("context", {}).items()
    }
    identity = [
        NamedPolicy(f"identity {number}", parse_policy(document(vector, [statement]), Grammar.IDENTITY))
        for number, statement in enumerate(vector["identity"])
    ]
    resource = (
        NamedPolicy("resource policy", parse_policy(document(vector, vector["policy"]), grammar))
        if vector.get("policy")
        else None
    )
    request = AccessRequest(CAST[vector["caller"]], vector["action"], vector["resource"], OWNER, context)
    decision = evaluate(request, identity, resource, rule)
    assert decision.effect == vector["expect"], decision.why
    assert decision.allowed == (vector["expect"] == "Allow")
    assert (decision.reason and decision.reason.name) == vector.get("reason")
    if "by" in vector:
        assert f"{decision.statement.policy} {decision.statement.statement}" == vector["by"]
        assert vector["by"] in decision.why
