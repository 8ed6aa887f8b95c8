"""The review queue, on SQLite or PostgreSQL, and its web page. ``Queue`` is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING

from review.errors import BadInputError, ConflictError, ReviewError, UnavailableError, UnknownItemError

if TYPE_CHECKING:
    from review.queue import Enqueued, Queue
    from review.reads import Filters

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

_HOMES = {"Enqueued": "review.queue", "Filters": "review.reads", "Queue": "review.queue"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
