"""The grammar: a document is compiled whole, or refused with AWS's sentence and a reason for the administrator."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms_core.policy.document import MAX_STATEMENTS, Grammar, MalformedPolicy, StatementEffect, parse_policy

ALICE = "arn:aws:iam::111122223333:user/alice"
BASE = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::docs/*"}
PUBLIC = {**BASE, "Principal": "*"}


def text(*statements, **elements):
    return json.dumps({"Version": "2012-10-17", **elements, "Statement": list(statements)})


def refused(document, grammar, bucket=None):
    with pytest.raises(MalformedPolicy) as caught:
        parse_policy(document, grammar, bucket)
    assert caught.value.reason
    return str(caught.value)


def without(statement, name):
    return {key: value for key, value in statement.items() if key != name}


def test_a_document_becomes_statements():
    policy = parse_policy(text({**BASE, "Sid": "One"}, {**BASE, "Effect": "Deny"}, Id="x"), Grammar.IDENTITY)
    assert (policy.version, policy.id) == ("2012-10-17", "x")
    assert [statement.label for statement in policy.statements] == ["One", "#1"]
    assert [statement.effect for statement in policy.statements] == [StatementEffect.ALLOW, StatementEffect.DENY]


def test_the_version_is_the_old_one_by_default():
    assert parse_policy(json.dumps({"Statement": BASE}), Grammar.IDENTITY).version == "2008-10-17"


def test_candidates_are_the_statements_about_the_action_deny_first():
    policy = parse_policy(
        text(BASE, {**BASE, "Action": "s3:Put*"}, {**BASE, "Effect": "Deny", "Action": ["x:Y", "S3:*"]}),
        Grammar.IDENTITY,
    )
    for _ in range(2):
        assert [statement.index for statement in policy.candidates("s3:GetObject")] == [2, 0]
    assert [statement.index for statement in policy.candidates("kms:Decrypt")] == []


def test_the_cache_of_candidates_stays_bounded():
    policy = parse_policy(text({**BASE, "Action": "*"}), Grammar.IDENTITY)
    for number in range(2000):
        assert len(policy.candidates(f"s3:Action{number}")) == 1
    assert len(policy._by_action) <= 512


def test_a_policy_names_its_aws_principals():
    principal = {"AWS": [ALICE, "arn:aws:iam::444455556666:root", "*"], "Service": "s3.amazonaws.com"}
    policy = parse_policy(text({**BASE, "Principal": principal}), Grammar.BUCKET)
    assert policy.aws_principals == {ALICE, "444455556666"}
    assert parse_policy(text(BASE), Grammar.IDENTITY).aws_principals == frozenset()


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "Policies must be valid JSON and the first byte must be '{'"),
        (" " + text(PUBLIC), "Policies must be valid JSON and the first byte must be '{'"),
        ("{", "Policies must be valid JSON and the first byte must be '{'"),
        ('{"a":' * 20_000, "Policies must be valid JSON and the first byte must be '{'"),
        ('{"Id":"a","Id":"a"}', "Policies must be valid JSON and the first byte must be '{'"),
        ('{"Id":NaN}', "Policies must be valid JSON and the first byte must be '{'"),
        ('{"Id":' + "9" * 9999 + "}", "Policies must be valid JSON and the first byte must be '{'"),
        (text(PUBLIC, Version="2012-10-18"), "The policy must contain a valid version string"),
        (text(PUBLIC, Version=[]), "The policy must contain a valid version string"),
        (text(PUBLIC, Other=1), "Invalid policy syntax."),
        (text(PUBLIC, Id=1), "Invalid policy syntax."),
        ("{}", "Missing required field Statement"),
        (text(), "Missing required field Statement"),
        (text("x"), "Invalid policy syntax."),
        (text(*[PUBLIC] * (MAX_STATEMENTS + 1)), "Invalid policy syntax."),
        (
            text({**PUBLIC, "Sid": "a"}, {**PUBLIC, "Sid": "a"}),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (text({**PUBLIC, "Sid": "a\n"}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condtion": {}}), "Invalid policy syntax."),
        (text(without(PUBLIC, "Effect")), "Missing required field Effect"),
        (text({**PUBLIC, "Effect": "allow"}), "Invalid policy syntax."),
        (text({**PUBLIC, "Effect": []}), "Invalid policy syntax."),
        (text(without(PUBLIC, "Action")), "Missing required field Action"),
        (text({**PUBLIC, "Action": []}), "Missing required field Action"),
        (text({**PUBLIC, "NotAction": "s3:PutObject"}), "Invalid policy syntax."),
        (text({**PUBLIC, "Action": "GetObject"}), "Policy has invalid action"),
        (text({**PUBLIC, "Action": [1]}), "Invalid policy syntax."),
        (text(without(PUBLIC, "Resource")), "Missing required field Resource"),
        (text({**PUBLIC, "Resource": "docs/*"}), "Policy has invalid resource"),
        (text({**PUBLIC, "Resource": "arn:aws:s3:::docs/${aws:username"}), "Policy has invalid resource"),
        (text({**PUBLIC, "Resource": "arn:aws:s3:::docs/${aws:nonsense}"}), "Policy has invalid resource"),
        (text(BASE), "Missing required field Principal"),
        (text({**BASE, "Principal": "alice"}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"AWS": []}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"AWS": [1]}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"AWS": "arn:aws:iam::111122223333:user/*"}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"AWS": "arn:aws:iam::111122223333:group/g"}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"AWS": "11112222333"}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"Service": "*"}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"CanonicalUser": "alice"}}), "Invalid principal in policy"),
        (text({**BASE, "Principal": {"Nobody": "*"}}), "Invalid principal in policy"),
        (text({**BASE, "NotPrincipal": "*"}), "Allow with NotPrincipal is not allowed."),
        (text({**PUBLIC, "NotPrincipal": "*"}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": []}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": {"StringEquals": "x"}}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": {"StringIs": {"aws:username": "x"}}}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": {"StringEquals": {"aws:username": {}}}}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": {"Bool": {"aws:SecureTransport": None}}}), "Invalid policy syntax."),
        (text({**PUBLIC, "Condition": {"StringEquals": {"aws:Nonsense": "x"}}}), "Policy has an invalid condition key"),
        (
            text({**PUBLIC, "Condition": {"StringEquals": {"aws:SourceVpce": "x"}}}),
            "Policy has an invalid condition key",
        ),
        (text({**PUBLIC, "Condition": {"StringEquals": {"kms:KeySpec": "x"}}}), "Policy has an invalid condition key"),
    ],
)
def test_a_malformed_bucket_policy_is_refused_in_s3s_words(document, message):
    assert refused(document, Grammar.BUCKET) == message


@pytest.mark.parametrize(
    ("principal", "field"),
    [
        ({"AWS": ALICE}, "names"),
        ({"AWS": "AIDAEXAMPLEEXAMPLE12"}, "names"),
        ({"AWS": "arn:aws:sts::111122223333:assumed-role/r/s"}, "names"),
        ({"AWS": "111122223333"}, "accounts"),
        ({"AWS": "arn:aws:iam::111122223333:root"}, "accounts"),
        ({"Service": ["s3.amazonaws.com"]}, "services"),
        ({"AWS": "*"}, "everyone"),
        ("*", "everyone"),
    ],
)
def test_a_principal_is_compiled_to_what_it_names(principal, field):
    (statement,) = parse_policy(text({**BASE, "Principal": principal}), Grammar.KEY).statements
    set_fields = [name for name in ("everyone", "names", "accounts", "services") if getattr(statement.principals, name)]
    assert set_fields == [field]


def test_federated_and_canonical_principals_are_parsed_and_name_nobody_yet():
    principal = {"Federated": "accounts.google.com", "CanonicalUser": "ab" * 32}
    (statement,) = parse_policy(text({**BASE, "Principal": principal}), Grammar.BUCKET).statements
    assert not statement.principals.everyone
    assert not statement.principals.names | statement.principals.accounts | statement.principals.services


def test_an_identity_policy_names_no_principal():
    assert refused(text(PUBLIC), Grammar.IDENTITY) == "Policy document should not specify a principal."
    assert parse_policy(text(BASE), Grammar.IDENTITY).statements[0].principals is None


def test_a_sid_with_a_space_is_for_resource_policies_only():
    assert parse_policy(text({**PUBLIC, "Sid": "Allow use"}), Grammar.KEY).statements[0].sid == "Allow use"
    assert refused(text({**BASE, "Sid": "Allow use"}), Grammar.IDENTITY).startswith("Statement IDs (SID)")


def test_a_key_policy_must_say_resource():
    assert refused(text(without(PUBLIC, "Resource")), Grammar.KEY) == "Policy statement must contain resources."


def test_numbers_and_booleans_may_stand_for_strings_in_conditions():
    condition = {"Bool": {"aws:SecureTransport": True}, "NumericLessThan": {"s3:max-keys": [10, 2.5]}}
    (statement,) = parse_policy(text({**BASE, "Condition": condition}), Grammar.IDENTITY).statements
    assert [entry.values for entry in statement.conditions] == [("true",), ("10", "2.5")]


def test_a_key_nobody_carries_is_refused_with_a_sentence_of_its_own():
    document = text({**BASE, "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}})
    with pytest.raises(MalformedPolicy) as caught:
        parse_policy(document, Grammar.IDENTITY)
    assert caught.value.reason == "condition key aws:SourceVpce is known, but no request here carries it"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ({"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::docs2/*"}, "Policy has invalid resource"),
        ({"Resource": "*"}, "Policy has invalid resource"),
        ({"Resource": ["arn:aws:s3:::docs/*", "arn:aws:s3:::docs*"]}, "Policy has invalid resource"),
        ({"Action": "kms:Decrypt"}, "Policy has invalid action"),
        ({"Action": "s3:ListBucket"}, "Action does not apply to any resource(s) in statement"),
        ({"Action": "s3:GetBucket*"}, "Action does not apply to any resource(s) in statement"),
        ({"Resource": "arn:aws:s3:::docs"}, "Action does not apply to any resource(s) in statement"),
    ],
)
def test_a_bucket_policy_keeps_to_its_bucket(statement, message):
    assert refused(text({**PUBLIC, **statement}), Grammar.BUCKET, "docs") == message


@pytest.mark.parametrize(
    "statement",
    [
        {},
        {"Action": "s3:*"},
        {"Action": "*"},
        {"Action": "s3:NewlyInvented"},
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::docs"},
        {"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["arn:aws:s3:::docs", "arn:aws:s3:::docs/*"]},
    ],
)
def test_a_bucket_policy_about_its_bucket_is_taken(statement):
    assert parse_policy(text({**PUBLIC, **statement}), Grammar.BUCKET, "docs").statements


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["*", "Allow", "s3:*", "${", "2012-10-17"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Principal", "AWS", "Action", "Resource", "Condition", "Bool"]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(Grammar))
def test_any_json_is_compiled_or_refused_and_nothing_else(document, grammar):
    with suppress(MalformedPolicy):
        assert parse_policy(json.dumps(document), grammar).statements


@given(JSON, st.sampled_from(["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]))
def test_any_element_is_compiled_or_refused_and_nothing_else(value, name):
    with suppress(MalformedPolicy):
        assert parse_policy(text({**PUBLIC, name: value}), Grammar.KEY).statements
