"""The AWS protocols of the key service: request bytes to checked parameters, results and errors to reply bytes.

`shapes` compiles botocore's service models once, at start-up, into the validators of `scalars` and `containers`, which
speak in the sentences of `constraints`; `json11` is AWS JSON 1.1 (KMS, CloudTrail), `query` the AWS Query protocol of
STS and IAM. None of these knows a key or a caller; `endpoint` puts them before the service.
"""
