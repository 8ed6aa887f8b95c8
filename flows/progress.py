"""The progress of a scan on the terminal: a bar for people, plain lines for logs."""

import sys
import time
from contextvars import ContextVar
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

_LINE_SECONDS = 10.0  # a plain line so often


class Reporter(Protocol):
    """Receives the progress of a scan."""

    def begin(self, frames: int, shards: int) -> None:
        """The scan has this many frames (estimated from the footage) in this many shards."""

    def begin_reference(self, frames: int) -> None:
        """A reference will be made from this many frames."""

    def frames(self, count: int) -> None:
        """This many more frames are done."""

    def shard(self) -> None:
        """One more shard is done, or lost."""


class Silent:
    """Ignores progress: for flows without a terminal."""

    def begin(self, frames: int, shards: int) -> None:
        """See Reporter."""

    def begin_reference(self, frames: int) -> None:
        """See Reporter."""

    def frames(self, count: int) -> None:
        """See Reporter."""

    def shard(self) -> None:
        """See Reporter."""


_SILENT = Silent()
_reporter: ContextVar[Reporter] = ContextVar("reporter", default=_SILENT)


def current_reporter() -> Reporter:
    """The reporter of the scan in this context. A function, because Prefect pickles flows for worker processes with the
    objects that they name, and a context variable cannot be pickled.
    """
    return _reporter.get()


class TerminalProgress:
    """A rich bar with frames a second and the time left if stderr is a terminal, else a line from time to time.
    ``plain`` always prints lines: use it if other lines go to stderr too, because they would break the bar.
    """

    def __init__(self, plain: bool = False) -> None:
        self._console = Console(stderr=True)
        self._plain = plain or not self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.fields[verb]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} frames"),
            TextColumn("{task.fields[speed]}"),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            disable=self._plain,
        )
        self._task = self._bar.add_task("scan", total=0, speed="", left="", verb="scanning")
        self._total = self._done = 0
        self._shards = self._shards_done = 0
        self._warm: tuple[float, int] | None = None  # when the first frames were done, and how many these were
        self._told = time.monotonic()

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
        several = "" if shards == 1 else "s"
        self._begin("scanning", frames, shards, f"scanning about {frames} frames in {shards} shard{several}")

    def begin_reference(self, frames: int) -> None:
        """See Reporter."""
        line = f"making a reference of the ordinary from {frames} frames"
        self._begin("looking for what is ordinary", frames, 1, line)

    def _begin(self, verb: str, frames: int, shards: int, line: str) -> None:
        self._total, self._done, self._shards, self._warm = frames, 0, shards, None
        self._told = time.monotonic()
        self._bar.update(self._task, total=frames, completed=0, verb=verb)
        if self._plain:
            print(line, file=sys.stderr, flush=True)

    def frames(self, count: int) -> None:
        """See Reporter."""
        now = time.monotonic()
        self._done += count
        self._total = max(self._total, self._done)
        if self._warm is None:  # models were loaded until here, so this says nothing about the speed
            self._warm = now, self._done
            self._bar.update(self._task, completed=self._done, total=self._total)
            return
        started, before = self._warm
        speed = max(self._done - before, 1e-9) / max(now - started, 1e-9)
        left = f"{timedelta(seconds=round((self._total - self._done) / speed))} left"
        self._bar.update(self._task, completed=self._done, total=self._total, speed=f"{speed:.1f} frames/s", left=left)
        if self._plain and now - self._told >= _LINE_SECONDS:
            self._told = now
            told = f"{self._done}/{self._total} frames, {speed:.1f} frames/s, about {left}"
            print(told, file=sys.stderr, flush=True)

    def shard(self) -> None:
        """See Reporter."""
        self._shards_done += 1

    def so_far(self) -> str:
        """What is done, in a sentence for the person who stops the scan."""
        if not self._shards:
            return "stopped before the first shard; the same command begins again"
        return (
            f"stopped: {self._shards_done} of {self._shards} shards done, {self._done} frames; "
            "the same command continues from there"
        )
