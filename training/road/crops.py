"""Crops of drawn things, as naming sees regions: of each planted kind, and of the known classes."""

from collections import Counter
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.crops import context_crop, masked_crop
from clipomaly_core.regions import bounding_box
from training.nano.augment import photometric
from training.nano.data import CLASSES, Truth

SIZE = 224
_CONTEXTS = (0.25, 0.5)
_LEAST_KIND, _LEAST_CLASS = 120, 100
"""Pixels of 640x360 that a crop's subject has."""
_CLASSES_A_SCENE = 2
_THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)
"""Known classes that come as separate things; of the others pieces are cropped."""
_PIECE = (16, 60)
"""Half the side of such a piece, in pixels."""
_FILLED = 0.6
"""Least share of a piece that is of its class."""
_TRIES = 4

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def scene_crops(scene: Truth, seed: int, seen: Counter[int]) -> Iterator[tuple[int, list[Image]]]:
    """Crops of a scene after a strong change of its colours, sharpness and noise.

    Args:
        scene: a drawn scene.
        seed: of the changes.
        seen: how many crops each known class has had so far; rare ones go first, and it is counted up.

    Yields:
        What the crops show, a known class (0 to 18) or 19 + the row of a kind, and its three crops.
    """
    rng = np.random.default_rng(seed)
    image = photometric(scene.image, rng)
    for track, kind in scene.kinds.items():
        mask = scene.instances == track
        if np.count_nonzero(mask) >= _LEAST_KIND:
            yield CLASSES + kind, _three(image, mask)
    found = {label: _place(scene.labels == label, label, rng) for label in range(CLASSES)}
    places = [(label, mask) for label, mask in found.items() if mask is not None]
    for label, mask in sorted(places, key=lambda pair: seen[pair[0]])[:_CLASSES_A_SCENE]:
        seen[label] += 1
        yield label, _three(image, mask)


def _three(image: Image, mask: Mask) -> list[Image]:
    box = bounding_box(mask)
    return [masked_crop(image, mask, box, SIZE), *(context_crop(image, box, SIZE, share) for share in _CONTEXTS)]


def _place(mask: Mask, label: int, rng: np.random.Generator) -> Mask | None:
    """A thing or a piece of a class, as a mask; ``None`` where there is none that is large enough."""
    if np.count_nonzero(mask) < _LEAST_CLASS:
        return None
    if label in _THINGS:
        count, parts, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
        large = [part for part in range(1, count) if facts[part, cv2.CC_STAT_AREA] >= _LEAST_CLASS]
        return parts == large[int(rng.integers(len(large)))] if large else None
    rows, columns = np.nonzero(mask)
    for _ in range(_TRIES):
        middle, half = int(rng.integers(len(rows))), int(rng.integers(*_PIECE))
        piece = np.zeros_like(mask)
        window = (
            slice(max(rows[middle] - half, 0), rows[middle] + half),
            slice(max(columns[middle] - half, 0), columns[middle] + half),
        )
        piece[window] = mask[window]
        if np.count_nonzero(piece) > _FILLED * (2 * half) ** 2:
            return piece
    return None
