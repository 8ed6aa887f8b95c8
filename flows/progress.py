"""How far a scan is, on the terminal: a bar for people, plain lines for logs."""

import sys
import time
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 10.0  # a plain line so often


class Reporter(Protocol):
    """Somebody who wants to know how far a scan is."""

    def begin(self, frames: int, shards: int) -> None:
        """So many frames (an estimate from the footage) in so many shards are to be scanned."""

    def frames(self, count: int) -> None:
        """So many more frames are done."""


class Silent:
    """Tells nobody: for flows that nobody watches on a terminal."""

    def begin(self, frames: int, shards: int) -> None:
        """See Reporter."""

    def frames(self, count: int) -> None:
        """See Reporter."""


_SILENT = Silent()
_reporter: ContextVar[Reporter] = ContextVar("reporter", default=_SILENT)


def current_reporter() -> Reporter:
    """Who watches the scan that runs in this context.

    A function, because Prefect sends flows to worker processes with the objects that they name, and a context
    variable cannot be sent.
    """
    return _reporter.get()


class TerminalProgress:
    """A rich bar with frames a second and time left where stderr is a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("scanning"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("scan", total=0, speed="")
        self._total = self._done = 0
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._token = _reporter.set(self)
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _reporter.reset(self._token)
        self._bar.stop()

    def begin(self, frames: int, shards: int) -> None:
        """See Reporter."""
        self._total, self._done = frames, 0
        self._started = self._told = time.monotonic()
        self._bar.update(self._task, total=frames, completed=0)
        if not self._console.is_terminal:
            several = "" if shards == 1 else "s"
            print(f"scanning about {frames} frames in {shards} shard{several}", file=sys.stderr, flush=True)

    def frames(self, count: int) -> None:
        """See Reporter."""
        self._done += count
        self._total = max(self._total, self._done)
        now = time.monotonic()
        speed = self._done / max(now - self._started, 1e-9)
        self._bar.update(self._task, completed=self._done, total=self._total, speed=f"{speed:.1f} frames/s")
        if not self._console.is_terminal and now - self._told >= _LINE_SECONDS:
            self._told = now
            left = (self._total - self._done) / speed
            print(
                f"{self._done}/{self._total} frames, {speed:.1f} frames/s, about {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
