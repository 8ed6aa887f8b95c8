"""The steps of a night beside its shards, and how each ended: records, mining, report, messages."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from review.errors import ReviewError
from schemas.safe_text import masked
from tasks.errors import UserError

log = logging.getLogger("clipomaly.night")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: whether it succeeded, its result in one line, and how long it took."""

    name: str
    ok: bool
    detail: str
    seconds: float


def run_step(name: str, work: Callable[[], str]) -> Step:
    """Do the work, which returns its result in one line. An error fails the step, never the night."""
    started = time.perf_counter()
    try:
        detail, ok = work(), True
    except Exception as error:
        known = isinstance(error, UserError | ReviewError)
        detail, ok = one_line(error), False
        log.error("%s failed: %s", name, detail, exc_info=None if known else error)
    step = Step(name, ok, detail, time.perf_counter() - started)
    log.info("%s: %s", name, step.detail, extra={"step": name, "ok": ok, "seconds": round(step.seconds, 3)})
    return step


def one_line(error: BaseException) -> str:
    """The text of an error, for people, without secrets."""
    known = isinstance(error, UserError | ReviewError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    lines = text.strip().splitlines()
    return masked(lines[0]) if lines else type(error).__name__
