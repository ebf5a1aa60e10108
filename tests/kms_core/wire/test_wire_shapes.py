"""The services as they are loaded, and models that are not for us."""

import pytest
from botocore.loaders import Loader

from kms_core.errors import InternalError
from kms_core.wire.shapes import load_service


def test_kms_is_what_its_model_says() -> None:
    kms = load_service("kms")
    assert (kms.name, kms.protocol, kms.api_version) == ("kms", "json", "2014-11-01")
    assert (kms.target_prefix, kms.json_version, kms.xml_namespace) == ("TrentService", "1.1", None)
    assert len(kms.operations) >= 54
    assert kms.operations["Encrypt"].name == "Encrypt"


@pytest.mark.parametrize("name", ["sts", "iam"])
def test_a_query_service_has_a_namespace_and_no_target(name: str) -> None:
    service = load_service(name)
    assert (service.protocol, service.target_prefix, service.json_version) == ("query", None, None)
    assert service.xml_namespace == f"https://{name}.amazonaws.com/doc/{service.api_version}/"


def test_a_service_is_compiled_once() -> None:
    assert load_service("kms") is load_service("kms")


@pytest.mark.parametrize(
    ("name", "reason"), [("s3", "unknown traits"), ("dynamodb", "contains itself"), ("sdb", "unknown traits")]
)
def test_a_model_beyond_what_is_known_here_stops_the_start(name: str, reason: str) -> None:
    with pytest.raises(InternalError, match=reason):
        load_service(name)


@pytest.mark.parametrize("name", ["kms", "cloudtrail", "sts", "iam"])
def test_every_pattern_of_unicode_categories_allows_the_underscore_that_comes_with_them(name: str) -> None:
    shapes = Loader().load_service_model(name, "service-2")["shapes"].values()
    patterns = [shape["pattern"] for shape in shapes if r"\p{" in shape.get("pattern", "")]
    assert all(r"\p{L}\p{Z}\p{N}_" in pattern for pattern in patterns)
