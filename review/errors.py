"""The errors of the review queue, for people: one line that says what happened and what to do."""


class ReviewError(Exception):
    """An error that the user can solve."""


class BadInputError(ReviewError):
    """An input cannot be used: a name, an item, a file, a number."""


class UnknownItemError(ReviewError):
    """No item of the queue has this id."""


class ConflictError(ReviewError):
    """Another reviewer holds or decided the item, or there is nothing to undo."""


class UnavailableError(ReviewError):
    """The database does not answer. Nothing was changed; the same call can be repeated."""
