"""A ciphertext that AES-GCM opens under two keys (Dodis et al., "Fast Message Franking", 2018, section 3).

The tag is a polynomial in each key's hash key, so one free block makes two tags equal: a linear equation in GF(2^128).
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_R = 0xE1 << 120


def _times(x: int, y: int) -> int:
    """The product in GCM's field (NIST SP 800-38D, section 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (_R if y & 1 else 0)
    return product


def _inverse(x: int) -> int:
    """x to the power 2^128 - 2."""
    result, power = 1 << 127, x
    for _ in range(127):
        power = _times(power, power)
        result = _times(result, power)
    return result


def _block(key: bytes, block: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block, as GCM itself uses it
    return int.from_bytes(encryptor.update(block) + encryptor.finalize())


def _blocks(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 16].ljust(16, b"\0")) for at in range(0, len(data), 16)]


def _hash(h: int, blocks: list[int]) -> int:
    found = 0
    for block in blocks:
        found = _times(found ^ block, h)
    return found


def collide(keys: tuple[bytes, bytes], nonce: bytes, aad: bytes, blocks: int) -> bytes:
    """Ciphertext of so many 16-byte blocks, and its tag, that both keys open under this nonce and this aad."""
    lengths = (len(aad) * 8) << 64 | blocks * 128
    start = [*_blocks(aad), *range(1, blocks)]
    # the free block is the ciphertext's last: the hash multiplies it by H^2
    hashes = [_block(key, bytes(16)) for key in keys]
    masks = [_block(key, nonce + b"\0\0\0\1") for key in keys]
    ends = [_hash(h, [*start, 0, lengths]) ^ mask for h, mask in zip(hashes, masks, strict=True)]
    factor = _times(hashes[0], hashes[0]) ^ _times(hashes[1], hashes[1])
    free = _times(ends[0] ^ ends[1], _inverse(factor))
    tag = _hash(hashes[0], [*start, free, lengths]) ^ masks[0]
    return b"".join(block.to_bytes(16) for block in (*range(1, blocks), free, tag))
