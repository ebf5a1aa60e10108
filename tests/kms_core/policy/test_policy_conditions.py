"""Each operator with a value that passes and its twin that does not; then presence, sets and negation."""

import pytest

from kms_core.policy.conditions import OPERATORS, compile_test

CONTEXT = {"aws:username": "alice", "aws:principalarn": "arn:aws:iam::111122223333:user/alice"}

ONE_VALUE = [
    ("StringEquals", "a*", "a*", "ab"),
    ("StringEqualsIgnoreCase", "Red", "rED", "blue"),
    ("StringLike", "a?c*", "abcd", "ac"),
    ("StringLike", "${aws:username}/*", "alice/x", "bob/x"),
    ("StringEquals", "${aws:username}", "alice", "${aws:username}"),
    ("StringEqualsIgnoreCase", "${aws:username}", "ALICE", "bob"),
    ("NumericEquals", "10", "10.0", "10.00000000000000000001"),
    ("NumericLessThan", "10", "9.9", "10"),
    ("NumericLessThanEquals", "10", "10", "11"),
    ("NumericGreaterThan", "-1", "0", "-1"),
    ("NumericGreaterThanEquals", "10", "10", "9"),
    ("DateEquals", "2024-02-01T00:00:00Z", "1706745600", "1706745601"),
    ("DateEquals", "2024-02", "2024-02-01T01:00:00+01:00", "2024-02-01T01:00:00Z"),
    ("DateLessThan", "2024-01-01", "2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z"),
    ("DateLessThanEquals", "2024", "2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z"),
    ("DateGreaterThan", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00.5Z", "2024-01-01T00:00:00Z"),
    ("DateGreaterThanEquals", "1706745600", "2024-02-01T00:00:00Z", "2024-01-31T23:59:59Z"),
    ("Bool", "true", "True", "false"),
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", "QmluYXJ6"),
    ("IpAddress", "203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
    ("IpAddress", "203.0.113.7", "203.0.113.7", "203.0.113.8"),
    ("IpAddress", "203.0.113.0/24", "::ffff:203.0.113.9", "::ffff:203.0.114.9"),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", "2001:db9::1"),
    ("ArnEquals", "arn:aws:s3:::docs*", "arn:aws:s3:::docs/a:b", "arn:aws:s3:::logs"),
    ("ArnLike", "arn:aws:iam::*:user/*", "arn:aws:iam::111122223333:user/x", "arn:aws:iam::1:role/x"),
    ("ArnLike", "arn:*:s3:::docs", "arn:aws:s3:::docs", "arn:aws:x:s3:::docs"),
    ("ArnLike", "*", "arn:aws:s3:::docs", "docs"),
    ("ArnLike", "${aws:principalarn}", "arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/bob"),
]

NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}


def holds(operator, values, value, variables=True):
    return compile_test(operator, [values] if isinstance(values, str) else values, variables)(value, CONTEXT.get)


@pytest.mark.parametrize(("operator", "policy", "good", "bad"), ONE_VALUE)
def test_an_operator_passes_what_it_names_and_nothing_else(operator, policy, good, bad):
    assert holds(operator, policy, good)
    assert not holds(operator, policy, bad)
    assert not holds(operator, policy, "")
    assert not holds(operator, policy, None)


@pytest.mark.parametrize(("operator", "policy", "good", "bad"), [row for row in ONE_VALUE if row[0] in NEGATED])
def test_a_negated_operator_is_the_opposite(operator, policy, good, bad):
    assert not holds(NEGATED[operator], policy, good)
    assert holds(NEGATED[operator], policy, bad)
    assert holds(NEGATED[operator], policy, None)


def test_every_operator_is_shown_above():
    shown = {row[0] for row in ONE_VALUE}
    assert shown | {NEGATED[operator] for operator in shown & NEGATED.keys()} == OPERATORS.keys()


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("StringMatches", "a"),
        ("StringEqualsIfExistsIfExists", "a"),
        ("ForSomeValues:StringEquals", "a"),
        (":StringEquals", "a"),
        ("ForAllValues:", "a"),
        ("ForAllValues:ForAnyValue:StringEquals", "a"),
        ("NullIfExists", "true"),
        ("ForAllValues:Null", "true"),
        ("Null", "yes"),
        ("Bool", "yes"),
        ("NumericEquals", "ten"),
        ("NumericEquals", "1e3"),
        ("NumericEquals", "\u0661"),
        ("NumericEquals", "${aws:username}"),
        ("DateEquals", "yesterday"),
        ("DateEquals", "2024-13-01"),
        ("IpAddress", "203.0.113.0/33"),
        ("IpAddress", "localhost"),
        ("BinaryEquals", "***"),
        ("ArnLike", "arn:aws:s3"),
        ("StringEquals", "${aws:username"),
        ("StringEquals", "${aws:nonsense}"),
        ("StringEquals", "${aws:TagKeys}"),
        ("StringEquals", "${aws:username, none}"),
    ],
)
def test_an_unknown_operator_or_value_is_refused(operator, value):
    with pytest.raises(ValueError, match=r"."):
        compile_test(operator, [value], True)


def test_operator_names_are_taken_in_any_case():
    assert holds("forANYvalue:stringLIKEifexists", "a*", "ab")


def test_null_asks_for_presence_only():
    assert holds("Null", "true", None)
    assert holds("Null", "true", ())
    assert not holds("Null", "true", "")
    assert holds("Null", "false", "")
    assert not holds("Null", "false", None)


def test_if_exists_forgives_an_absent_key_and_no_wrong_one():
    for operator in ("StringEqualsIfExists", "NumericEqualsIfExists", "ForAllValues:StringEqualsIfExists"):
        assert holds(operator, "1", None)
        assert holds(operator, "1", "1")
        assert not holds(operator, "1", "2")


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        # for the request values: absent, none, (a,), (a, z), (z,)
        ("ForAllValues:StringEquals", (True, True, True, False, False)),
        ("ForAllValues:StringNotEquals", (True, True, False, False, True)),
        ("ForAnyValue:StringEquals", (False, False, True, True, False)),
        ("ForAnyValue:StringNotEquals", (False, False, False, True, True)),
        ("ForAnyValue:StringEqualsIfExists", (True, False, True, True, False)),
        ("StringEquals", (False, False, True, True, False)),
        ("StringNotEquals", (True, True, False, False, True)),
    ],
)
def test_a_set_qualifier_counts_the_request_values(operator, expected):
    requests = (None, (), ("a",), ("a", "z"), ("z",))
    assert tuple(holds(operator, ["a", "b"], values) for values in requests) == expected


def test_an_empty_string_is_an_empty_set():
    assert holds("ForAllValues:StringEquals", "a", "")
    assert not holds("ForAnyValue:StringEquals", "", "")


def test_an_absent_variable_satisfies_an_operator_and_its_negation_alike():
    for operator in ("StringEquals", "StringNotEquals", "ArnLike", "ArnNotLike", "StringLike", "StringNotLike"):
        assert not holds(operator, "${aws:PrincipalTag/team}", "red")


def test_an_absent_variable_leaves_the_other_values_their_say():
    assert holds("StringEquals", ["${aws:PrincipalTag/team}", "red"], "red")
    assert not holds("StringNotEquals", ["${aws:PrincipalTag/team}", "red"], "red")


def test_without_variables_their_text_is_literal():
    assert holds("StringEquals", "${aws:username}", "${aws:username}", variables=False)
    assert not holds("StringEquals", "${aws:username}", "alice", variables=False)


def test_a_value_of_a_variable_brings_no_wildcard():
    def starred(key):
        return {"aws:username": "*"}[key]

    for operator, prefix in (("StringLike", ""), ("ArnLike", "arn:aws:s3:::")):
        test = compile_test(operator, [prefix + "${aws:username}"], True)
        assert test(prefix + "*", starred)
        assert not test(prefix + "anything", starred)


@pytest.mark.parametrize(("operator", "value"), [("NumericEquals", "1"), ("DateEquals", "2024"), ("IpAddress", "::1")])
def test_a_request_value_of_another_type_matches_nothing(operator, value):
    assert not holds(operator, value, "nonsense")
    assert holds(NEGATED[operator], value, "nonsense")
