"""The stored form of an object, format 1: sizes, keys, segments, envelope, footer and the pipelines over them.

Pure and synchronous: bytes in, bytes out; salts and other randomness are arguments. `FORMAT.md` beside this package
specifies every stored byte. What S3, KMS or a store means by an object is not known here.
"""
