"""A bucket's default encryption: put, got, deleted (Amazon S3 user guide, "Setting default server-side encryption").

The key is not checked here, and is given back as it came, as on AWS.
"""

from typing import TYPE_CHECKING

from sseproxy.control import buckets
from sseproxy.control.buckets import AES256, AWS_KMS, BucketEncryption
from sseproxy.s3 import xml
from sseproxy.s3.encryption import DSSE
from sseproxy.s3.errors import InvalidArgument, MalformedXML, NotImplementedYet
from sseproxy.s3.operation import BodyKind, Call, NoInput, Operation, Reply, Scope

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_configuration(body: bytes) -> BucketEncryption:
    """The one rule of a configuration. MalformedXML, InvalidArgument, NotImplementedYet."""
    root = xml.parse(body, "ServerSideEncryptionConfiguration")
    rules = xml.children(root, ("Rule",))["Rule"]
    if len(rules) != 1:
        raise MalformedXML
    known = xml.children(rules[0], ("ApplyServerSideEncryptionByDefault", "BucketKeyEnabled", "BlockedEncryptionTypes"))
    _check_blocked(known["BlockedEncryptionTypes"])
    enabled = (xml.text_of(known["BucketKeyEnabled"]) or "false").lower()
    if enabled not in ("true", "false") or len(known["ApplyServerSideEncryptionByDefault"]) > 1:
        raise MalformedXML
    if not known["ApplyServerSideEncryptionByDefault"]:
        return BucketEncryption(AES256, None, enabled == "true")
    return _default(known["ApplyServerSideEncryptionByDefault"][0], bucket_key=enabled == "true")


def _default(node: "Element", *, bucket_key: bool) -> BucketEncryption:
    fields = xml.children(node, ("SSEAlgorithm", "KMSMasterKeyID"))
    algorithm, key = xml.text_of(fields["SSEAlgorithm"]), xml.text_of(fields["KMSMasterKeyID"])
    if algorithm == DSSE:
        raise NotImplementedYet("The encryption algorithm aws:kms:dsse is not implemented")
    if algorithm not in (AES256, AWS_KMS):
        raise MalformedXML
    if key is not None and algorithm == AES256:
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ArgumentName="ApplyServerSideEncryptionByDefault",
        )
    return BucketEncryption(algorithm, key, bucket_key)


def _check_blocked(nodes: list["Element"]) -> None:
    for node in nodes:
        for kind in xml.children(node, ("EncryptionType",))["EncryptionType"]:
            if (kind.text or "").strip() != "NONE":
                raise NotImplementedYet("BlockedEncryptionTypes is not implemented")


async def _store(call: Call[NoInput], encryption: BucketEncryption | None) -> None:
    await call.audit.before_effect()
    await call.services.write(lambda transaction: buckets.set_encryption(transaction, call.bucket, encryption))


async def _put(call: Call[NoInput]) -> Reply:
    await _store(call, read_configuration(call.document))
    return Reply(200)


async def _delete(call: Call[NoInput]) -> Reply:
    await _store(call, None)
    return Reply(204)


async def _get(call: Call[NoInput]) -> Reply:
    """A bucket without a setting shows what will happen to its objects: the server's default."""
    found = call.bucket.encryption or call.services.default_encryption
    default = xml.group(
        "ApplyServerSideEncryptionByDefault",
        xml.element("SSEAlgorithm", found.algorithm),
        xml.element("KMSMasterKeyID", found.key),
    )
    rule = xml.group("Rule", default, xml.element("BucketKeyEnabled", found.bucket_key))
    body = xml.document("ServerSideEncryptionConfiguration", [rule])
    return Reply(200, xml.HEADERS, body)


_QUERY = (("encryption", None),)
OPERATIONS = (
    Operation(
        "PutBucketEncryption",
        "PUT",
        Scope.BUCKET,
        "s3:PutEncryptionConfiguration",
        NoInput,
        _put,
        query=_QUERY,
        body=BodyKind.DOCUMENT,
        read_only=False,
    ),
    Operation("GetBucketEncryption", "GET", Scope.BUCKET, "s3:GetEncryptionConfiguration", NoInput, _get, query=_QUERY),
    Operation(
        "DeleteBucketEncryption",
        "DELETE",
        Scope.BUCKET,
        "s3:PutEncryptionConfiguration",
        NoInput,
        _delete,
        query=_QUERY,
        read_only=False,
    ),
)
