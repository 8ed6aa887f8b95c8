"""Errors for the person at the terminal."""


class UserError(Exception):
    """An error that the user can solve. The message is one line: what happened, and what to do."""


class UsageError(UserError):
    """A wrong option, model name or vocabulary. Nothing was begun."""
