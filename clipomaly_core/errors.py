"""Errors that are meant for the person at the terminal."""


class UserError(Exception):
    """Something the user can mend. The message is one line: what happened, and what to do."""


class UsageError(UserError):
    """An option, model name or vocabulary that is wrong as given: nothing was begun."""
