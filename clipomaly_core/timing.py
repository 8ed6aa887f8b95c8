"""Time that the method takes: a line now and then while a start is slow, and the seconds of its steps."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

logger = logging.getLogger(__name__)

_SILENT_SECONDS = 2.0
"""What is done by then says nothing."""
_EVERY_SECONDS = 5.0
Step = Literal["scoring", "naming"]


class SlowStart:
    """Progress of one slow step.

    Example:
        >>> from clipomaly_core.timing import SlowStart
        >>> step = SlowStart("embedding names", 1_728)
        >>> step.done(256)  # says nothing before two seconds have passed
    """

    def __init__(self, what: str, total: float, unit: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            what: what goes on, such as "embedding names".
            total: how much there is to do.
            unit: of ``total``, as it is printed behind the number.
            clock: seconds.
        """
        self._what, self._total, self._unit, self._clock = what, total, unit, clock
        self._next = clock() + _SILENT_SECONDS

    def done(self, amount: float) -> None:
        """So much is done in all."""
        if self._clock() >= self._next and amount < self._total:
            logger.warning("%s: %s of %s%s", self._what, f"{amount:,.0f}", f"{self._total:,.0f}", self._unit)
            self._next = self._clock() + _EVERY_SECONDS


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
