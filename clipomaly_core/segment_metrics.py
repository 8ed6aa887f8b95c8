"""sIoU, PPV and F1* of anomalous segments.

Source: Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021, and the behaviour of its
public evaluation harness.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypedDict, get_args

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.errors import UserError
from clipomaly_core.pixel_metrics import VOID, Counts, Frames, pixel_metrics, scored_frames

Track = Literal["anomaly", "obstacle"]

_MIN_PREDICTED: Final[dict[Track, int]] = {"anomaly": 500, "obstacle": 50}
_MIN_TRUE: Final[dict[Track, int]] = {"anomaly": 100, "obstacle": 10}
_IOU_THRESHOLDS: Final = np.linspace(0.25, 0.75, 11)


class SegmentMetrics(TypedDict):
    """All in [0, 1]: mean sIoU of true components, mean PPV of predicted ones, F1*."""

    siou_gt: float
    ppv: float
    f1_mean: float


def segment_metrics(
    scores: Frames, labels: Frames, track: Track = "anomaly", threshold: float | None = None
) -> SegmentMetrics:
    """sIoU_gt, PPV and F1* of the 8-connected components of ``score > threshold`` against those of label 1.

    Arguments as in :func:`pixel_metrics`. ``track="anomaly"`` drops predicted components under 500 pixels and
    leaves true ones under 100 pixels out as void; ``track="obstacle"`` does so under 50 and 10. Without a
    threshold, that of the best F1 of ``pixel_metrics(mode="smiyc")`` is taken, and the split read twice.
    Where nothing is predicted PPV is 0. Raises ``UserError`` for frames as :func:`pixel_curve` does, for a
    threshold that is not finite, for one left out when the split can be read only once, and where no true
    component is large enough.
    """
    if track not in get_args(Track):
        raise UserError(f"Unknown track {track!r}: use one of {', '.join(get_args(Track))}.")
    if threshold is None:
        if isinstance(scores, Iterator) or isinstance(labels, Iterator):
            raise UserError("The split can be read only once: pass a threshold, or lists of frames.")
        threshold = pixel_metrics(scores, labels, mode="smiyc")["best_f1_threshold"]
    if not np.isfinite(threshold):
        raise UserError(f"The threshold is {threshold}: give a finite number.")
    frames = [
        _component_scores(score > threshold, label, _MIN_PREDICTED[track], _MIN_TRUE[track])
        for score, label in scored_frames(scores, labels)
    ]
    siou = np.concatenate([frame[0] for frame in frames])
    ppv = np.concatenate([frame[1] for frame in frames])
    if not siou.size:
        raise UserError(
            f"No true anomaly of at least {_MIN_TRUE[track]} pixels in the split: "
            "choose other frames, or the obstacle track for small objects."
        )
    found = np.array([np.count_nonzero(siou >= t) for t in _IOU_THRESHOLDS])
    false = np.array([np.count_nonzero(ppv < t) for t in _IOU_THRESHOLDS])
    f1 = 2 * found / (found + siou.size + false)  # 2TP + FN + FP, and TP + FN are all true components
    return SegmentMetrics(
        siou_gt=float(siou.mean()), ppv=float(ppv.mean()) if ppv.size else 0.0, f1_mean=float(f1.mean())
    )


def _component_scores(
    predicted: npt.NDArray[np.bool_], label: npt.NDArray[Any], min_predicted: int, min_true: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """sIoU of each true component and PPV of each predicted one."""
    if label.ndim != 2:
        raise UserError(f"Components need frames of two dimensions, not of shape {label.shape}.")
    true, true_area = _components(label == 1)
    guess, guess_area = _components(predicted & (label != VOID))
    # Small predictions go before the small truths become void: a prediction that only then shrinks stays.
    guess[guess_area[guess] < min_predicted] = 0
    judged = (label != VOID) & ~((true > 0) & (true_area[true] < min_true))
    true, guess = true[judged], guess[judged]
    true_area = np.bincount(true, minlength=true_area.size)
    guess_area = np.bincount(guess, minlength=guess_area.size)

    both = (true > 0) & (guess > 0)
    pair, shared = np.unique(true[both].astype(np.int64) * guess_area.size + guess[both], return_counts=True)
    of_true, of_guess = np.divmod(pair, guess_area.size)
    on_truth = np.bincount(of_guess, shared, guess_area.size)  # pixels of a prediction on any true component
    hit = np.bincount(of_true, shared, true_area.size)
    # Predictions that touch k, less their pixels on other true components: |K̂| - A.
    charged = np.bincount(of_true, guess_area[of_guess] - on_truth[of_guess] + shared, true_area.size)
    kept, made = np.flatnonzero(true_area[1:]) + 1, np.flatnonzero(guess_area[1:]) + 1
    return hit[kept] / (charged + true_area - hit)[kept], on_truth[made] / guess_area[made]


def _components(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], Counts]:
    """(H, W) component numbers from 1, 8-connected, and the area of each number, 0 being the rest."""
    _, component, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return component.astype(np.int32, copy=False), stats[:, cv2.CC_STAT_AREA].astype(np.int64)
