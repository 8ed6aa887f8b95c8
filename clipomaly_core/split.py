"""Reads a split of scores or predictions and truth, one frame at a time, and checks each frame."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clipomaly_core.errors import UserError

Frames = Iterable[npt.NDArray[Any]]
Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

VOID: Final = 255


def scored_frames(scores: Frames, labels: Frames) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
    """Each frame's score, float32 or wider, and label map, checked."""
    for index, (score, label) in enumerate(paired_frames(scores, labels)):
        if score.shape != label.shape:
            raise UserError(
                f"Frame {index}: a score map of {score.shape} for a label map of {label.shape}; resize one."
            )
        known = (label == 0) | (label == 1)
        if not (known | (label == VOID)).all():
            odd = label[~known & (label != VOID)].flat[0]
            raise UserError(f"Frame {index}: the label map holds {odd}; map it to 0, 1 or {VOID} (void).")
        score = score.astype(np.promote_types(score.dtype, np.float32), copy=False)
        if not np.isfinite(score[known]).all():
            raise UserError(f"Frame {index}: the scores hold NaN or infinity; check the model or the file.")
        yield score, label


def paired_frames(left: Frames, right: Frames) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    for frames in (left, right):
        if isinstance(frames, np.ndarray) and frames.ndim < 3:
            raise UserError(f"One array of {frames.shape} instead of frames: pass a list of arrays.")
    count = 0
    for count, (one, other) in enumerate(zip_longest(left, right), start=1):
        if one is None or other is None:
            missing = "prediction" if one is None else "label map"
            raise UserError(f"Frame {count - 1} has no {missing}: give as many of the one as of the other.")
        yield np.asarray(one), np.asarray(other)
    if not count:
        raise UserError("The split holds no frame: check the folder and its format.")
