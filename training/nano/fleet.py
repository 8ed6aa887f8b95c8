"""Scenes of the demo fleet as training and evaluation see them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from demo_fleet import Kind, Rendered, Scene, sample_scene
from training.nano.data import VOID, Truth

SIZE = (360, 640)
_LOOKS = 8
"""Pictures that training makes of a road, each with other objects and another camera."""
_COUNTS = (0.06, 0.1, 0.14, 0.16, 0.16, 0.14, 0.12, 0.12)
"""How often 0 to 7 objects are planted for training: more than to evaluate, so that naming sees many."""
_NIGHTS = 0.3
"""Share of the roads at night, for training: more than to evaluate, since lights in the dark are hard."""
_OWN_CAR = 13
"""In training the own bonnet, void where it is judged, is a car: left out, it may be called anything."""


@dataclass(frozen=True, slots=True)
class FleetScenes:
    """Draws scenes in which only these kinds are planted; ``rows`` gives each name its row."""

    kinds: tuple[str | Kind, ...]
    rows: dict[str, int]

    def __call__(self, seed: int) -> Truth:
        """The scene of a seed."""
        return _truth(sample_scene(seed, SIZE, kinds=self.kinds), self.rows)


@dataclass(slots=True)
class FleetLooks:
    """The same for training, much faster: ``_LOOKS`` seeds in a row share a road, which is kept for the next one."""

    kinds: tuple[str, ...]
    rows: dict[str, int]
    _road: tuple[int, Scene] | None = field(default=None)

    def __call__(self, seed: int) -> Truth:
        """A picture that depends on the seed alone."""
        number = seed // _LOOKS
        if self._road is None or self._road[0] != number:
            night = bool(np.random.default_rng((number, 47)).random() < _NIGHTS)
            self._road = number, Scene(number, SIZE, objects=(), night=night, still=True, seconds=0.0)
        scene = self._road[1]
        rng = np.random.default_rng((seed, 43))
        count = int(rng.choice(len(_COUNTS), p=_COUNTS))
        scene.plant_again(rng, [self.kinds[int(i)] for i in rng.integers(len(self.kinds), size=count)])
        truth = _truth(scene.frame(0.0), self.rows)
        return replace(truth, labels=np.where(truth.labels == VOID, np.uint8(_OWN_CAR), truth.labels))


def fleet_scenes(kinds: Sequence[str | Kind]) -> FleetScenes:
    """Scenes of these kinds, by name or of one's own, their rows in the order given."""
    names = (kind if isinstance(kind, str) else kind.name for kind in kinds)
    return FleetScenes(tuple(kinds), {name: row for row, name in enumerate(names)})


def fleet_looks(kinds: Sequence[str]) -> FleetLooks:
    """Pictures of these kinds to train on, their rows in the order given."""
    return FleetLooks(tuple(kinds), {kind: row for row, kind in enumerate(kinds)})


def _truth(rendered: Rendered, rows: dict[str, int]) -> Truth:
    kinds = {planted.track_id: rows[planted.name] for planted in rendered.objects}
    return Truth(rendered.image, rendered.labels, rendered.instances.astype(np.uint8), kinds)
