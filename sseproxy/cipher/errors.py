"""What can be wrong with stored bytes, one class per meaning.

Every `CipherError` is about bytes that somebody else may have altered; its text names the rule that failed and holds no
key and no plaintext. `CipherMisuse` is the other kind of failure: a state that our own callers must never reach.
"""


class CipherError(Exception):
    """Stored bytes that cannot be accepted; nothing that follows from them may be used."""


class BadEnvelope(CipherError):
    """The envelope does not parse, is of a version or suite not known here, or holds a field that cannot be encoded."""


class WrongKey(CipherError):
    """The seal does not open: another data key, another object's ARN, or altered bytes. Never says which."""


class MacMismatch(CipherError):
    """The envelope's MAC does not verify: header, metadata, ARN or object key differ from what was written."""


class BadSegment(CipherError):
    """A segment's tag, place, length or salt is wrong, or segments are missing or too many."""


class BadFooter(CipherError):
    """The footer does not open, or contradicts itself."""


class BadLayout(CipherError):
    """A size that no object has, or a range outside the plaintext."""


class CipherMisuse(RuntimeError):
    """An impossible state of ours; the text names the module."""
