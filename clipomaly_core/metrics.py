"""How well anomaly scores and label maps agree with the truth, over a whole split.

Everything is pooled over the frames of a split and reads one frame at a time, so ``scores`` and ``labels`` may be lists
or anything that loads lazily. Anomaly labels are 0 in-distribution, 1 anomaly, 255 void. Void pixels count nowhere,
whatever their score.

Example:
    >>> import numpy as np
    >>> from clipomaly_core.metrics import pixel_metrics
    >>> scores, labels = [np.array([[0.1, 0.2, 0.9]])], [np.array([[0, 0, 1]])]
    >>> pixel_metrics(scores, labels)["auprc"]
    1.0
"""

from clipomaly_core.label_metrics import (
    ConfusionMatrix,
    KnownClassIoU,
    UnknownIoU,
    known_class_iou,
    unknown_iou,
)
from clipomaly_core.pixel_metrics import VOID, Mode, PixelCurve, PixelMetrics, pixel_curve, pixel_metrics
from clipomaly_core.segment_metrics import SegmentMetrics, Track, segment_metrics

__all__ = [
    "VOID",
    "ConfusionMatrix",
    "KnownClassIoU",
    "Mode",
    "PixelCurve",
    "PixelMetrics",
    "SegmentMetrics",
    "Track",
    "UnknownIoU",
    "known_class_iou",
    "pixel_curve",
    "pixel_metrics",
    "segment_metrics",
    "unknown_iou",
]
