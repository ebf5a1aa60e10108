"""Server-side encryption as S3's headers ask for it and answer it (Amazon S3 user guide, "Protecting data with
server-side encryption"). SSE-S3 and SSE-KMS; DSSE-KMS and SSE-C are answered with 501."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from sseproxy.control.buckets import AES256, AWS_KMS, BucketEncryption
from sseproxy.s3.errors import InvalidArgument, NotImplementedYet
from sseproxy.s3.fields import Header

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"
DSSE = "aws:kms:dsse"


@dataclass(frozen=True, slots=True)
class EncryptionFields:
    """The request headers of PUT, Copy and CreateMultipartUpload."""

    algorithm: Annotated[str | None, Header(SSE)] = None
    key: Annotated[str | None, Header(KEY_ID)] = None
    context: Annotated[str | None, Header(CONTEXT)] = None
    bucket_key: Annotated[str | None, Header(BUCKET_KEY)] = None
    customer_algorithm: Annotated[str | None, Header(f"{SSE}-customer-algorithm")] = None
    customer_key: Annotated[str | None, Header(f"{SSE}-customer-key")] = None
    customer_md5: Annotated[str | None, Header(f"{SSE}-customer-key-md5")] = None


@dataclass(frozen=True, slots=True)
class ReadEncryptionFields:
    """What a read, or a part, may not carry, and SSE-C, which is not served."""

    algorithm: Annotated[str | None, Header(SSE)] = None
    customer_algorithm: Annotated[str | None, Header(f"{SSE}-customer-algorithm")] = None
    customer_key: Annotated[str | None, Header(f"{SSE}-customer-key")] = None
    customer_md5: Annotated[str | None, Header(f"{SSE}-customer-key-md5")] = None


@dataclass(frozen=True, slots=True)
class WantedEncryption:
    """How an object is to be encrypted. `context` is the client's own, as JSON text (None: none)."""

    algorithm: str
    key: str | None = None
    context: str | None = None
    bucket_key: bool = False

    @property
    def kms(self) -> bool:
        """Whether a KMS key of the caller's choice is used."""
        return self.algorithm == AWS_KMS


def _refuse_customer_key(fields: EncryptionFields | ReadEncryptionFields) -> None:
    if fields.customer_algorithm or fields.customer_key or fields.customer_md5:
        raise NotImplementedYet(Header=f"{SSE}-customer-algorithm")


def check_read_fields(fields: ReadEncryptionFields) -> None:
    """InvalidArgument for a header that GET, HEAD and parts do not take."""
    _refuse_customer_key(fields)
    if fields.algorithm is not None:
        raise InvalidArgument(
            f"{SSE} header is not supported for this operation.", ArgumentName=SSE, ArgumentValue=fields.algorithm
        )


def wanted(fields: EncryptionFields, default: BucketEncryption, *, signed_v4: bool) -> WantedEncryption:
    """What the headers ask for, or else the bucket's default. InvalidArgument; NotImplementedYet."""
    _refuse_customer_key(fields)
    algorithm = fields.algorithm
    if algorithm == DSSE:
        raise NotImplementedYet(Header=SSE)
    if algorithm is not None and algorithm not in (AES256, AWS_KMS):
        raise InvalidArgument(
            "The encryption method specified is not supported", ArgumentName=SSE, ArgumentValue=algorithm
        )
    if algorithm != AWS_KMS and (fields.key is not None or fields.context is not None):
        raise InvalidArgument(
            f"Server Side Encryption with AWS KMS managed key requires HTTP header {SSE} : aws:kms", ArgumentName=SSE
        )
    if algorithm is None:
        chosen = WantedEncryption(default.algorithm, default.key, None, default.bucket_key)
        if fields.bucket_key is not None and chosen.kms:
            chosen = WantedEncryption(chosen.algorithm, chosen.key, None, _flag(fields.bucket_key))
    elif algorithm == AES256:
        chosen = WantedEncryption(AES256)
    else:
        # A request that names aws:kms but no key takes the bucket's key only if the bucket's default is aws:kms too.
        key = fields.key or (default.key if default.algorithm == AWS_KMS else None)
        bucket_key = default.bucket_key if fields.bucket_key is None else _flag(fields.bucket_key)
        chosen = WantedEncryption(AWS_KMS, key, _context(fields.context), bucket_key)
    if chosen.kms and not signed_v4:
        raise unsigned()
    return chosen


def unsigned() -> InvalidArgument:
    """What SSE-KMS answers to a request that nobody signed."""
    return InvalidArgument(
        "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
        ArgumentName="Authorization",
    )


def _flag(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise InvalidArgument(f"Invalid value for {BUCKET_KEY}", ArgumentName=BUCKET_KEY, ArgumentValue=value)
    return value.lower() == "true"


def _context(header: str | None) -> str | None:
    if header is None:
        return None
    try:
        text = base64.b64decode(header, validate=True).decode()
        pairs = json.loads(text)
        json.dumps(pairs, ensure_ascii=False).encode()  # an escaped lone surrogate is no UTF-8
    except (binascii.Error, ValueError, RecursionError) as problem:
        raise _bad_context(header) from problem
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        raise _bad_context(header)
    return text


def _bad_context(header: str) -> InvalidArgument:
    return InvalidArgument(
        f"The header '{CONTEXT}' shall be Base64-encoded UTF-8 string "
        "holding JSON which represents a string-string map",
        ArgumentName=CONTEXT,
        ArgumentValue=header,
    )


def context_pairs(context: str | None) -> Mapping[str, str]:
    """The client's context as pairs; the text has been checked when it came in, or is bound by the envelope's MAC."""
    return {} if context is None else json.loads(context)


def answer(algorithm: str, key_arn: str | None, bucket_key: bool, context: str | None = None) -> dict[str, str]:
    """The response headers. The context only goes back to who has just sent it."""
    if algorithm == AES256:
        return {SSE: AES256}
    headers = {SSE: algorithm}
    if key_arn is not None:
        headers[KEY_ID] = key_arn
    if bucket_key:
        headers[BUCKET_KEY] = "true"
    if context is not None:
        headers[CONTEXT] = base64.b64encode(context.encode()).decode()
    return headers
