"""S3's errors, one class per code (Amazon S3 API Reference, "Error responses").

`extra` are further elements of the error document, in order. What only the operator may know goes into the audit event,
never in here. One place renders: `sseproxy.s3.xml.error`.
"""

from typing import ClassVar


class S3Error(Exception):
    """An error with S3's code, HTTP status and sentence."""

    code: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 500
    text: ClassVar[str] = "We encountered an internal error. Please try again."

    def __init__(self, message: str | None = None, **extra: str) -> None:
        self.message = self.text if message is None else message
        self.extra = extra
        super().__init__(self.message)


class InternalError(S3Error):
    """Ours; the log knows more."""


class KmsRefused(S3Error):
    """An error of the key service, under S3's prefix: `KMS.NotFoundException` and its kin."""

    status = 400

    def __init__(self, kms_code: str, message: str) -> None:
        super().__init__(message)
        self.kms_code = kms_code


class AccessDenied(S3Error):
    """Access Denied"""

    code = "AccessDenied"
    status = 403
    text = "Access Denied"


class NotImplementedYet(S3Error):
    """A header, or the operation, is not served."""

    code = "NotImplemented"
    status = 501
    text = "A header you provided implies functionality that is not implemented"


class AccessControlListNotSupported(S3Error):
    """The bucket does not allow ACLs."""

    code = "AccessControlListNotSupported"
    status = 400
    text = "The bucket does not allow ACLs"


class AuthorizationHeaderMalformed(S3Error):
    """The authorization header is malformed."""

    code = "AuthorizationHeaderMalformed"
    status = 400
    text = "The authorization header is malformed."


class AuthorizationQueryParametersError(S3Error):
    """Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential,."""

    code = "AuthorizationQueryParametersError"
    status = 400
    text = (
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
        "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
    )


class BadDigest(S3Error):
    """The Content-MD5 you specified did not match what we received."""

    code = "BadDigest"
    status = 400
    text = "The Content-MD5 you specified did not match what we received."


class BucketAlreadyExists(S3Error):
    """The requested bucket name is not available."""

    code = "BucketAlreadyExists"
    status = 409
    text = (
        "The requested bucket name is not available. The bucket namespace is shared by all users of the "
        "system. Please select a different name and try again."
    )


class BucketAlreadyOwnedByYou(S3Error):
    """Your previous request to create the named bucket succeeded and you already own it."""

    code = "BucketAlreadyOwnedByYou"
    status = 409
    text = "Your previous request to create the named bucket succeeded and you already own it."


class BucketNotEmpty(S3Error):
    """The bucket you tried to delete is not empty."""

    code = "BucketNotEmpty"
    status = 409
    text = "The bucket you tried to delete is not empty"


class ConditionalRequestConflict(S3Error):
    """The conditional request cannot succeed due to a conflicting operation against this resource."""

    code = "ConditionalRequestConflict"
    status = 409
    text = "The conditional request cannot succeed due to a conflicting operation against this resource."


class EntityTooLarge(S3Error):
    """Your proposed upload exceeds the maximum allowed size."""

    code = "EntityTooLarge"
    status = 400
    text = "Your proposed upload exceeds the maximum allowed size"


class EntityTooSmall(S3Error):
    """Your proposed upload is smaller than the minimum allowed size."""

    code = "EntityTooSmall"
    status = 400
    text = "Your proposed upload is smaller than the minimum allowed size"


class ExpiredToken(S3Error):
    """The provided token has expired."""

    code = "ExpiredToken"
    status = 400
    text = "The provided token has expired."


class IllegalLocationConstraint(S3Error):
    """The unspecified location constraint is incompatible for the region specific endpoint this request."""

    code = "IllegalLocationConstraintException"
    status = 400
    text = (
        "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."
    )


class IncompleteBody(S3Error):
    """You did not provide the number of bytes specified by the Content-Length HTTP header."""

    code = "IncompleteBody"
    status = 400
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"


class InvalidAccessKeyId(S3Error):
    """The AWS Access Key Id you provided does not exist in our records."""

    code = "InvalidAccessKeyId"
    status = 403
    text = "The AWS Access Key Id you provided does not exist in our records."


class InvalidArgument(S3Error):
    """Invalid Argument."""

    code = "InvalidArgument"
    status = 400
    text = "Invalid Argument"


class InvalidBucketAclWithObjectOwnership(S3Error):
    """Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting."""

    code = "InvalidBucketAclWithObjectOwnership"
    status = 400
    text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"


class InvalidBucketName(S3Error):
    """The specified bucket is not valid."""

    code = "InvalidBucketName"
    status = 400
    text = "The specified bucket is not valid."


class InvalidChunkSizeError(S3Error):
    """Only the last chunk is allowed to have a size less than 8192 bytes."""

    code = "InvalidChunkSizeError"
    status = 403
    text = "Only the last chunk is allowed to have a size less than 8192 bytes"


class InvalidDigest(S3Error):
    """The Content-MD5 you specified was invalid."""

    code = "InvalidDigest"
    status = 400
    text = "The Content-MD5 you specified was invalid."


class InvalidLocationConstraint(S3Error):
    """The specified location-constraint is not valid."""

    code = "InvalidLocationConstraint"
    status = 400
    text = "The specified location-constraint is not valid"


class InvalidPart(S3Error):
    """One or more of the specified parts could not be found."""

    code = "InvalidPart"
    status = 400
    text = (
        "One or more of the specified parts could not be found.  The part may not have been uploaded, "
        "or the specified entity tag may not match the part's entity tag."
    )


class InvalidPartNumber(S3Error):
    """The requested partnumber is not satisfiable."""

    code = "InvalidPartNumber"
    status = 416
    text = "The requested partnumber is not satisfiable"


class InvalidPartOrder(S3Error):
    """The list of parts was not in ascending order."""

    code = "InvalidPartOrder"
    status = 400
    text = "The list of parts was not in ascending order. Parts must be ordered by part number."


class InvalidRange(S3Error):
    """The requested range is not satisfiable."""

    code = "InvalidRange"
    status = 416
    text = "The requested range is not satisfiable"


class InvalidRequest(S3Error):
    """Invalid Request."""

    code = "InvalidRequest"
    status = 400
    text = "Invalid Request"


class InvalidStorageClass(S3Error):
    """The storage class you specified is not valid."""

    code = "InvalidStorageClass"
    status = 400
    text = "The storage class you specified is not valid"


class InvalidToken(S3Error):
    """The provided token is malformed or otherwise invalid."""

    code = "InvalidToken"
    status = 400
    text = "The provided token is malformed or otherwise invalid."


class InvalidURI(S3Error):
    """Couldn't parse the specified URI."""

    code = "InvalidURI"
    status = 400
    text = "Couldn't parse the specified URI."


class KeyTooLongError(S3Error):
    """Your key is too long."""

    code = "KeyTooLongError"
    status = 400
    text = "Your key is too long"


class MalformedPolicy(S3Error):
    """This policy contains invalid Json."""

    code = "MalformedPolicy"
    status = 400
    text = "This policy contains invalid Json"


class MalformedTrailerError(S3Error):
    """The request contained trailing data that was not well-formed or did not conform to our published."""

    code = "MalformedTrailerError"
    status = 400
    text = "The request contained trailing data that was not well-formed or did not conform to our published schema."


class MalformedXML(S3Error):
    """The XML you provided was not well-formed or did not validate against our published schema."""

    code = "MalformedXML"
    status = 400
    text = "The XML you provided was not well-formed or did not validate against our published schema"


class MaxMessageLengthExceeded(S3Error):
    """Your request was too big."""

    code = "MaxMessageLengthExceeded"
    status = 400
    text = "Your request was too big."


class MetadataTooLarge(S3Error):
    """Your metadata headers exceed the maximum allowed metadata size."""

    code = "MetadataTooLarge"
    status = 400
    text = "Your metadata headers exceed the maximum allowed metadata size"


class MethodNotAllowed(S3Error):
    """The specified method is not allowed against this resource."""

    code = "MethodNotAllowed"
    status = 405
    text = "The specified method is not allowed against this resource."


class MissingContentLength(S3Error):
    """You must provide the Content-Length HTTP header."""

    code = "MissingContentLength"
    status = 411
    text = "You must provide the Content-Length HTTP header."


class MissingRequestBodyError(S3Error):
    """Request Body is empty."""

    code = "MissingRequestBodyError"
    status = 400
    text = "Request Body is empty"


class MissingSecurityHeader(S3Error):
    """Your request was missing a required header."""

    code = "MissingSecurityHeader"
    status = 400
    text = "Your request was missing a required header"


class NoSuchBucket(S3Error):
    """The specified bucket does not exist."""

    code = "NoSuchBucket"
    status = 404
    text = "The specified bucket does not exist"


class NoSuchBucketPolicy(S3Error):
    """The bucket policy does not exist."""

    code = "NoSuchBucketPolicy"
    status = 404
    text = "The bucket policy does not exist"


class NoSuchKey(S3Error):
    """The specified key does not exist."""

    code = "NoSuchKey"
    status = 404
    text = "The specified key does not exist."


class NoSuchUpload(S3Error):
    """The specified upload does not exist."""

    code = "NoSuchUpload"
    status = 404
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
        "aborted or completed."
    )


class NoSuchVersion(S3Error):
    """The specified version does not exist."""

    code = "NoSuchVersion"
    status = 404
    text = "The specified version does not exist."


class NotModified(S3Error):
    """Not Modified."""

    code = "NotModified"
    status = 304
    text = "Not Modified"


class PreconditionFailed(S3Error):
    """At least one of the pre-conditions you specified did not hold."""

    code = "PreconditionFailed"
    status = 412
    text = "At least one of the pre-conditions you specified did not hold"


class RequestHeaderSectionTooLarge(S3Error):
    """Your request header section exceeds the maximum allowed header section size."""

    code = "RequestHeaderSectionTooLarge"
    status = 400
    text = "Your request header section exceeds the maximum allowed header section size"


class RequestTimeTooSkewed(S3Error):
    """The difference between the request time and the current time is too large."""

    code = "RequestTimeTooSkewed"
    status = 403
    text = "The difference between the request time and the current time is too large."


class RequestTimeout(S3Error):
    """Your socket connection to the server was not read from or written to within the timeout period."""

    code = "RequestTimeout"
    status = 400
    text = (
        "Your socket connection to the server was not read from or written to within the timeout "
        "period. Idle connections will be closed."
    )


class ServerSideEncryptionConfigurationNotFoundError(S3Error):
    """The server side encryption configuration was not found."""

    code = "ServerSideEncryptionConfigurationNotFoundError"
    status = 404
    text = "The server side encryption configuration was not found"


class ServiceUnavailable(S3Error):
    """Please reduce your request rate."""

    code = "ServiceUnavailable"
    status = 503
    text = "Please reduce your request rate."


class SignatureDoesNotMatch(S3Error):
    """The request signature we calculated does not match the signature you provided."""

    code = "SignatureDoesNotMatch"
    status = 403
    text = (
        "The request signature we calculated does not match the signature you provided. Check your key "
        "and signing method."
    )


class SlowDown(S3Error):
    """Please reduce your request rate."""

    code = "SlowDown"
    status = 503
    text = "Please reduce your request rate."


class TooManyBuckets(S3Error):
    """You have attempted to create more buckets than allowed."""

    code = "TooManyBuckets"
    status = 400
    text = "You have attempted to create more buckets than allowed"


class XAmzContentSHA256Mismatch(S3Error):
    """The provided 'x-amz-content-sha256' header does not match what was computed."""

    code = "XAmzContentSHA256Mismatch"
    status = 400
    text = "The provided 'x-amz-content-sha256' header does not match what was computed."
