"""Stored bytes and headers in, verified plaintext out: a reader made from sseproxy/FORMAT.md, without sseproxy.

reader.py HEADERS BUCKET KEY                             what to ask KMS's Decrypt for the data key, as JSON
reader.py HEADERS BUCKET KEY BODY OUT DATA_KEY           with the data key that it answered, in hex or base64
reader.py HEADERS BUCKET KEY BODY OUT MATERIAL KEY_ID    with the KMS key's own material instead

HEADERS: a JSON file, the headers that an S3 server returned, or the `headers` column of the filesystem store's index.
BODY: the stored bytes. A secret given as - is read from standard input. OUT is written when everything has verified.
"""

import base64
import hmac
import json
import re
import sys
from io import BytesIO
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

S, M, META, UNKNOWN = 65_536, 5_242_880, "x-amz-meta-", b"\xff" * 8
FILLED, TYPED = r"^(=\?UTF-8\?B\?\?=+)=\Z|^=\?UTF-8\?B\?\?=\Z", r"^(application/octet-stream.*); ssep=1\Z"
SYSTEM = ["content-type", "content-encoding", "content-language", "content-disposition", "cache-control", "expires"]
SYSTEM += ["x-amz-website-redirect-location"]
number = int.from_bytes


def need(holds: object, why: str) -> None:
    if not holds:
        raise ValueError(why)


def lp(field: str | bytes | None) -> bytes:
    data = field.encode() if isinstance(field, str) else field
    return b"\xff\xff" if data is None else len(data).to_bytes(2) + data


def mac(key: bytes, message: bytes) -> bytes:  # HKDF-Extract as well, and HKDF-Expand to 32 bytes: of info || 1
    return hmac.digest(key, message, "sha256")


def gcm(key: bytes, nonce: bytes, sealed: bytes, aad: bytes, why: str) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise ValueError(why) from None


def open_blob(blob: bytes, material: bytes, key_id: str, context: dict[str, str]) -> bytes:
    need(len(blob) > 106 and blob[0] == 1 and blob[1] < 2, "InvalidCiphertext: no blob of the key service")
    need("mrk" * blob[1] + blob[2:18].hex() == key_id.replace("-", ""), "InvalidCiphertext: made by another KMS key")
    key = mac(root := mac(blob[26:58], material), b"ssep/kms/v1\1")
    need(hmac.compare_digest(mac(root, key + b"ssep/kms/v1\2"), blob[-32:]), "InvalidCiphertext: other key material")
    canonical = b"".join(lp(text) for pair in sorted(context.items()) for text in pair)
    return gcm(key, bytes(12), blob[58:-32], blob[:58] + canonical, "InvalidCiphertext: altered, or another context")


class Envelope:  # fields that are absent are None; nothing of it is to be believed before `open`
    def __init__(self, text: str) -> None:
        need(re.fullmatch("([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3})?", text), "BadEnvelope: not base64url")
        raw = BytesIO(data := base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        need(base64.urlsafe_b64encode(data).decode().rstrip("=") == text, "BadEnvelope: unused bits that are not zero")
        self.fixed, self.context, count, self.seal = raw.read(28), self._lp(raw), raw.read(1), raw.read(81)
        self.wrapped, self.key_arn, self.mac = self._lp(raw), self._lp(raw), raw.read()
        need(len(self.mac) == 32, "BadEnvelope: cut short, or bytes after the end")
        self.sse, self.flags, size = self.fixed[2], self.fixed[3], self.fixed[20:]
        good = self.fixed[:2] + count + self.seal[:1] == bytes((1, 1, 1, self.sse)) and 1 <= self.sse <= 3
        good = good and self.flags < 4 and (size == UNKNOWN or size[:2] == b"\0\0")
        texts = b"%b\n%b" % (self.context or b"", self.key_arn or b"")
        good = good and (self.wrapped is None) == (self.sse == 3) and texts.decode(errors="ignore").encode() == texts
        need(good, "BadEnvelope: a value that is not known here")

    def _lp(self, raw: BytesIO) -> bytes | None:
        length = number(raw.read(2))
        return None if length == 0xFFFF else raw.read(length)

    def kms_context(self, bucket: str, key: str) -> dict[str, str]:
        place = bucket if self.sse == 1 or self.flags & 2 else f"{bucket}/{key}"
        return {**json.loads(self.context or "{}"), "aws:s3:arn": f"arn:aws:s3:::{place}"}

    def open(self, data_key: bytes, arn: str, system: dict[str, str], user: dict[str, str]) -> bytes:
        kek = mac(mac(self.seal[1:33], data_key), b"ssep/v1/kek" + self.seal[:1] + b"\1")
        prk = mac(b"ssep/v1", gcm(kek, bytes(12), self.seal[33:], self.fixed + lp(arn), "WrongKey: does not open"))
        need(not system.keys() - SYSTEM, "BadEnvelope: a header that the MAC leaves out")
        message = self.fixed + lp(self.context) + self.seal + lp(arn) + b"".join(lp(system.get(one)) for one in SYSTEM)
        message += len(user).to_bytes(4) + b"".join(lp(text) for pair in sorted(user.items()) for text in pair)
        need(hmac.compare_digest(mac(mac(prk, b"ssep/v1/meta\1"), message), self.mac), "MacMismatch: not as written")
        return prk


def open_part(prk: bytes, n: int, p: int, salt: bytes, sealed: bytes, why: str, first: int = 0) -> bytes:
    key, raw, text = mac(prk, b"ssep/v1/part\1" + n.to_bytes(2) + salt + b"\1"), BytesIO(sealed), []
    for index in range(first, max(1, -(-p // S))):
        segment = raw.read(size := min(S, p - index * S) + 32)
        need(len(segment) == size and segment[:16] == salt, why)
        text.append(gcm(key, bytes((0, (index + 1) * S >= p, 0, 0)) + index.to_bytes(8), segment[16:], b"", why))
    return b"".join(text)


def open_footer(prk: bytes, end: bytes, stored: int) -> tuple[int, int, list[tuple[int, int, bytes]]]:
    size = number(end[-8:])
    n, rest = divmod(size - 32 * -(-size // (S + 32)) - 256, 88)
    need(end[-16:-8] == b"SSEP\1\0\0\0" and 0 == rest < n <= 10_000 and size + 16 <= len(end), "BadFooter: no tail")
    ct = end[-16 - size : -16]
    text = open_part(prk, 0xFFFF, 256 + 88 * n, ct[:16], ct, "BadFooter: does not open")
    kind, total, entries = text[1], number(text[8:16]), [text[at : at + 24] for at in range(256, len(text), 88)]
    numbers, lengths = [number(one[:2]) for one in entries], [number(one[2:8]) for one in entries]
    good = numbers[0] > 0 and numbers[-1] <= 10_000 and numbers == sorted({*numbers}) if kind else numbers == [0]
    good = good and text[0] == 1 and kind < 2 and text[2:8] == n.to_bytes(6) and sum(lengths) == total < 1 << 48
    need(good and min([M, *lengths[:-1]]) == M, "BadFooter: values that no object has")
    need(total + 32 * max(1, -(-total // S)) + 264 + 128 * (1 + total // M) == stored, "BadLayout: not its size")
    return kind, total, [(*pair, one[8:]) for *pair, one in zip(numbers, lengths, entries, strict=True)]


def read(envelope: Envelope, prk: bytes, body: bytes) -> bytes:
    kind, total, parts = open_footer(prk, body, len(body))
    need(kind == envelope.flags & 1 and envelope.fixed[20:] in (UNKNOWN, total.to_bytes(8)), "BadLayout: contradiction")
    raw, why = BytesIO(body), "BadSegment: altered, moved, cut short or of another attempt"
    return b"".join(open_part(prk, n, p, s, raw.read(p + 32 * max(1, -(-p // S))), why) for n, p, s in parts)


def load_headers(text: str) -> tuple[Envelope, dict[str, str], dict[str, str]]:
    if isinstance(found := json.loads(text), list):
        need(len(dict(found[1])) == len(found[1]), "BadEnvelope: a system header twice")
        return Envelope(found[0]), dict(found[1]), dict(found[2])
    low = {name.lower(): value for name, value in found.items()}
    user = {name[len(META) :]: re.sub(FILLED, r"\1", low[name]) for name in low if name.startswith(META)}
    return Envelope(user.pop("ssep", "")), {n: re.sub(TYPED, r"\1", low[n]) for n in SYSTEM if n in low}, user


def main(headers: str, bucket: str, key: str, body: str = "", out: str = "", given: str = "", key_id: str = "") -> None:
    envelope, system, user = load_headers(Path(headers).read_text())
    context, wrapped = envelope.kms_context(bucket, key), envelope.wrapped or b""
    if out:
        given = sys.stdin.read().strip() if given == "-" else given
        secret = bytes.fromhex(given) if len(given) == 64 else base64.b64decode(given)
        data_key = open_blob(wrapped, secret, key_id, context) if key_id else secret
        prk = envelope.open(data_key, f"arn:aws:s3:::{bucket}/{key}", system, user)
        Path(out).write_bytes(read(envelope, prk, Path(body).read_bytes()))
    else:
        print(json.dumps({"CiphertextBlob": base64.b64encode(wrapped).decode(), "EncryptionContext": context}))


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]) if len(sys.argv) in (4, 7, 8) else __doc__)
    except (OSError, TypeError, ValueError) as problem:
        sys.exit(f"reader: {problem}")
