"""An AWS-KMS-compatible key service: real cryptography, real authorization, real audit.

Synchronous, with no web framework: `kms_core.wire` maps request bytes to reply bytes, `kms_core.service.Kms` is the
only door to the operations. Never imports `sseproxy`.
"""
