"""The embedded store: a folder of SQLite indexes and blob files."""

from .store import FilesystemStore

__all__ = ["FilesystemStore"]
