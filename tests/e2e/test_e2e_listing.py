"""Listings through boto3, versions 1 and 2: order, pages, prefixes, and keys that XML can hardly hold."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest
from botocore.exceptions import ClientError
from botocore.handlers import set_list_objects_encoding_type_url
from testkit.proxy import ALICE, CAROL, Proxy

KEYS = sorted(
    ["a", "a-b", "a/", "a/1", "a/2", "a/b/1", "a//", "b", "b/1", "c+d", "c d", "ä", "é/1", "\U0001f511", "\uffee", "Z"],
    key=str.encode,
)
ODD = ["\x01\x02", "\t", "\n", "\r", "a\x1fb", "&lt;", "<&>\"'", "\x7f", "\ufffe", " ", "+", "%", "%25", "ü/é"]


@pytest.fixture(scope="module")
def s3(proxy: Proxy) -> Any:
    return proxy.client("s3", ALICE)


@pytest.fixture(scope="module")
def filled(s3: Any) -> str:
    """A bucket with KEYS, which nobody changes."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=name)
    for key in reversed(KEYS):
        s3.put_object(Bucket=name, Key=key, Body=b"x" * len(key))
    return name


def refused(call: Callable[[], Any]) -> tuple[int, str]:
    """Status and code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


def keys(page: dict[str, Any]) -> list[str]:
    return [row["Key"] for row in page.get("Contents", [])]


def prefixes(page: dict[str, Any]) -> list[str]:
    return [row["Prefix"] for row in page.get("CommonPrefixes", [])]


def rolled(prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """What a listing must show, by the rule in its shortest form."""
    plain, groups = [], []
    for key in KEYS:
        if key.startswith(prefix):
            head, found, _ = key[len(prefix) :].partition(delimiter)
            if not found:
                plain.append(key)
            elif prefix + head + delimiter not in groups:
                groups.append(prefix + head + delimiter)
    return plain, groups


def test_keys_come_in_the_order_of_their_utf8_bytes_with_true_sizes(s3: Any, filled: str) -> None:
    for page in (s3.list_objects(Bucket=filled), s3.list_objects_v2(Bucket=filled)):
        assert keys(page) == KEYS
        assert [row["Size"] for row in page["Contents"]] == [len(key) for key in KEYS]
        assert (page["Name"], page["IsTruncated"], page["MaxKeys"]) == (filled, False, 1000)
        for row in page["Contents"]:
            assert row["StorageClass"] == "STANDARD"
            assert row["ETag"].strip('"')
            assert abs(datetime.now(UTC) - row["LastModified"]) < timedelta(hours=1)


@pytest.mark.parametrize(
    ("prefix", "delimiter"),
    [
        ("", "/"),
        ("a", "/"),
        ("a/", "/"),
        ("a//", "/"),
        ("é", "/"),
        ("nothing", "/"),
        ("", "-"),
        ("", "/b/"),
        ("a", "a"),
    ],
)
def test_a_delimiter_rolls_keys_up(s3: Any, filled: str, prefix: str, delimiter: str) -> None:
    expected = rolled(prefix, delimiter)
    for listing in (s3.list_objects, s3.list_objects_v2):
        page = listing(Bucket=filled, Prefix=prefix, Delimiter=delimiter)
        assert (keys(page), prefixes(page)) == expected
        # botocore decodes the prefix of version 2 alone
        shown = page["Prefix"] if listing == s3.list_objects_v2 else unquote(page["Prefix"])
        assert (shown, page["Delimiter"]) == (prefix, delimiter)


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])
@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_put_together_are_the_listing(s3: Any, filled: str, operation: str, delimiter: str, size: int) -> None:
    asked = {"Bucket": filled, "PaginationConfig": {"PageSize": size}, **({"Delimiter": "/"} if delimiter else {})}
    pages = list(s3.get_paginator(operation).paginate(**asked))
    expected = rolled("", "/") if delimiter else (KEYS, [])
    assert (
        [key for page in pages for key in keys(page)],
        [key for page in pages for key in prefixes(page)],
    ) == expected
    assert all(len(keys(page)) + len(prefixes(page)) == size for page in pages[:-1])
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_start_after_and_marker_exclude_themselves(s3: Any, filled: str) -> None:
    for after in ("", "a", "a/1", "a/1\x00", "nothing", "\U0001f511"):
        expected = [key for key in KEYS if key.encode() > after.encode()]
        assert keys(s3.list_objects_v2(Bucket=filled, StartAfter=after)) == expected
        assert keys(s3.list_objects(Bucket=filled, Marker=after)) == expected


def test_a_token_goes_before_start_after(s3: Any, filled: str) -> None:
    first = s3.list_objects_v2(Bucket=filled, MaxKeys=3)
    token = first["NextContinuationToken"]
    second = s3.list_objects_v2(Bucket=filled, MaxKeys=3, ContinuationToken=token, StartAfter="b")
    assert (keys(first), keys(second), second["ContinuationToken"]) == (KEYS[:3], KEYS[3:6], token)
    for bad in ("", "nonsense", token[:-2]):
        answer = refused(lambda bad=bad: s3.list_objects_v2(Bucket=filled, ContinuationToken=bad))
        assert answer == (400, "InvalidArgument"), bad


def test_max_keys_0_shows_nothing_and_over_1000_is_1000(s3: Any, filled: str) -> None:
    for listing in (s3.list_objects, s3.list_objects_v2):
        none = listing(Bucket=filled, MaxKeys=0)
        assert (keys(none), none["MaxKeys"], none["IsTruncated"]) == ([], 0, False)
        assert listing(Bucket=filled, MaxKeys=5000)["MaxKeys"] == 1000
        assert refused(lambda listing=listing: listing(Bucket=filled, MaxKeys=-1)) == (400, "InvalidArgument")


def test_key_count_counts_keys_and_prefixes(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, Delimiter="/")
    assert page["KeyCount"] == len(keys(page)) + len(prefixes(page))
    assert s3.list_objects_v2(Bucket=filled, MaxKeys=0)["KeyCount"] == 0


def test_the_owner_is_told_by_version_1_and_on_request(s3: Any, filled: str) -> None:
    owner = s3.list_objects(Bucket=filled)["Contents"][0]["Owner"]
    assert len(owner["ID"]) == 64
    assert s3.list_objects_v2(Bucket=filled, FetchOwner=True)["Contents"][0]["Owner"] == owner
    assert "Owner" not in s3.list_objects_v2(Bucket=filled)["Contents"][0]
    assert "Owner" not in s3.list_objects_v2(Bucket=filled, FetchOwner=False)["Contents"][0]


def test_odd_keys_survive_because_boto3_asks_for_url_encoding(s3: Any, bucket: str) -> None:
    for key in ODD:
        s3.put_object(Bucket=bucket, Key=key, Body=b"odd")
    expected = sorted(ODD, key=str.encode)
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        assert [key for page in pages for key in keys(page)] == expected
    raw = s3.list_objects_v2(Bucket=bucket, EncodingType="url")
    assert raw["EncodingType"] == "url"
    assert [unquote_plus(row["Key"]) for row in raw["Contents"]] == expected
    assert raw["Contents"][0]["Key"] == "%01%02"
    slash = s3.list_objects_v2(Bucket=bucket, EncodingType="url", Prefix="ü", Delimiter="/")
    assert (slash["Prefix"], prefixes(slash)) == ("%C3%BC", ["%C3%BC/"])


def test_without_url_encoding_the_key_stands_as_it_is(proxy: Proxy, bucket: str) -> None:
    s3 = proxy.client("s3", ALICE)
    for operation in ("ListObjects", "ListObjectsV2"):
        s3.meta.events.unregister(f"before-parameter-build.s3.{operation}", set_list_objects_encoding_type_url)
    s3.put_object(Bucket=bucket, Key="a b+%ü<&>")
    for listing in (s3.list_objects, s3.list_objects_v2):
        page = listing(Bucket=bucket, Prefix="a b+%ü")
        assert (keys(page), page["Prefix"], "EncodingType" in page) == (["a b+%ü<&>"], "a b+%ü", False)


def test_another_encoding_is_refused(s3: Any, filled: str) -> None:
    for listing in (s3.list_objects, s3.list_objects_v2):
        assert refused(lambda listing=listing: listing(Bucket=filled, EncodingType="gzip")) == (400, "InvalidArgument")


def test_a_listing_needs_the_right_to_list(proxy: Proxy, filled: str) -> None:
    carol = proxy.client("s3", CAROL)
    for listing in (carol.list_objects, carol.list_objects_v2):
        assert refused(lambda listing=listing: listing(Bucket=filled)) == (403, "AccessDenied")
    # who may not list does not learn whether a key is there either
    for key in (KEYS[0], "absent"):
        assert refused(lambda key=key: carol.get_object(Bucket=filled, Key=key)) == (403, "AccessDenied")
