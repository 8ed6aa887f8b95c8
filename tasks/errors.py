"""The errors meant for people, for rooms that do not import the core."""

from clipomaly_core.errors import UsageError, UserError

__all__ = ["UsageError", "UserError"]
