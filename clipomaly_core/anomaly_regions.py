"""From the map of one frame to the regions that may be objects: local contrast, then two thresholds (hysteresis).

One threshold joins an object to the road around it wherever the road is a little unusual too. The local contrast lowers
such ground and raises what stands out of it. Of what is above the lower threshold, only regions that somewhere reach
the upper one are kept, so that a region has the extent of the lower threshold and is as rare as the upper one.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.options import Options
from clipomaly_core.regions import Region, connected_regions

Logits = npt.NDArray[np.float32]

_SURROUNDINGS = 0.27
"""Side of the square that a place is compared with, in lengths of the frame: the root of its area."""
_LIMIT = 16.0
"""A float32 probability is 1 beyond this logit."""


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
