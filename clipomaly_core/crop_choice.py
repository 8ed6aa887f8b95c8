"""Which regions get crops, and which go without: crops are what a find costs.

An object that neighbouring frames show is cropped where it is largest, and what those crops say holds for all its
sightings. Where a frame has very many regions, the most anomalous come first, so that naming never costs more than
looking.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

import torch
from torch import Tensor
from torch.nn.functional import normalize

from clipomaly_core.object_tracks import Sighting, link
from clipomaly_core.regions import Region

_AGAIN = 0.25
"""Share of the crops that frames may have within which an object gets a second one."""


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
