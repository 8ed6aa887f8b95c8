"""Scenes of the demo fleet as training and evaluation see them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from demo_fleet import sample_scene
from training.nano.data import Truth

SIZE = (360, 640)


@dataclass(frozen=True, slots=True)
class FleetScenes:
    """Draws scenes in which only the kinds of these names are planted; ``rows`` gives each name its row."""

    kinds: tuple[str, ...]
    rows: dict[str, int]

    def __call__(self, seed: int) -> Truth:
        """The scene of a seed."""
        scene = sample_scene(seed, SIZE, kinds=self.kinds)
        kinds = {planted.track_id: self.rows[planted.name] for planted in scene.objects}
        return Truth(scene.image, scene.labels, scene.instances.astype(np.int32), kinds)


def fleet_scenes(kinds: Sequence[str]) -> FleetScenes:
    """Scenes of these kinds, their rows in the order given."""
    return FleetScenes(tuple(kinds), {kind: row for row, kind in enumerate(kinds)})
