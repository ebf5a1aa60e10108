"""The ten checksums against published check values, and against botocore's and awscrt's own."""

import base64
import hashlib
from collections.abc import Callable

import botocore.session
import pytest
from awscrt.checksums import XXHash
from botocore.httpchecksum import _CHECKSUM_CLS
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.checksums import (
    COMPOSITE,
    FULL_OBJECT,
    Algorithm,
    by_header,
    composite,
    decode,
    encode,
    full_object,
    new_digest,
)
from sseproxy.s3.errors import InvalidRequest

CHECK_VALUES = {
    Algorithm.CRC32: "cbf43926",
    Algorithm.CRC32C: "e3069283",
    Algorithm.CRC64NVME: "ae8b14860a799888",
    Algorithm.MD5: "25f9e794323b453885f5181f1b624d0b",
    Algorithm.SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    Algorithm.SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}
EMPTY_VALUES = {
    Algorithm.XXHASH64: "ef46db3751d8e999",
    Algorithm.XXHASH3: "2d06800538d394c2",
    Algorithm.XXHASH128: "99aa06d3014798d86001c324468d497f",
}


def digest(algorithm: Algorithm, *blocks: bytes) -> bytes:
    running = new_digest(algorithm)
    for block in blocks:
        running.update(block)
    return running.digest()


def test_the_algorithms_are_those_of_the_s3_model() -> None:
    model = botocore.session.Session().get_service_model("s3")
    assert sorted(Algorithm) == sorted(model.shape_for("ChecksumAlgorithm").enum)
    members = model.operation_model("PutObject").input_shape.members
    names = {members[f"Checksum{algorithm}"].serialization["name"].lower() for algorithm in Algorithm}
    assert names == {algorithm.header for algorithm in Algorithm}
    assert all(by_header(algorithm.header) is algorithm for algorithm in Algorithm)
    assert by_header("x-amz-checksum-type") is None


@pytest.mark.parametrize("algorithm", CHECK_VALUES)
def test_the_check_value_of_the_nine_digits_is_the_published_one(algorithm: Algorithm) -> None:
    assert digest(algorithm, b"123456789").hex() == CHECK_VALUES[algorithm]


@pytest.mark.parametrize("algorithm", EMPTY_VALUES)
def test_the_xxhash_of_nothing_is_the_published_one(algorithm: Algorithm) -> None:
    assert digest(algorithm).hex() == EMPTY_VALUES[algorithm]


@pytest.mark.parametrize(
    ("algorithm", "compute"),
    [
        (Algorithm.XXHASH64, XXHash.compute_xxhash64),
        (Algorithm.XXHASH3, XXHash.compute_xxhash3_64),
        (Algorithm.XXHASH128, XXHash.compute_xxhash3_128),
    ],
)
def test_xxhash_is_the_same_as_in_awscrt(algorithm: Algorithm, compute: Callable[[bytes], bytes]) -> None:
    data = bytes(range(256)) * 300
    assert digest(algorithm, data) == compute(data)


@pytest.mark.parametrize("algorithm", sorted(_CHECKSUM_CLS))
def test_every_checksum_that_botocore_sends_is_the_same_here(algorithm: str) -> None:
    data = bytes(range(256)) * 300
    assert encode(digest(Algorithm(algorithm.upper()), data[:7], data[7:])) == _CHECKSUM_CLS[algorithm]().handle(data)


@pytest.mark.parametrize("algorithm", Algorithm)
@given(blocks=st.lists(st.binary(max_size=300), max_size=6))
def test_the_cuts_between_blocks_do_not_matter(algorithm: Algorithm, blocks: list[bytes]) -> None:
    assert digest(algorithm, *blocks) == digest(algorithm, b"".join(blocks))


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_value_is_read_back_and_any_other_size_or_text_is_refused(algorithm: Algorithm) -> None:
    value = digest(algorithm, b"data")
    assert decode(algorithm, encode(value)) == value
    for text in (
        "",
        "=",
        "%%%%",
        encode(value[:-1]),
        encode(value + b"x"),
        encode(value)[:-1],
        encode(value) + "\n",
        "é",
    ):
        with pytest.raises(InvalidRequest, match=f"^Value for {algorithm.header} header is invalid.$"):
            decode(algorithm, text)


@pytest.mark.parametrize("algorithm", sorted(FULL_OBJECT))
@given(parts=st.lists(st.binary(max_size=200), max_size=6))
def test_the_crc_of_a_whole_comes_from_the_crcs_of_its_parts(algorithm: Algorithm, parts: list[bytes]) -> None:
    known = [(digest(algorithm, part), len(part)) for part in parts]
    assert full_object(algorithm, known) == digest(algorithm, *parts)


def test_the_order_of_parts_matters_to_a_whole() -> None:
    parts = [(digest(Algorithm.CRC64NVME, part), len(part)) for part in (b"one", b"three")]
    assert full_object(Algorithm.CRC64NVME, parts) != full_object(Algorithm.CRC64NVME, parts[::-1])


def test_a_composite_is_the_checksum_of_checksums_and_their_number() -> None:
    parts = [hashlib.sha256(part).digest() for part in (b"one", b"two", b"three")]
    whole = base64.b64encode(hashlib.sha256(b"".join(parts)).digest()).decode()
    assert composite(Algorithm.SHA256, parts) == f"{whole}-3"
    assert composite(Algorithm.SHA256, parts[::-1]) != f"{whole}-3"


def test_only_the_crcs_make_a_full_object_and_crc64nvme_nothing_else() -> None:
    assert sorted(FULL_OBJECT) == ["CRC32", "CRC32C", "CRC64NVME"]
    assert set(Algorithm) - COMPOSITE == {Algorithm.CRC64NVME}
