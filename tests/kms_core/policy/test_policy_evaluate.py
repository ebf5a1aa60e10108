"""What the corpus of vectors can't show: laziness, labels, many policies, hostile ones."""

import json

from kms_core.caller import Caller, CallerKind
from kms_core.policy.document import Grammar, parse_policy
from kms_core.policy.evaluate import AccessRequest, Effect, NamedPolicy, Reason, ResourceRule, evaluate

ACCOUNT = "111122223333"
ALICE = Caller(
    ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", CallerKind.USER, "AIDAALICEALICEALICE1", user_name="alice"
)


def named(name, *statements, grammar=Grammar.IDENTITY):
    return NamedPolicy(name, parse_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), grammar))


def statement(effect="Allow", **elements):
    return {"Effect": effect, "Action": "s3:GetObject", "Resource": "*", **elements}


def ask(identity, resource="arn:aws:s3:::docs/a", context=None):
    request = AccessRequest(ALICE, "s3:GetObject", resource, ACCOUNT, context or {})
    return evaluate(request, identity, None, ResourceRule.NONE)


def test_the_first_allow_is_the_one_that_is_named():
    decision = ask(
        [named("a", statement(Action="s3:PutObject")), named("b", statement(Sid="Yes")), named("c", statement())]
    )
    assert (decision.statement.policy, decision.statement.statement) == ("b", "Yes")


def test_a_deny_in_the_last_of_many_policies_wins():
    policies = [named(f"p{number}", *[statement()] * 10) for number in range(9)]
    assert ask(policies).effect is Effect.ALLOW
    decision = ask([*policies, named("last", *[statement()] * 9, statement("Deny", Sid="No"))])
    assert decision.reason is Reason.EXPLICIT_DENY_IDENTITY
    assert (decision.statement.policy, decision.statement.statement) == ("last", "No")


def test_a_deny_whose_condition_fails_is_no_deny():
    deny = statement("Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    policies = [named("p", statement(), deny)]
    assert ask(policies, context={"aws:securetransport": "true"}).allowed
    assert ask(policies).allowed
    assert not ask(policies, context={"aws:securetransport": "false"}).allowed


class Untouchable(dict):
    def get(self, key, default=None):
        raise AssertionError(f"nobody asked for {key}")


def test_the_context_is_read_only_when_a_condition_asks():
    assert ask([named("p", statement(Resource="arn:aws:s3:::docs/*"))], context=Untouchable()).allowed


def test_a_policy_bomb_of_wildcards_is_only_no():
    bomb = "arn:aws:s3:::" + "*a?" * 300 + "b"
    policies = [named("bomb", *[statement(Resource=[bomb] * 20, Sid=f"S{number}") for number in range(10)])]
    assert ask(policies, "arn:aws:s3:::" + "a" * 1000).reason is Reason.NO_IDENTITY_ALLOW
