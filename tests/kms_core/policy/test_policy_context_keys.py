"""The table of condition keys: what is carried, what is only known, and families with a free last part."""

import pytest

from kms_core.policy import context_keys


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("AWS:sourceIP", "aws:SourceIp"),
        ("aws:PrincipalTag/cost center", "aws:PrincipalTag/"),
        ("aws:PrincipalTag/a:b/c", "aws:PrincipalTag/"),
        ("kms:EncryptionContext:aws:s3:arn", "kms:EncryptionContext:"),
        ("kms:EncryptionContextKeys", "kms:EncryptionContextKeys"),
    ],
)
def test_a_carried_key_is_found_in_any_case(name, row):
    assert context_keys.require(name).name == row


@pytest.mark.parametrize(
    "name", ["aws:Nonsense", "SourceIp", "", "aws:PrincipalTag", "aws:PrincipalTag/", "s3:prefix/x"]
)
def test_an_unknown_key_is_refused(name):
    assert context_keys.find(name) is None
    with pytest.raises(ValueError, match="unknown condition key"):
        context_keys.require(name)


@pytest.mark.parametrize("name", ["kms:GrantOperations", "s3:ExistingObjectTag/x", "aws:SourceArn", "s3:VersionId"])
def test_a_known_key_that_no_request_carries_is_refused(name):
    assert context_keys.find(name) is not None
    with pytest.raises(ValueError, match="no request here carries it"):
        context_keys.require(name)


def test_a_name_is_listed_once():
    names = [name for *_, row in context_keys._ROWS for name in row.lower().split()]
    assert len(names) == len(set(names)) == len(context_keys.KEYS)
