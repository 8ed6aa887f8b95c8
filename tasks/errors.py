"""Errors for people, for rooms that do not import the core, and the error that becomes the outcome of a source."""

from clipomaly_core.errors import UsageError, UserError

__all__ = ["BadUrlError", "DeniedError", "MissingExtraError", "SourceError", "UsageError", "UserError"]


class BadUrlError(UserError):
    """A URL that no storage can be asked for, whenever it is tried."""


class SourceError(Exception):
    """A source, or what is left of it, cannot be read. One line that says why."""


class DeniedError(SourceError):
    """A source may not be read: no fault of its content, and perhaps mended by the next scan."""


class MissingExtraError(DeniedError):
    """A source may be read only once more packages are installed; the message says which."""
