"""The errors of the review queue that are meant for people: one line that says what happened and what to do."""


class ReviewError(Exception):
    """Something the user can mend."""


class BadInputError(ReviewError):
    """What was handed in cannot be taken: a name, an item, a file, a number."""


class UnknownItemError(ReviewError):
    """No item of the queue has this id."""


class ConflictError(ReviewError):
    """The item is held or was decided by somebody else, or there is nothing to take back."""


class UnavailableError(ReviewError):
    """The database does not answer. Nothing was changed; the same call may be made again."""
