"""S3's errors, one class per code (Amazon S3 API Reference, "Error responses").

`extra` are further elements of the error document, in order. What only the operator may know goes into the audit event,
never in here. One place renders: `sseproxy.s3.xml.error`.
"""

from typing import ClassVar


class S3Error(Exception):
    """An error with S3's code (the class's own name, unless it says otherwise), HTTP status and sentence."""

    code: ClassVar[str]
    status: ClassVar[int] = 400
    text: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = cls.__name__

    def __init__(self, message: str | None = None, **extra: str) -> None:
        self.message = self.text if message is None else message
        self.extra = extra
        super().__init__(self.message)


class InternalError(S3Error):
    """Ours; the log knows more."""

    status = 500
    text = "We encountered an internal error. Please try again."


class KmsRefused(S3Error):
    """An error of the key service, under S3's prefix: `KMS.NotFoundException` and its kin."""

    def __init__(self, kms_code: str, message: str) -> None:
        super().__init__(message)
        self.kms_code = kms_code


class AccessDenied(S3Error):
    """Access Denied"""

    status = 403
    text = "Access Denied"


class NotImplementedYet(S3Error):
    """A header, or the operation, is not served."""

    code = "NotImplemented"
    status = 501
    text = "A header you provided implies functionality that is not implemented"


class AccessControlListNotSupported(S3Error):
    """The bucket does not allow ACLs."""

    text = "The bucket does not allow ACLs"


class AuthorizationHeaderMalformed(S3Error):
    """The authorization header is malformed."""

    text = "The authorization header is malformed."


class AuthorizationQueryParametersError(S3Error):
    """Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential,."""

    text = (
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
        "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )


class BadDigest(S3Error):
    """The Content-MD5 you specified did not match what we received."""

    text = "The Content-MD5 you specified did not match what we received."


class BucketAlreadyExists(S3Error):
    """The requested bucket name is not available."""

    status = 409
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users of the "
        "system. Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(S3Error):
    """Your previous request to create the named bucket succeeded and you already own it."""

    status = 409
    text = "Your previous request to create the named bucket succeeded and you already own it."


class BucketNotEmpty(S3Error):
    """The bucket you tried to delete is not empty."""

    status = 409
    text = "The bucket you tried to delete is not empty"


class ConditionalRequestConflict(S3Error):
    """The conditional request cannot succeed due to a conflicting operation against this resource."""

    status = 409
    text = "The conditional request cannot succeed due to a conflicting operation against this resource."


class EntityTooLarge(S3Error):
    """Your proposed upload exceeds the maximum allowed size."""

    text = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    """Your proposed upload is smaller than the minimum allowed size."""

    text = "Your proposed upload is smaller than the minimum allowed size"


class IllegalLocationConstraint(S3Error):
    """The unspecified location constraint is incompatible for the region specific endpoint this request."""

    code = "IllegalLocationConstraintException"
    text = (
        "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
    )


class IncompleteBody(S3Error):
    """You did not provide the number of bytes specified by the Content-Length HTTP header."""

    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class InvalidAccessKeyId(S3Error):
    """The AWS Access Key Id you provided does not exist in our records."""

    status = 403
    text = "The AWS Access Key Id you provided does not exist in our records."


class InvalidArgument(S3Error):
    """Invalid Argument."""

    text = "Invalid Argument"


class InvalidBucketAclWithObjectOwnership(S3Error):
    """Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting."""

    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class InvalidBucketName(S3Error):
    """The specified bucket is not valid."""

    text = "The specified bucket is not valid."


class InvalidChunkSizeError(S3Error):
    """Only the last chunk is allowed to have a size less than 8192 bytes."""

    status = 403
    text = "Only the last chunk is allowed to have a size less than 8192 bytes"


class InvalidDigest(S3Error):
    """The Content-MD5 you specified was invalid."""

    text = "The Content-MD5 you specified was invalid."


class InvalidLocationConstraint(S3Error):
    """The specified location-constraint is not valid."""

    text = "The specified location-constraint is not valid"


class InvalidPart(S3Error):
    """One or more of the specified parts could not be found."""

    text = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, "
        "or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartNumber(S3Error):
    """The requested partnumber is not satisfiable."""

    status = 416
    text = "The requested partnumber is not satisfiable"


class InvalidPartOrder(S3Error):
    """The list of parts was not in ascending order."""

    text = "The list of parts was not in ascending order. Parts must be ordered by part number."


class InvalidRange(S3Error):
    """The requested range is not satisfiable."""

    status = 416
    text = "The requested range is not satisfiable"


class InvalidRequest(S3Error):
    """Invalid Request."""

    text = "Invalid Request"


class InvalidStorageClass(S3Error):
    """The storage class you specified is not valid."""

    text = "The storage class you specified is not valid"


class InvalidToken(S3Error):
    """The provided token is malformed or otherwise invalid."""

    text = "The provided token is malformed or otherwise invalid."


class InvalidURI(S3Error):
    """Couldn't parse the specified URI."""

    text = "Couldn't parse the specified URI."


class KeyTooLongError(S3Error):
    """Your key is too long."""

    text = "Your key is too long"


class MalformedPolicy(S3Error):
    """This policy contains invalid Json."""

    text = "This policy contains invalid Json"


class MalformedTrailerError(S3Error):
    """The request contained trailing data that was not well-formed or did not conform to our published."""

    text = "The request contained trailing data that was not well-formed or did not conform to our published schema."


class MalformedXML(S3Error):
    """The XML you provided was not well-formed or did not validate against our published schema."""

    text = "The XML you provided was not well-formed or did not validate against our published schema"


class MaxMessageLengthExceeded(S3Error):
    """Your request was too big."""

    text = "Your request was too big."


class MetadataTooLarge(S3Error):
    """Your metadata headers exceed the maximum allowed metadata size."""

    text = "Your metadata headers exceed the maximum allowed metadata size"


class MethodNotAllowed(S3Error):
    """The specified method is not allowed against this resource."""

    status = 405
    text = "The specified method is not allowed against this resource."


class MissingContentLength(S3Error):
    """You must provide the Content-Length HTTP header."""

    status = 411
    text = "You must provide the Content-Length HTTP header."


class NoSuchBucket(S3Error):
    """The specified bucket does not exist."""

    status = 404
    text = "The specified bucket does not exist"


class NoSuchBucketPolicy(S3Error):
    """The bucket policy does not exist."""

    status = 404
    text = "The bucket policy does not exist"


class NoSuchKey(S3Error):
    """The specified key does not exist."""

    status = 404
    text = "The specified key does not exist."


class NoSuchUpload(S3Error):
    """The specified upload does not exist."""

    status = 404
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
        "aborted or completed."
    )


class NoSuchVersion(S3Error):
    """The specified version does not exist."""

    status = 404
    text = "The specified version does not exist."


class NotModified(S3Error):
    """Not Modified."""

    status = 304
    text = "Not Modified"


class PreconditionFailed(S3Error):
    """At least one of the pre-conditions you specified did not hold."""

    status = 412
    text = "At least one of the pre-conditions you specified did not hold"


class RequestTimeTooSkewed(S3Error):
    """The difference between the request time and the current time is too large."""

    status = 403
    text = "The difference between the request time and the current time is too large."


class RequestTimeout(S3Error):
    """Your socket connection to the server was not read from or written to within the timeout period."""

    text = (
        "Your socket connection to the server was not read from or written to within the timeout "
        "period. Idle connections will be closed."
    )


class ServiceUnavailable(S3Error):
    """Please reduce your request rate."""

    status = 503
    text = "Please reduce your request rate."


class SignatureDoesNotMatch(S3Error):
    """The request signature we calculated does not match the signature you provided."""

    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. Check your key "
        "and signing method."
    )


class SlowDown(S3Error):
    """Please reduce your request rate."""

    status = 503
    text = "Please reduce your request rate."


class XAmzContentSHA256Mismatch(S3Error):
    """The provided 'x-amz-content-sha256' header does not match what was computed."""

    text = "The provided 'x-amz-content-sha256' header does not match what was computed."
