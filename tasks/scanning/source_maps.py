"""Hold back the frames of a source until it is known what its camera always sees.

A find needs what is subtracted from its scores (``clipomaly_core.scores``), and that needs other frames of the same
source. A few frames wait for each other, and each group uses up to ``_WINDOW`` frames so far. What a frame gets depends
only on the frames of its source, in their order, so that a rerun writes the same rows.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from clipomaly_core.regions import Logits
from clipomaly_core.scores import usual_excess

_GROUP = 8
"""Frames that wait for each other: as many as memory allows, since each keeps its features until then."""
_WINDOW = 64
"""Frames of which the map is made at most: about a minute."""


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
