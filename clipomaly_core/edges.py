"""Scores and masks that follow the edges of the frame.

Scores by the guided filter (He et al., arXiv 1504.00052), masks by GrabCut (Rother et al., SIGGRAPH 2004).
"""

import math

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.regions import Mask, mask_at_frame_size

_RADIUS = 1 / 24
"""Of the window, as a share of the frame's shorter side: about the size of a patch."""
_FLAT = np.float32(1e-3)
"""Brightness (in [0, 1]) that varies less than this counts as flat: there the score is only averaged."""
_PIXELS = 60_000
"""Larger frames are shrunk to about so many pixels first; a region of average size then takes about 35 ms."""
_CORE = 0.8
"""Quantile of the score in a region above which its pixels surely belong to the object."""
_AROUND = 0.03
"""How far an object may reach out of its region, in lengths of the frame: the root of its area."""
_MARGIN = 0.4
"""Border around the region that is looked at, as a share of its longer side."""
_ROUNDS = 3
_LEAST = 0.25
"""A cut that keeps less of a region found no edges of the object."""
_SAMPLES = 10
"""Pixels of object and of background that models of their colours need at least."""


def follow_edges(score: npt.NDArray[np.float32], frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Make a score a linear function of brightness in every small window, so that it breaks where the frame does.

    Args:
        score: (H, W) float32 in [0, 1], enlarged to the frame.
        frame: (H, W, 3) uint8 RGB.

    Returns:
        (H, W) float32 in [0, 1].
    """
    side = 2 * max(1, round(_RADIUS * min(score.shape))) + 1

    def mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)

    guide = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
    mean_guide, mean_score = mean(guide), mean(score)
    covariance = mean(guide * score) - mean_guide * mean_score
    slope = np.asarray(covariance / (mean(guide * guide) - mean_guide * mean_guide + _FLAT), np.float32)
    return np.asarray(np.clip(mean(slope) * guide + mean(mean_score - slope * mean_guide), 0, 1), np.float32)


def cut_out(frame: npt.NDArray[np.uint8], mask: Mask, score: npt.NDArray[np.float32]) -> Mask:
    """The object in a region, up to where the colours of the frame change.

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (h, w) bool, the region on the working grid.
        score: (h, w) float32, the anomaly score.

    Returns:
        (H, W) bool, the same for the same arguments; the region as it is, enlarged, where no edges were found.
    """
    height, width = frame.shape[:2]
    plain = mask_at_frame_size(mask, (height, width))
    shrink = min(1.0, math.sqrt(_PIXELS / (height * width)))
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    region = mask_at_frame_size(mask, size)
    enlarged = np.asarray(cv2.resize(score, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    hints = _hints(region, enlarged)
    x, y, box_width, box_height = cv2.boundingRect(region.view(np.uint8))
    border = round(_MARGIN * max(box_width, box_height)) + 8
    window = np.s_[max(0, y - border) : y + box_height + border, max(0, x - border) : x + box_width + border]
    inside = np.ascontiguousarray(hints[window])
    if np.count_nonzero(inside == cv2.GC_BGD) < _SAMPLES or np.count_nonzero(region) < _SAMPLES:
        return plain
    small = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)[window]
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # it begins with clusters that are drawn at random
    cv2.grabCut(np.ascontiguousarray(small), inside, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    cut = np.zeros(size, np.bool_)
    cut[window] = (inside == cv2.GC_FGD) | (inside == cv2.GC_PR_FGD)
    if np.count_nonzero(cut) < _LEAST * np.count_nonzero(region):
        return plain
    return mask_at_frame_size(cut, (height, width))


def _hints(region: Mask, score: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """What GrabCut is told of each pixel: the core of the region is the object, what is far from it is not."""
    reach = 2 * max(1, round(_AROUND * math.sqrt(region.size))) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    near = cv2.dilate(region.view(np.uint8), disc) > 0
    hints = np.where(region, cv2.GC_PR_FGD, np.where(near, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
    hints[region & (score >= np.quantile(score[region], _CORE))] = cv2.GC_FGD
    return hints
