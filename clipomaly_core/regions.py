"""Connected regions of a mask, and their embeddings."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize


@dataclass(frozen=True, slots=True)
class Region:
    """One 8-connected region: ``mask`` (h, w) bool over the whole grid, ``bbox`` (x, y, width, height).

    Where it was found in a map of values, ``peak`` is the greatest value in it, and ``sustained`` the value that as
    many of its places reach as a region must have.
    """

    mask: npt.NDArray[np.bool_]
    bbox: tuple[int, int, int, int]
    area: int
    peak: float = 0.0
    sustained: float = 0.0


def connected_regions(
    mask: npt.NDArray[np.bool_], min_area: float, most: int, values: npt.NDArray[np.float32] | None = None
) -> list[Region]:
    """The 8-connected regions of a mask.

    Args:
        mask: (h, w) bool.
        min_area: smaller regions are left out, in cells of the mask.
        most: so many regions at most are returned.
        values: (h, w) float32, of which each region keeps its ``peak`` and what it has ``sustained``.

    Returns:
        Largest first; of equal size, in reading order.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[1:count, cv2.CC_STAT_AREA]
    order = np.argsort(-areas, kind="stable")
    regions = []
    for index in order[:most]:
        if areas[index] < max(min_area, 1):
            break
        x, y, width, height, area = (int(value) for value in stats[index + 1])
        own = labels == index + 1
        peak = sustained = 0.0
        if values is not None:
            inside = values[y : y + height, x : x + width][own[y : y + height, x : x + width]]
            needed = max(math.ceil(min_area), 1)
            peak, sustained = float(inside.max()), float(np.partition(inside, -needed)[-needed])
        regions.append(Region(own, (x, y, width, height), area, peak, sustained))
    return regions


def region_embeddings(features: Tensor, masks: Tensor) -> Tensor:
    """Mean of the dense features under each mask.

    Args:
        features: (h, w, D) float32, L2-normalised, of one frame.
        masks: (R, H, W) bool or float, at any resolution at least that of the features.

    Returns:
        (R, D) float32, L2-normalised; each patch counts by its share under the mask.
    """
    weights = adaptive_avg_pool2d(masks.float(), (features.shape[0], features.shape[1]))
    # Summed in float64 on a CPU: a float32 sum depends on how many threads share it, and so would the rows.
    exact = torch.float64 if features.device.type == "cpu" else torch.float32
    total = torch.einsum("rhw,hwd->rd", weights.to(exact), features.to(exact))
    return normalize(total.float(), dim=-1)
