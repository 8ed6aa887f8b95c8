"""Scores that follow the edges of the frame: the guided filter (He et al., arXiv 1504.00052)."""

import cv2
import numpy as np
import numpy.typing as npt

_RADIUS = 1 / 24
"""Of the window, as a share of the frame's shorter side: about the size of a patch."""
_FLAT = np.float32(1e-3)
"""Brightness (in [0, 1]) that varies less than this counts as flat: there the score is only averaged."""


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
