"""Frames in batches, by their number and their pixels."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from tasks.footage.images import Rgb

MOST_PIXELS = 70_000_000
"""The most pixels in one batch: 32 frames of 1080p, or 8 of 4K. A larger frame is a batch of its own."""

T = TypeVar("T")
R = TypeVar("R")


def in_batches(items: Iterable[T], size: int, image: Callable[[T], Rgb | None]) -> Iterator[list[T]]:
    """Cut items with (H, W, 3) images, or none, into lists of at most ``size``, in order.

    A few large frames fill the memory as many small ones do. Equal items are always cut alike, so that a rerun computes
    the same.
    """
    batch: list[T] = []
    pixels = 0
    for item in items:
        frame = image(item)
        more = 0 if frame is None else frame.shape[0] * frame.shape[1]
        if batch and pixels + more > MOST_PIXELS:
            yield batch
            batch, pixels = [], 0
        batch.append(item)
        pixels += more
        if len(batch) == size:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def made_ahead(work: Callable[[T], R], items: Iterable[T], count: int) -> Iterator[tuple[T, R]]:
    """Each item with what ``work`` makes of it, in order.

    Args:
        work: runs in a thread of its own, for one item after the other.
        items: what it is done for.
        count: how many items are in work or handed on at the same time: at 2, the next is made while the caller uses
            the one before; at 1, nothing is made ahead.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        waiting: deque[tuple[T, Future[R]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(copy_context().run, work, item)))
            if len(waiting) == count:
                first, made = waiting.popleft()
                yield first, made.result()
        for item, made in waiting:
            yield item, made.result()
