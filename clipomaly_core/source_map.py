"""What a camera sees at the same place in most frames is not a find: a bonnet, a reflection, a sticker."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LEAST_FRAMES = 4
"""A source with fewer frames has no map: the object itself may be in most of them."""
_QUANTILE = 0.25
"""The quantile over frames. The median would remove an animal that stands in front of a waiting car."""


def usual_excess(logits: Sequence[npt.NDArray[np.float32]], ordinary: float) -> npt.NDArray[np.float32] | None:
    """How far each place of a source is above the ordinary in three quarters of its frames.

    Subtracted from the logits of each frame, it leaves what changes.

    Args:
        logits: (h, w) float32 of frames of one source and camera, of one size.
        ordinary: the logit of ordinary places, below which nothing is subtracted.

    Returns:
        (h, w) float32, 0 and more; ``None`` for fewer than ``LEAST_FRAMES`` frames.

    Example:
        >>> import numpy as np
        >>> from clipomaly_core.source_map import usual_excess
        >>> usual_excess([np.full((1, 2), value, np.float32) for value in (1, 1, 1, 9)], ordinary=0.5)
        array([[0.5, 0.5]], dtype=float32)
    """
    if len(logits) < LEAST_FRAMES:
        return None
    rank = int(_QUANTILE * (len(logits) - 1))
    quantile = np.partition(np.stack(logits), rank, axis=0)[rank]
    return np.asarray(np.maximum(quantile - ordinary, 0), np.float32)
