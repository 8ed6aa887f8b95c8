"""Square crops of regions: which regions get crops, and how they are cut, for naming and for training.

Crops are what a find costs. An object that neighbouring frames show is cropped where it is largest, and what those
crops say holds for all its sightings. Where a frame has very many regions, the most anomalous come first, so that
naming never costs more than looking.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from clipomaly_core.object_tracks import Sighting, link
from clipomaly_core.regions import Region
from clipomaly_core.towers.protocol import Interpolation

_AGAIN = 0.25
"""Share of the crops that frames may have within which an object gets a second one."""
GREY = 127
TIGHT = 0.1
"""Border around a region in its masked crop, as a share of its longer side."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame was taken, and by what. Objects are followed through frames that have the same ``camera``, which
    may be anything that tells one from another."""

    camera: Hashable
    frame_index: int
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class RegionSeen:
    """A region of frame ``frame`` of a call, and its embedding, (D,) float32 on the CPU."""

    frame: int
    region: Region
    embedding: Tensor


@dataclass(frozen=True, slots=True)
class CropChoice:
    """``cropped`` are the numbers of the R regions that get crops, in order. ``shares`` (R, n) float32 holds the part
    of each of these n crops in what a region gets; a row of zeros where it gets none."""

    cropped: tuple[int, ...]
    shares: Tensor

    def give(self, crops: Tensor, regions: Tensor) -> Tensor:
        """What stands for the crops of each region: (R, D) float32, L2-normalised.

        Args:
            crops: (n, D) float32, L2-normalised, of the regions that are cropped.
            regions: (R, D) float32, L2-normalised: the embeddings of the regions, for those without any crops.
        """
        shares = self.shares.to(regions.device)
        without = (shares.sum(1) == 0)[:, None]
        return torch.where(without, regions, normalize(shares @ crops, dim=-1))


def choose_crops(
    seen: Sequence[RegionSeen], moments: Sequence[Moment | None], most: Sequence[float], sightings: int | None
) -> CropChoice:
    """Choose the regions of a call that get crops.

    Args:
        seen: R regions, in order of frames.
        moments: of each frame of the call; ``None`` for a frame that stands alone.
        most: how many regions of each frame may have crops. Frames of one camera share what they may have.
        sightings: how many sightings of an object get crops, the largest; ``None`` for all.
    """
    groups: defaultdict[Hashable, list[int]] = defaultdict(list)
    allowed: defaultdict[Hashable, float] = defaultdict(float)
    keys: list[Hashable] = [number if moment is None else (moment.camera,) for number, moment in enumerate(moments)]
    for key, own in zip(keys, most, strict=True):
        allowed[key] += own
    for number, one in enumerate(seen):
        groups[keys[one.frame]].append(number)
    cropped: list[int] = []
    objects: list[list[int]] = []
    for key, numbers in groups.items():
        found = _objects([(number, seen[number], moments[seen[number].frame]) for number in numbers], sightings)
        objects += found
        cropped += _within(found, seen, allowed[key], sightings)
    cropped.sort()
    places = {number: place for place, number in enumerate(cropped)}
    shares = torch.zeros(len(seen), len(cropped))
    for alike in objects:
        best = [places[number] for number in alike if number in places]
        for number in alike:
            if number in places:
                shares[number, places[number]] = 1.0
            elif best:
                shares[number, best] = 1.0 / len(best)
    return CropChoice(tuple(cropped), shares)


def _objects(seen: Sequence[tuple[int, RegionSeen, Moment | None]], sightings: int | None) -> list[list[int]]:
    """The numbers of the regions of each object."""
    if sightings is None or len({one.frame for _, one, _ in seen}) < 2:
        return [[number] for number, _, _ in seen]
    linked = link(
        [
            Sighting(
                moment.frame_index,
                moment.timestamp,
                one.region.bbox,
                (one.region.mask.shape[0], one.region.mask.shape[1]),
                "",  # it has no name yet
                one.embedding.numpy(),
            )
            for _, one, moment in seen
            if moment is not None
        ]
    )
    objects: defaultdict[int, list[int]] = defaultdict(list)
    for (number, _, _), first in zip(seen, linked, strict=True):
        objects[first].append(number)
    return list(objects.values())


def _within(
    objects: Sequence[Sequence[int]], seen: Sequence[RegionSeen], most: float, sightings: int | None
) -> list[int]:
    """The largest sightings of each object, no more than ``most`` in all: first one of each, the highest peak first,
    and more of them only within ``_AGAIN``."""
    ranked = [
        (rank, -seen[number].region.peak, number)
        for one in objects
        for rank, number in enumerate(sorted(one, key=lambda number: (-seen[number].region.area, number)))
        if sightings is None or rank < sightings
    ]
    return [
        number
        for place, (rank, _, number) in enumerate(sorted(ranked), 1)
        if place <= (_AGAIN * most if rank else most)
    ]


def masked_crop(
    frame: npt.NDArray[np.uint8],
    mask: npt.NDArray[np.bool_],
    bbox: tuple[int, int, int, int],
    size: int,
    interpolation: Interpolation = "area",
) -> npt.NDArray[np.uint8]:
    """The region alone, grey outside its mask.

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) bool.
        bbox: (x, y, width, height) of the region in pixels.
        size: side of the crop in pixels.
        interpolation: how it is resized.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    window = _square(bbox, TIGHT)
    pixels = _cut(frame, window, GREY)
    pixels[~_cut(mask.view(np.uint8), window, 0).astype(bool)] = GREY
    return _resize(pixels, size, interpolation)


def context_crop(
    frame: npt.NDArray[np.uint8],
    bbox: tuple[int, int, int, int],
    size: int,
    context: float,
    interpolation: Interpolation = "area",
) -> npt.NDArray[np.uint8]:
    """The region with its surroundings.

    Args:
        frame: (H, W, 3) uint8 RGB.
        bbox: (x, y, width, height) of the region in pixels.
        size: side of the crop in pixels.
        context: border around the region as a share of its longer side, >= 0; grey outside the frame.
        interpolation: how it is resized.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    return _resize(_cut(frame, _square(bbox, context), GREY), size, interpolation)


def square_crop(
    frame: npt.NDArray[np.uint8], square: tuple[int, int, int], size: int, interpolation: Interpolation = "area"
) -> npt.NDArray[np.uint8]:
    """The square (left, top, side) of a frame, in pixels, as (size, size, 3) uint8 RGB; grey outside the frame."""
    return _resize(_cut(frame, square, GREY), size, interpolation)


def _square(bbox: tuple[int, int, int, int], border: float) -> tuple[int, int, int]:
    x, y, width, height = bbox
    side = max(2, round(max(width, height) * (1 + 2 * border)))
    return x + width // 2 - side // 2, y + height // 2 - side // 2, side


def _cut(pixels: npt.NDArray[np.uint8], window: tuple[int, int, int], fill: int) -> npt.NDArray[np.uint8]:
    left, top, side = window
    height, width = pixels.shape[:2]
    cut = np.full((side, side, *pixels.shape[2:]), fill, np.uint8)
    y0, y1, x0, x1 = max(top, 0), min(top + side, height), max(left, 0), min(left + side, width)
    if y0 < y1 and x0 < x1:
        cut[y0 - top : y1 - top, x0 - left : x1 - left] = pixels[y0:y1, x0:x1]
    return cut


def _resize(pixels: npt.NDArray[np.uint8], size: int, interpolation: Interpolation) -> npt.NDArray[np.uint8]:
    if interpolation != "area":
        channels_first = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        enlarged = interpolate(channels_first, size=(size, size), mode=interpolation, antialias=True)
        return np.ascontiguousarray(enlarged[0].permute(1, 2, 0).numpy())
    shrinks = pixels.shape[0] > size
    resized = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)
