"""ETags between a backend and our clients: the one file that holds the mapping.

An S3 server shows the MD5 of what it was given, which is ciphertext; a client that compares it with its plaintext's MD5
would see damage. So what looks like an MD5 gets `-1` behind it, as an object of one part has it; an ETag with a dash in
it goes through as it is. The mapping forgets whether `-1` was there before: it is undone only beside a backend's ETag
that is at hand (`shows`), never by cutting off.
"""

_SUFFIX = "-1"


def bare(header: str) -> str:
    """An ETag without its quotes and without the mark of a weak one."""
    return header.strip().removeprefix("W/").strip('"')


def quoted(backend_etag: str) -> str:
    """As the backend's headers and documents have it."""
    return f'"{backend_etag}"'


def shown(backend_etag: str) -> str:
    """What clients see of a backend's ETag."""
    return backend_etag if "-" in backend_etag else backend_etag + _SUFFIX


def shows(backend_etag: str, expected: str) -> bool:
    """Whether a client that expects `expected` means the object with this ETag at the backend."""
    return shown(backend_etag) == expected
