"""The one place where the proxy asks the key service: data keys made, data keys opened.

Every question is asked as the S3 caller, with `kms:ViaService` set, and is decided and recorded by `Kms.call` each
time; nothing here caches a decision. Only SSE-S3, where the caller's policy is not asked, reuses a data key of the
service's own for `_REUSE_SECONDS`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from kms_core.arn import bucket_arn
from kms_core.caller import Caller, RequestFacts, service_caller
from kms_core.crypto.secret import Secret
from kms_core.errors import AccessDenied, AwsError, InternalError, ServiceUnavailable
from kms_core.service import Kms
from sseproxy.s3 import errors as s3

K = TypeVar("K")
V = TypeVar("V")
_REUSE_SECONDS = 300.0
_KEPT = 4096
_S3 = service_caller("s3.amazonaws.com")
CONTEXT_KEY = "aws:s3:arn"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key: in the clear, wrapped, and the ARN of the KMS key that wrapped it."""

    plaintext: Secret
    blob: bytes
    key_arn: str


def as_s3_error(error: AwsError) -> s3.S3Error:
    """A refusal of the key service, as S3 tells it."""
    if isinstance(error, AccessDenied):
        return s3.AccessDenied(error.message)
    if isinstance(error, ServiceUnavailable):
        return s3.ServiceUnavailable()
    if isinstance(error, InternalError):
        return s3.InternalError()
    return s3.KmsRefused(error.code, error.message or "")


def _via_s3(facts: RequestFacts) -> RequestFacts:
    return RequestFacts(
        at=facts.at,
        region=facts.region,
        client_ip=facts.client_ip,
        secure=facts.secure,
        user_agent=facts.user_agent,
        request_id=facts.request_id,
        via_service=f"s3.{facts.region}.amazonaws.com",
    )


class Keys:
    """Data keys for objects."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms
        self._service_keys: OrderedDict[tuple[str, str], tuple[float, DataKey]] = OrderedDict()
        self._opened: OrderedDict[tuple[str, str, bytes], tuple[float, Secret]] = OrderedDict()

    async def generate(
        self, caller: Caller, facts: RequestFacts, key: str | None, context: Mapping[str, str]
    ) -> DataKey:
        """A fresh data key under `key` (id, ARN or alias; None: `aws/s3` of the caller's account). S3Error."""
        try:
            if key is None or key == "alias/aws/s3":
                key = await self._managed_key(caller.account, facts)
            params = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context}
            return _data_key(self._kms.call("kms", "GenerateDataKey", params, caller, _via_s3(facts)))
        except AwsError as error:
            raise as_s3_error(error) from error

    def open(
        self, caller: Caller, facts: RequestFacts, blob: bytes, key_arn: str, context: Mapping[str, str]
    ) -> Secret:
        """A data key opened for this caller, decided anew. S3Error."""
        params = {"CiphertextBlob": blob, "KeyId": key_arn, "EncryptionContext": context}
        try:
            plaintext = self._kms.call("kms", "Decrypt", params, caller, _via_s3(facts))["Plaintext"]
        except AwsError as error:
            raise as_s3_error(error) from error
        return _secret(plaintext)

    async def generate_for_service(self, facts: RequestFacts, bucket: str) -> DataKey:
        """A data key for SSE-S3 in a bucket: the service's own, used for a few minutes. S3Error."""
        place = (facts.region, bucket)
        kept = self._service_keys.get(place)
        if kept is not None and facts.at < kept[0]:
            return kept[1]
        try:
            key = self._kms.find_service_key(facts.region)
            if key is None:
                key = await asyncio.to_thread(self._kms.service_key, facts.region, facts.at)
            params = {"KeyId": key, "KeySpec": "AES_256", "EncryptionContext": {CONTEXT_KEY: bucket_arn(bucket)}}
            made = _data_key(self._kms.call("kms", "GenerateDataKey", params, _S3, _via_s3(facts)))
        except AwsError as error:
            raise as_s3_error(error) from error
        _keep(self._service_keys, place, (facts.at + _REUSE_SECONDS, made))
        return made

    def open_for_service(self, facts: RequestFacts, blob: bytes, key_arn: str, bucket: str) -> Secret:
        """A data key of SSE-S3, opened. S3Error."""
        place = (bucket, key_arn, blob)
        kept = self._opened.get(place)
        if kept is not None and facts.at < kept[0]:
            return kept[1]
        opened = self.open(_S3, facts, blob, key_arn, {CONTEXT_KEY: bucket_arn(bucket)})
        _keep(self._opened, place, (facts.at + _REUSE_SECONDS, opened))
        return opened

    async def _managed_key(self, account: str, facts: RequestFacts) -> str:
        found = self._kms.find_managed_key(account, facts.region)
        if found is not None:
            return found
        return await asyncio.to_thread(self._kms.managed_key, account, facts.region, facts.at)


def _data_key(output: Mapping[str, object]) -> DataKey:
    blob, key_arn = output["CiphertextBlob"], output["KeyId"]
    if not isinstance(blob, bytes) or not isinstance(key_arn, str):
        raise TypeError("sseproxy.keys: the key service answered with something else than a data key")
    return DataKey(_secret(output["Plaintext"]), blob, key_arn)


def _secret(value: object) -> Secret:
    if not isinstance(value, Secret):
        raise TypeError("sseproxy.keys: the key service answered with something else than a secret")
    return value


def _keep(cache: OrderedDict[K, V], name: K, value: V) -> None:
    """Remember, and forget the oldest beyond the bound."""
    cache.pop(name, None)
    cache[name] = value
    if len(cache) > _KEPT:
        cache.popitem(last=False)
