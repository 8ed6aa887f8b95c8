"""The review queue, on SQLite or PostgreSQL, and its web page."""

from review.errors import BadInputError, ConflictError, ReviewError, UnavailableError, UnknownItemError
from review.filters import Filters
from review.queue import Enqueued, Queue

__all__ = [
    "BadInputError",
    "ConflictError",
    "Enqueued",
    "Filters",
    "Queue",
    "ReviewError",
    "UnavailableError",
    "UnknownItemError",
]
