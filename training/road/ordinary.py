"""Drawn roads on which nothing is planted: what the model road takes for ordinary."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from demo_fleet import Scene
from training.nano.augment import photometric
from training.nano.fleet import SIZE

_NIGHTS = 0.2


def ordinary_frames(seeds: range) -> Iterator[npt.NDArray[np.uint8]]:
    """(H, W, 3) uint8 each, with a strong change of colours, sharpness and noise."""
    for seed in seeds:
        rng = np.random.default_rng((seed, 59))
        night = bool(rng.random() < _NIGHTS)
        scene = Scene(seed, SIZE, objects=(), night=night, still=True, seconds=0.0)
        yield photometric(scene.frame(0.0).image, rng)
