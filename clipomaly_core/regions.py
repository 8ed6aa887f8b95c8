"""From the map of one frame to the regions that may be objects: local contrast, then two thresholds (hysteresis).

One threshold joins an object to the road around it wherever the road is a little unusual too. The local contrast lowers
such ground and raises what stands out of it. Of what is above the lower threshold, only regions that somewhere reach
the upper one are kept, so that a region has the extent of the lower threshold and is as rare as the upper one.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from clipomaly_core.options import Options

Logits = npt.NDArray[np.float32]

_SURROUNDINGS = 0.27
"""Side of the square that a place is compared with, in lengths of the frame: the root of its area."""
_LIMIT = 16.0
"""A float32 probability is 1 beyond this logit."""
Mask = npt.NDArray[np.bool_]


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


def anomaly_regions(logits: Logits, options: Options) -> list[Region]:
    """The regions of one frame that are anomalous enough to be named.

    Args:
        logits: (h, w) float32, the logit of the anomaly score at each place.
        options: threshold, peak_threshold, contrast, min_area and max_regions are read.

    Returns:
        Largest first. ``peak`` of a region is its greatest logit with contrast.
    """
    contrasted = local_contrast(logits, options.contrast)
    least = options.min_area * logits.size
    found = connected_regions(contrasted > logit(options.threshold), least, logits.size, contrasted)
    peak = logit(options.peak_threshold) if options.peak_threshold is not None else -math.inf
    return [region for region in found if region.peak > peak][: options.max_regions]


def local_contrast(logits: Logits, weight: float) -> Logits:
    """Add to each place ``weight`` times its difference from the mean of its surroundings.

    Args:
        logits: (h, w) float32.
        weight: 0 and more; 0 changes nothing.
    """
    if not weight:
        return logits
    side = round(_SURROUNDINGS * math.sqrt(logits.size))
    height, width = (min(side, 2 * length - 1) | 1 for length in logits.shape)
    around = cv2.blur(logits, (width, height), borderType=cv2.BORDER_REFLECT)
    return np.asarray(logits + weight * (logits - around), np.float32)


def logit(probability: float) -> float:
    """Logarithm of the odds; beyond what float32 can tell from 0 or 1, infinite."""
    if probability <= 0 or probability >= 1:
        return math.copysign(math.inf, probability - 0.5)
    return math.log(probability / (1 - probability))


def probability(logits: Logits) -> Logits:
    """The anomaly score in [0, 1] of logits: (h, w) float32."""
    limited = np.clip(logits, -_LIMIT, _LIMIT)
    return np.asarray(1 / (1 + np.exp(-limited)), np.float32)


def mask_at_frame_size(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask enlarged to (height, width), with smooth edges and never empty."""
    scaled = cv2.resize(mask.astype(np.float32), (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    full = scaled >= 0.5
    return full if full.any() else scaled >= scaled.max()


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """(x, y, width, height) of what is true in a mask, in pixels."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return int(x), int(y), int(width), int(height)
