"""The store over any S3 server."""

from .capabilities import Capabilities
from .client import Endpoint, Timeouts
from .retries import Retries
from .signing import Credentials, CredentialSource
from .store import S3Store

__all__ = ["Capabilities", "CredentialSource", "Credentials", "Endpoint", "Retries", "S3Store", "Timeouts"]
