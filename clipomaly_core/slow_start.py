"""A line from time to time during slow work before the first frame, so that nobody waits in silence."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_SILENT_SECONDS = 2.0
"""What is done by then says nothing."""
_EVERY_SECONDS = 5.0


class SlowStart:
    """Progress of one slow step.

    Example:
        >>> from clipomaly_core.slow_start import SlowStart
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
