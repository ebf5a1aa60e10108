"""What SigV4 refuses, and that each refusal says why. The requests are signed by botocore's S3 signers."""

import hmac
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from kms_core.crypto.secret import Secret
from kms_core.identity.errors import (
    AuthError,
    ExpiredRequest,
    IncompleteSignature,
    MalformedAuthorization,
    SignatureMismatch,
    SkewedTime,
    TooManyAuthentications,
    UnsignedHeader,
    UnsupportedAlgorithm,
)
from kms_core.identity.http import HttpHead
from kms_core.identity.sigv4 import SigningChain, read_signature, verify

KEY_ID, SECRET_TEXT = "AKIDEXAMPLE000000000", "wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLE"
SECRET = Secret(SECRET_TEXT.encode())
URL = "http://127.0.0.1:9000/bucket/key?prefix=a"


def head_of(method: str, url: str, headers: Mapping[str, str]) -> HttpHead:
    parts = urlsplit(url)
    fields = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    wire = tuple((name.encode(), value.encode()) for name, value in fields.items())
    return HttpHead(method, parts.path.encode(), parts.query.encode(), wire, "192.0.2.1", False, 0.0)


def header_signed(**headers: str) -> HttpHead:
    request = AWSRequest(method="PUT", url=URL, headers={k.replace("_", "-"): v for k, v in headers.items()})
    S3SigV4Auth(Credentials(KEY_ID, SECRET_TEXT), "s3", "us-east-1").add_auth(request)
    return head_of("PUT", URL, request.headers)


def presigned(expires: int = 60) -> HttpHead:
    request = AWSRequest(method="GET", url=URL)
    S3SigV4QueryAuth(Credentials(KEY_ID, SECRET_TEXT), "s3", "us-east-1", expires=expires).add_auth(request)
    return head_of("GET", request.url, {})


def check(head: HttpHead, secret: Secret = SECRET, *, late: float = 0.0) -> SigningChain:
    signed = read_signature(head)
    assert signed is not None
    payload_hash = signed.payload_hash or "UNSIGNED-PAYLOAD"
    now = signed.timestamp + late
    return verify(signed, head, secret, now=now, payload_hash=payload_hash, normalise_path=False)


def with_header(head: HttpHead, name: str, value: str) -> HttpHead:
    return replace(head, headers=(*head.headers, (name.encode(), value.encode())))


def without_header(head: HttpHead, name: str) -> HttpHead:
    return replace(head, headers=tuple(pair for pair in head.headers if pair[0] != name.encode()))


def with_authorization(head: HttpHead, old: str, new: str) -> HttpHead:
    text = head.text(b"authorization") or ""
    assert old in text
    return with_header(without_header(head, "authorization"), "authorization", text.replace(old, new))


def test_a_request_without_a_signature_is_anonymous() -> None:
    assert read_signature(head_of("GET", URL, {})) is None
    assert read_signature(head_of("GET", URL, {"authorization": ""})) is None


def test_the_chain_is_what_chunk_signatures_hang_on() -> None:
    head = header_signed()
    signed = read_signature(head)
    assert signed is not None
    chain = check(head)
    key = ("AWS4" + SECRET_TEXT).encode()
    for part in (signed.date, "us-east-1", "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    assert (chain.seed, chain.amz_date, chain.scope) == (signed.signature, signed.amz_date, signed.scope)
    assert chain.key.reveal() == key
    assert chain.sign("text") == hmac.digest(key, b"text", sha256).hex()


def test_another_secret_is_refused_even_after_the_right_one_was_remembered() -> None:
    head = header_signed()
    check(head)
    with pytest.raises(SignatureMismatch):
        check(head, Secret(b"another"))
    check(head, Secret(SECRET_TEXT.encode()))


def test_a_mismatch_shows_the_request_and_no_secret() -> None:
    with pytest.raises(SignatureMismatch) as caught:
        check(replace(header_signed(), method="GET"))
    error = caught.value
    assert error.canonical_request.startswith("GET\n/bucket/key\nprefix=a\n")
    assert sha256(error.canonical_request.encode()).hexdigest() in error.string_to_sign
    assert SECRET_TEXT not in repr(error.__dict__) + str(error)


@pytest.mark.parametrize("name", ["x-amz-meta-a", "content-type", "if-match"])
def test_a_signed_header_removed_edited_or_doubled_is_refused(name: str) -> None:
    head = header_signed(**{name: "one"})
    check(head)
    for tampered in (
        without_header(head, name),
        with_header(without_header(head, name), name, "two"),
        with_header(head, name, "one"),
        with_header(head, name, ""),
    ):
        with pytest.raises(SignatureMismatch):
            check(tampered)


def test_a_header_signed_as_empty_can_not_be_removed() -> None:
    head = header_signed(x_amz_meta_a="")
    check(head)
    with pytest.raises(SignatureMismatch):
        check(without_header(head, "x-amz-meta-a"))


@pytest.mark.parametrize("head", [header_signed(), presigned()])
def test_an_amz_header_that_is_not_signed_is_refused(head: HttpHead) -> None:
    with pytest.raises(UnsignedHeader) as caught:
        check(with_header(head, "x-amz-acl", "public-read"))
    assert caught.value.names == ("x-amz-acl",)


def test_a_header_that_need_not_be_signed_may_be_added() -> None:
    check(with_header(header_signed(), "range", "bytes=0-1"))


def test_the_host_must_be_signed() -> None:
    with pytest.raises(UnsignedHeader) as caught:
        check(with_authorization(header_signed(), "=host;", "="))
    assert caught.value.names == ("host",)


@pytest.mark.parametrize("late", [-900.0, 0.0, 900.0])
def test_a_header_signature_is_good_for_fifteen_minutes_to_both_sides(late: float) -> None:
    check(header_signed(), late=late)


@pytest.mark.parametrize("late", [-901.0, 901.0, 86_400.0])
def test_a_replayed_or_early_request_is_too_skewed(late: float) -> None:
    with pytest.raises(SkewedTime) as caught:
        check(header_signed(), late=late)
    assert caught.value.server_time - caught.value.request_time == late


@pytest.mark.parametrize("late", [-900.0, 0.0, 60.0])
def test_a_presigned_request_is_good_until_it_expires(late: float) -> None:
    check(presigned(60), late=late)


def test_a_presigned_request_past_its_expiry_or_too_early_is_refused() -> None:
    with pytest.raises(ExpiredRequest) as caught:
        check(presigned(60), late=61.0)
    assert (caught.value.expires, caught.value.server_time - caught.value.at) == (60, 1.0)
    with pytest.raises(SkewedTime):
        check(presigned(60), late=-901.0)


@pytest.mark.parametrize("expires", ["0", "-1", "604801", "1.5", "soon", "%C2%B2", "9" * 30])
def test_an_expiry_out_of_bounds_is_malformed(expires: str) -> None:
    head = presigned(60)
    with pytest.raises(MalformedAuthorization):
        read_signature(replace(head, raw_query=head.raw_query.replace(b"Expires=60", b"Expires=" + expires.encode())))


def test_the_longest_expiry_is_a_week() -> None:
    check(presigned(604_800), late=604_800.0)


@pytest.mark.parametrize(
    "name", ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"]
)
def test_a_presigned_request_without_one_of_its_parameters_is_incomplete(name: str) -> None:
    head = presigned()
    query = b"&".join(pair for pair in head.raw_query.split(b"&") if not pair.startswith(name.encode()))
    with pytest.raises(IncompleteSignature) as caught:
        read_signature(replace(head, raw_query=query))
    assert caught.value.missing == (name,)
    assert caught.value.presigned


@pytest.mark.parametrize("name", ["X-Amz-Signature", "X-Amz-Expires", "X%2DAmz-Credential"])
def test_a_presigned_request_with_a_doubled_parameter_is_malformed(name: str) -> None:
    head = presigned()
    with pytest.raises(MalformedAuthorization):
        read_signature(replace(head, raw_query=head.raw_query + f"&{name}=1".encode()))


@pytest.mark.parametrize("field", ["Credential", "SignedHeaders", "Signature"])
def test_an_authorization_header_without_one_of_its_fields_is_incomplete(field: str) -> None:
    with pytest.raises(IncompleteSignature) as caught:
        read_signature(with_authorization(header_signed(), f"{field}=", f"Other{field}="))
    assert field in caught.value.missing


def test_a_signed_request_without_a_date_is_incomplete() -> None:
    with pytest.raises(IncompleteSignature) as caught:
        read_signature(without_header(header_signed(), "x-amz-date"))
    assert caught.value.missing == ("X-Amz-Date",)


def test_header_and_query_signatures_together_are_refused() -> None:
    head = presigned()
    with pytest.raises(TooManyAuthentications):
        read_signature(with_header(head, "authorization", "AWS4-HMAC-SHA256 Credential=a"))
    signed = header_signed()
    with pytest.raises(MalformedAuthorization):
        read_signature(with_header(signed, "authorization", signed.text(b"authorization") or ""))


@pytest.mark.parametrize(
    ("authorization", "algorithm"),
    [
        ("AWS AKID:c2lnbmF0dXJl", "AWS"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=00", "AWS4-ECDSA-P256-SHA256"),
        ("Bearer token", "Bearer"),
    ],
)
def test_another_scheme_is_named_and_refused(authorization: str, algorithm: str) -> None:
    with pytest.raises(UnsupportedAlgorithm) as caught:
        read_signature(head_of("GET", URL, {"authorization": authorization}))
    assert caught.value.algorithm == algorithm


def test_presigned_requests_of_other_schemes_are_named_and_refused() -> None:
    with pytest.raises(UnsupportedAlgorithm) as caught:
        read_signature(head_of("GET", "http://h/k?AWSAccessKeyId=a&Expires=1&Signature=b%2B", {}))
    assert caught.value.algorithm == "AWS"
    head = presigned()
    query = head.raw_query.replace(b"AWS4-HMAC-SHA256", b"AWS4-ECDSA-P256-SHA256")
    with pytest.raises(UnsupportedAlgorithm) as caught:
        read_signature(replace(head, raw_query=query))
    assert caught.value.algorithm == "AWS4-ECDSA-P256-SHA256"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/us-east-1/s3/", "/us-east-1/"),
        ("/us-east-1/", "//"),
        ("aws4_request", "aws5_request"),
        (", SignedHeaders=", " SignedHeaders:"),
        (", Signature=", ", SignedHeaders=host, Signature="),
    ],
)
def test_an_authorization_header_that_does_not_parse_is_malformed(old: str, new: str) -> None:
    with pytest.raises((MalformedAuthorization, IncompleteSignature)):
        read_signature(with_authorization(header_signed(), old, new))


def test_the_day_of_the_scope_must_be_the_day_of_the_date() -> None:
    head = header_signed()
    signed = read_signature(head)
    assert signed is not None
    with pytest.raises(MalformedAuthorization, match="not the same as X-Amz-Date"):
        read_signature(with_authorization(head, f"/{signed.date}/", "/20130524/"))


@pytest.mark.parametrize("date", ["2013-05-24T00:00:00Z", "20130524", "20131324T000000Z", "20130524T000000+01", "now"])
def test_a_date_in_another_form_is_malformed(date: str) -> None:
    head = with_header(without_header(header_signed(), "x-amz-date"), "x-amz-date", date)
    with pytest.raises(MalformedAuthorization):
        read_signature(head)
    with pytest.raises(MalformedAuthorization):
        read_signature(with_header(without_header(head, "x-amz-date"), "date", "not " + date))


@pytest.mark.parametrize(("old", "new"), [("/us-east-1/", "/eu-west-1/"), ("/s3/", "/kms/"), (KEY_ID, "AKIDOTHER")])
def test_a_signature_under_another_scope_does_not_match(old: str, new: str) -> None:
    if old == KEY_ID:
        # The key id is not signed: it says whose secret to take, and that secret must match.
        check(with_authorization(header_signed(), old, new))
        with pytest.raises(SignatureMismatch):
            check(with_authorization(header_signed(), old, new), Secret(b"the other's"))
    else:
        with pytest.raises(SignatureMismatch):
            check(with_authorization(header_signed(), old, new))


@pytest.mark.parametrize("signature", ["0" * 64, "", "0" * 63, "ü" * 64])
def test_a_signature_of_any_other_text_is_refused(signature: str) -> None:
    head = header_signed()
    signed = read_signature(head)
    assert signed is not None
    with pytest.raises((SignatureMismatch, IncompleteSignature)):
        check(with_authorization(head, signed.signature, signature))


@pytest.mark.parametrize("query", [b"prefix=%61", b"&prefix=a&", b"prefix=a"])
def test_two_spellings_of_one_query_have_one_signature(query: bytes) -> None:
    check(replace(header_signed(), raw_query=query))


@pytest.mark.parametrize("query", [b"prefix=A", b"prefix=", b"prefix", b"", b"prefix=a&prefix=a", b"prefix=%2561"])
def test_another_query_has_another_signature(query: bytes) -> None:
    with pytest.raises(SignatureMismatch):
        check(replace(header_signed(), raw_query=query))


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail_in_another_way(path: bytes, query: bytes, authorization: bytes) -> None:
    headers = (
        (b"host", b"h"),
        (b"x-amz-date", b"20130524T000000Z"),
        (b"authorization", b"AWS4-HMAC-SHA256 " + authorization),
    )
    for head in (
        HttpHead("GET", path, query, headers, "192.0.2.1", False, 0.0),
        HttpHead("GET", path, b"X-Amz-Algorithm=AWS4-HMAC-SHA256&" + query, headers[:1], "192.0.2.1", False, 0.0),
    ):
        with pytest.raises(AuthError):
            check(head)
