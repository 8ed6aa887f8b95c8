"""Measure the seconds of the steps of the method."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Step = Literal["scoring", "naming"]


@dataclass(slots=True)
class Steps:
    """Seconds of dense features and anomaly scores, and of regions, their names and the segmentation with these."""

    scoring: float = 0.0
    naming: float = 0.0


# One a thread, as threads may share a model.
_collecting: ContextVar[Steps | None] = ContextVar("steps", default=None)


@contextmanager
def count_steps() -> Iterator[Steps]:
    """Add up the steps of all calls of a model within this block and thread."""
    steps = Steps()
    token = _collecting.set(steps)
    try:
        yield steps
    finally:
        _collecting.reset(token)


@contextmanager
def step(name: Step) -> Iterator[None]:
    """What runs in this block is the step of that name."""
    started = time.perf_counter()
    yield
    steps = _collecting.get()
    if steps is not None:
        setattr(steps, name, getattr(steps, name) + time.perf_counter() - started)
