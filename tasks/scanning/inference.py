"""Frames in batches through the model: by their pixels, and as many at a time as fit into the memory of its device.

The frames of a source are held back until it is known what its camera always sees.
"""

import logging
import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch

from clipomaly_core.crops import Moment
from clipomaly_core.errors import UserError
from clipomaly_core.regions import Logits
from clipomaly_core.scores import usual_excess
from clipomaly_core.types import Finish
from tasks.footage.images import Rgb

_GROUP = 8
"""Frames that wait for each other: as many as memory allows, since each keeps its features until then."""
_WINDOW = 64
"""Frames of which the map is made at most: about a minute."""
log = logging.getLogger(__name__)

MOST_PIXELS = 70_000_000
"""The most pixels in one batch: 32 frames of 1080p, or 8 of 4K. A larger frame is a batch of its own."""

R = TypeVar("R")


class Scored(Protocol):
    """A frame that has been scored."""

    @property
    def logits(self) -> Logits:
        """(h, w) float32: the logit of the anomaly score."""


T = TypeVar("T")
L = TypeVar("L", bound=Scored)


@dataclass(frozen=True, slots=True)
class Ready(Generic[T, L]):
    """A frame with what is to be subtracted from its logits, ``None`` where nothing is. ``group`` is the same for the
    frames that waited for each other, and for no others of the shard."""

    item: T
    look: L
    usual: Logits | None
    group: Hashable = None


@dataclass(slots=True)
class _Camera(Generic[T, L]):
    key: Hashable
    recent: deque[Logits] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    waiting: list[tuple[T, L]] = field(default_factory=list)
    released: int = 0


class SourceMaps(Generic[T, L]):
    """The maps of one source after the other; ``ordinary`` is the logit of ordinary places."""

    def __init__(self, ordinary: float) -> None:
        self._ordinary = ordinary
        self._source: Hashable = None
        self._cameras: dict[Hashable, _Camera[T, L]] = {}

    def add(self, source: Hashable, camera: Hashable, item: T, look: L) -> list[Ready[T, L]]:
        """Add the next frame of a source, in order. A new source ends the one before it.

        Returns:
            The frames that need not wait any more.
        """
        ready = self.close() if source != self._source else []
        self._source = source
        key = (camera, look.logits.shape)
        own = self._cameras.setdefault(key, _Camera((source, *key)))
        own.recent.append(look.logits)
        own.waiting.append((item, look))
        return ready + (self._release(own) if len(own.waiting) == _GROUP else [])

    def close(self) -> list[Ready[T, L]]:
        """The frames that still wait, when their source is at its end."""
        ready = [ready_frame for camera in self._cameras.values() for ready_frame in self._release(camera)]
        self._cameras.clear()
        return ready

    def _release(self, camera: _Camera[T, L]) -> list[Ready[T, L]]:
        usual = usual_excess(camera.recent, self._ordinary) if camera.waiting else None
        group = (camera.key, camera.released)
        ready = [Ready(item, look, usual, group) for item, look in camera.waiting]
        camera.waiting.clear()
        camera.released += 1
        return ready


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


class Model(Protocol[L]):
    """The model of a shard: ``clipomaly_core.Clipomaly``, or anything with the same methods."""

    @property
    def batch_size(self) -> int:
        """How many frames one call should hold."""

    @property
    def batches_in_flight(self) -> int:
        """How many batches may be looked at, and searched for finds, at the same time."""

    @property
    def ordinary_logit(self) -> float:
        """The logit of the anomaly score of ordinary places."""

    def look(self, frames: Sequence[Rgb], /) -> list[L]:
        """(H, W, 3) uint8 RGB frames, of any sizes → their features and scores."""

    def find(
        self,
        looks: Sequence[L],
        usual: Sequence[Logits | None] | None = None,
        moments: Sequence[Moment | None] | None = None,
        /,
    ) -> list[Finish]:
        """Looks, what is subtracted from the logits of each, and when each was taken → what is in each, but for what
        any thread can do."""


@dataclass(slots=True)
class _Limit:
    """How many frames go in together; halved when that is too many."""

    size: int


@dataclass(slots=True)
class Inference(Generic[L]):
    """``batch_size`` frames come at a time, and that many are looked at together, or fewer where the memory is too
    small. What is found in them is found in all of them together: objects are followed from frame to frame."""

    model: Model[L]
    batch_size: int
    notes: list[str] = field(default_factory=list)
    _looking: _Limit = field(init=False)
    _finding: _Limit = field(default_factory=lambda: _Limit(sys.maxsize))

    def __post_init__(self) -> None:
        self._looking = _Limit(self.batch_size)

    def look(self, images: Sequence[Rgb]) -> list[L]:
        """``Model.look`` for any number of frames."""
        return self._in_parts(self.model.look, images, self._looking)

    def find(self, ready: Sequence[tuple[L, Logits | None, Moment]]) -> list[Finish]:
        """``Model.find`` for any number of frames: looks, what is subtracted from each, and when each was taken."""
        return self._in_parts(self._find, ready, self._finding)

    def _find(self, part: Sequence[tuple[L, Logits | None, Moment]]) -> list[Finish]:
        looks, usual, moments = zip(*part, strict=True)
        return self.model.find(looks, usual, moments)

    def _in_parts(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T], limit: _Limit) -> list[R]:
        results: list[R] = []
        while len(results) < len(items):
            part = items[len(results) : len(results) + limit.size]
            done = self._try(work, part)
            if done is None:
                self._halve(len(part), limit)
            else:
                results.extend(done)
        return results

    def _try(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R] | None:
        """What the model returns; None if the memory was too small. The memory of a failed call is freed on return."""
        try:
            return work(items)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
            if len(items) == 1:
                raise UserError(
                    "The memory of the accelerator is too small for one frame: choose a smaller short_side (--set), "
                    "stop other programs that use it, or take --device cpu."
                ) from error
            return None

    def _halve(self, tried: int, limit: _Limit) -> None:
        limit.size = tried // 2
        self.notes.append(f"the memory of the accelerator is too small for {tried} frames: continued with {limit.size}")
        log.warning("The memory of the accelerator is too small for %d frames; going on with %d", tried, limit.size)
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()  # otherwise fragments of the failed batch stay in memory


def _is_out_of_memory(error: RuntimeError) -> bool:
    # Errors outside of torch's own allocator, as in cuBLAS or on mps, have no class of their own.
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()
