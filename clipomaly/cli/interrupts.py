"""Ctrl-C and SIGTERM: the command ends within seconds, and prints what is done or what it waits for."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SILENCE_SECONDS = 1.5  # after which a line says what the command waits for
_TERMINATED_SECONDS = 8.0  # after SIGTERM, then it ends whatever is under way: commits are whole or not there


class Interrupted(BaseException):
    """The signal that ends this command. Not an Exception: nothing between here and its handler may take it for one
    shard's trouble."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextmanager
def interruptible(so_far: Callable[[], str]) -> Iterator[None]:
    """Run work that Ctrl-C or SIGTERM ends: with a sentence (``so_far``) on stderr and exit status 130 or 143.

    What is under way in other threads and processes is let go. A second Ctrl-C does not wait for anything.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    ended = threading.Event()

    def end(number: int) -> None:
        with suppress(OSError, ValueError):
            print(so_far(), file=sys.stderr, flush=True)
            sys.stdout.flush()
        os._exit(128 + number)  # an orderly end would wait for the threads of shards that are under way

    def watch() -> None:
        """Python's own handlers wait for what runs in C: this thread does not."""
        number = _next_signal(reading)
        if number is None or ended.wait(_SILENCE_SECONDS):
            return
        print("stopping: waiting for running work; Ctrl-C again ends it at once", file=sys.stderr, flush=True)
        if number == signal.SIGTERM:
            if not ended.wait(_TERMINATED_SECONDS - _SILENCE_SECONDS):
                end(number)
        elif _next_signal(reading) is not None and not ended.is_set():
            end(number)

    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="interrupts", daemon=True)
    watcher.start()
    try:
        yield
    except Interrupted as stop:
        ended.set()
        end(stop.number)
    finally:
        ended.set()
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writing)
        watcher.join()
        os.close(reading)


def _next_signal(pipe: int) -> int | None:
    """The next signal that ends this command, None once the other end is closed."""
    while data := os.read(pipe, 1):
        if data[0] in (signal.SIGINT, signal.SIGTERM):
            return data[0]
    return None
