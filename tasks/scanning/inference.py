"""Run the model with as many frames at a time as fit into the memory of its device."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import torch

from clipomaly_core.anomaly_regions import Logits
from clipomaly_core.errors import UserError
from clipomaly_core.types import Finish
from tasks.footage.images import Rgb
from tasks.scanning.source_maps import Scored

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
L = TypeVar("L", bound=Scored)


class Model(Protocol[L]):
    """The model of a shard: ``clipomaly_core.Clipomaly``, or anything with the same methods."""

    @property
    def batch_size(self) -> int:
        """How many frames one call should hold."""

    @property
    def ordinary_logit(self) -> float:
        """The logit of the anomaly score of ordinary places."""

    def look(self, frames: Sequence[Rgb], /) -> list[L]:
        """(H, W, 3) uint8 RGB frames, of any sizes → their features and scores."""

    def find(self, looks: Sequence[L], usual: Sequence[Logits | None] | None = None, /) -> list[Finish]:
        """Looks, and what is subtracted from the logits of each → what is in each, but for what any thread can do."""


@dataclass(slots=True)
class Inference(Generic[L]):
    """``batch_size`` frames come at a time; ``size`` of them go in together. ``size`` is halved when that is too
    many."""

    model: Model[L]
    batch_size: int
    size: int = field(init=False)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.batch_size

    def look(self, images: Sequence[Rgb]) -> list[L]:
        """``Model.look`` for any number of frames."""
        return self._in_parts(self.model.look, images)

    def find(self, looks: Sequence[L], usual: Sequence[Logits | None]) -> list[Finish]:
        """``Model.find`` for any number of frames."""
        pairs = list(zip(looks, usual, strict=True))
        return self._in_parts(lambda part: self.model.find([one for one, _ in part], [own for _, own in part]), pairs)

    def _in_parts(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        results: list[R] = []
        while len(results) < len(items):
            part = items[len(results) : len(results) + self.size]
            done = self._try(work, part)
            if done is None:
                self._halve(len(part))
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

    def _halve(self, tried: int) -> None:
        self.size = tried // 2
        self.notes.append(f"the memory of the accelerator is too small for {tried} frames: continued with {self.size}")
        log.warning("The memory of the accelerator is too small for %d frames; going on with %d", tried, self.size)
        if torch.accelerator.is_available():
            torch.accelerator.empty_cache()  # otherwise fragments of the failed batch stay in memory


def _is_out_of_memory(error: RuntimeError) -> bool:
    # Errors outside of torch's own allocator, as in cuBLAS or on mps, have no class of their own.
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()
