"""Who takes part: the bare server, the proxy under both kinds of encryption, and any endpoint given by URL."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from client import drive
from processes import READY, Process, serving
from testkit import seaweed
from workload import BODIES, LISTED, Case, Signer, Verb

_HERE = Path(__file__).parent
_ID, _SECRET = "AKIABENCHEXAMPLE0001", "bench/secret/key/0000000000000000000000001"
_SSE = "x-amz-server-side-encryption"
BARE, KMS, S3, ENDPOINT = "bare", "SSE-KMS", "SSE-S3", "endpoint"
WEED, OVER = "SeaweedFS", "over it"
PROFILE = "profile.json"


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, how requests to it are signed, and its process, if that is on this machine."""

    name: str
    signer: Signer
    process: Process | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.signer.endpoint)
        return parts.hostname or "127.0.0.1", parts.port or 80


@contextmanager
def proxy(data: Path, out: Path, *more: str, **environment: str) -> Iterator[tuple[str, Process]]:
    """The proxy on a folder, with one worker. It has the sampler in it, which costs nothing until it is asked for, and
    writes to `out`."""
    words = [str(out), "serve", "--data", str(data), "--listen", "127.0.0.1:0", *more]
    environment |= {
        "SSEPROXY_ROOT_ACCESS_KEY_ID": _ID,
        "SSEPROXY_ROOT_SECRET_ACCESS_KEY": _SECRET,
        "SSEPROXY_ACCOUNT_ID": "111122223333",
    }
    with serving(str(_HERE / "sampled.py"), *words, ready=READY, **environment) as started:
        yield started


def proxy_signers(endpoint: str, *, signed_payload: bool) -> dict[str, Signer]:
    """A key and a bucket on a proxy; how to write under that key, and under SSE-S3."""
    credentials = Credentials(_ID, _SECRET)
    key = _client("kms", endpoint, credentials).create_key()["KeyMetadata"]["Arn"]
    bucket = _make_bucket(endpoint, credentials)
    kinds = {
        KMS: {_SSE: "aws:kms", f"{_SSE}-aws-kms-key-id": key},
        S3: {_SSE: "AES256"},
    }
    return {
        name: Signer(endpoint, credentials, bucket, name.lower(), sse, signed_payload) for name, sse in kinds.items()
    }


def seed(signer: Signer, cases: Sequence[Case], *, lists: bool) -> None:
    """Put what the cases will read; the keys to list are one set for each bucket."""
    parts = urlsplit(signer.endpoint)
    address = parts.hostname or "", parts.port or 80
    read = sorted({case.size for case in cases if case.verb in (Verb.GET, Verb.HEAD)})
    if read:
        drive(*address, [signer.put(f"get-{size}", BODIES[size]) for size in read], 1, 120.0, each=len(read))
    if lists and any(case.verb is Verb.LIST for case in cases):
        # sixteen connections share them: a few are sent twice
        drive(*address, signer.listed(), 16, 120.0, each=-(-LISTED // 16))


@contextmanager
def taking_part(
    folder: Path, cases: Sequence[Case], endpoint: str | None, pid: int | None, *, backend: bool, signed_payload: bool
) -> Iterator[list[Contender]]:
    """Start everybody, and put what will be read."""
    with ExitStack() as stack:
        bare_url, bare = stack.enter_context(serving(str(_HERE / "bare.py"), "127.0.0.1:0"))
        url, process = stack.enter_context(proxy(folder / "proxy", folder / PROFILE))
        unsigned = Signer(bare_url, Credentials(_ID, _SECRET), "bench", "bare", {}, signed_payload)
        found = [Contender(BARE, unsigned, bare)]
        signers = proxy_signers(url, signed_payload=signed_payload)
        found += [Contender(name, signer, process) for name, signer in signers.items()]
        if endpoint is not None:
            found.append(_endpoint(stack, endpoint, pid, signed_payload=signed_payload))
        if backend:
            found += _over_a_backend(stack, folder, signed_payload=signed_payload)
        for contender in found[1:]:
            seed(contender.signer, cases, lists=contender.name not in (KMS, WEED))
        yield found


def _over_a_backend(stack: ExitStack, folder: Path, *, signed_payload: bool) -> list[Contender]:
    """A SeaweedFS by itself, and the proxy over it."""
    weed = stack.enter_context(seaweed.running(folder / "weed"))
    behind = weed.backend
    credentials = Credentials(behind.access_key_id, behind.secret)
    plain = Signer(behind.endpoint, credentials, _make_bucket(behind.endpoint, credentials), "weed", {}, signed_payload)
    words = ("--backend", "s3", "--backend-endpoint", behind.endpoint)
    access = {
        "SSEPROXY_BACKEND_ACCESS_KEY_ID": behind.access_key_id,
        "SSEPROXY_BACKEND_SECRET_ACCESS_KEY": behind.secret,
    }
    url, process = stack.enter_context(proxy(folder / "over", folder / "unused.json", *words, **access))
    over = proxy_signers(url, signed_payload=signed_payload)[KMS]
    assert weed.process is not None
    return [Contender(WEED, plain, Process(weed.process.pid)), Contender(OVER, over, process)]


def _endpoint(stack: ExitStack, url: str, pid: int | None, *, signed_payload: bool) -> Contender:
    """Somebody else's server, with the credentials and headers that the environment gives."""
    token = os.environ.get("AWS_SESSION_TOKEN")
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], token)
    url = url.rstrip("/")
    bucket = _make_bucket(url, credentials)
    stack.callback(_empty, url, credentials, bucket)
    sse = {_SSE: kind} if (kind := os.environ.get("BENCH_SSE")) else {}
    signer = Signer(url, credentials, bucket, "endpoint", sse, signed_payload)
    return Contender(ENDPOINT, signer, Process(pid) if pid is not None else None)


def _client(service: str, endpoint: str, credentials: Credentials) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
        config=Config(s3={"addressing_style": "path"}),
    )


def _make_bucket(endpoint: str, credentials: Credentials) -> str:
    bucket = f"bench-{secrets.token_hex(6)}"
    _client("s3", endpoint, credentials).create_bucket(Bucket=bucket)
    return bucket


def _empty(endpoint: str, credentials: Credentials, bucket: str) -> None:
    """Leave nothing at somebody else's server."""
    s3 = _client("s3", endpoint, credentials)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=one["Key"])
    s3.delete_bucket(Bucket=bucket)
