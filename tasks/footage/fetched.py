"""Counts the bytes that are fetched from a store while a source is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Fetched:
    """The bytes that were counted so far."""

    bytes: int = 0


_counting: ContextVar[Fetched | None] = ContextVar("fetched", default=None)


@contextmanager
def count_fetched() -> Iterator[Fetched]:
    """Add up what this thread fetches within this block: the files of videos in a store, and headers."""
    fetched = Fetched()
    before = _counting.get()
    _counting.set(fetched)
    try:
        yield fetched
    finally:
        _counting.set(before)  # not by a token: a generator that holds this open may be closed by another thread


def add_fetched(count: int) -> None:
    """Count bytes that came from a store."""
    fetched = _counting.get()
    if fetched is not None:
        fetched.bytes += count
