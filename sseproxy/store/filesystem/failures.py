"""What the operating system and SQLite report, in the contract's words.

The one place where foreign errors become the store's; the original stays as `__cause__` at every `raise ... from`.
"""

import errno
import sqlite3

from sseproxy.store.contract import OutOfSpace, StoreError, StoreFailure

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def converted(error: OSError | sqlite3.Error) -> StoreError:
    """OutOfSpace where the disk or the quota is full, else StoreFailure."""
    if isinstance(error, OSError):
        full = error.errno in _NO_ROOM
    else:
        # An exception that the Python module raised itself carries no code.
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return OutOfSpace() if full else StoreFailure(f"the file store failed: {error}")
