"""IoU of label maps: of the known classes, and of unknown against all of them."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from clipomaly_core.errors import UserError
from clipomaly_core.pixel_metrics import VOID, Counts, Frames, paired_frames


class UnknownIoU(TypedDict):
    """IoU of anomaly, of all else (NaN where that is neither true nor predicted), and the mean of both."""

    anomaly_iou: float
    normal_iou: float
    two_class_miou: float


class KnownClassIoU(TypedDict):
    """``iou`` is (C,) float64, NaN for a class neither true nor predicted; ``miou`` the mean of the rest."""

    miou: float
    iou: npt.NDArray[np.float64]


@dataclass(slots=True)
class ConfusionMatrix:
    """Counts of pixels over C known classes and "unknown", frame by frame.

    ``counts`` is (C + 1, C + 1) int64, rows what is true and columns what is predicted; the last of each is
    unknown. With one known class it is the matrix of normal against anomalous.
    """

    known_classes: int
    counts: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((self.known_classes + 1, self.known_classes + 1), np.int64)

    def update(self, prediction: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
        """Add one frame of (H, W) integers or booleans.

        ``prediction``: a known class 0 … C-1; every other value is unknown, so maps over V and W go in as
        they are. ``target``: a known class, C for anomaly, 255 for void. A known class predicted on an
        anomaly is a false positive of that class; give such pixels 255 to leave them out. Raises
        ``UserError`` for sizes that differ and for other targets.
        """
        if prediction.shape != target.shape:
            raise UserError(f"A prediction of {prediction.shape} for labels of {target.shape}; resize one.")
        judged = target != VOID
        true = target[judged].astype(np.int64)
        guess = prediction[judged].astype(np.int64)
        unknown = self.known_classes
        if true.size and not 0 <= true.min() <= true.max() <= unknown:
            raise UserError(f"A label map holds {true.min()} to {true.max()}; use 0 to {unknown}, or {VOID} for void.")
        guess[(guess < 0) | (guess > unknown)] = unknown
        size = unknown + 1
        self.counts += np.bincount(true * size + guess, minlength=size * size).reshape(size, size)

    def iou(self) -> npt.NDArray[np.float64]:
        """(C + 1,) float64 in [0, 1], unknown last; NaN for what is neither true nor predicted."""
        hit = np.diagonal(self.counts)
        union = self.counts.sum(0) + self.counts.sum(1) - hit
        iou = np.full(hit.shape, np.nan)
        np.divide(hit, union, out=iou, where=union > 0)
        return iou

    def known(self) -> KnownClassIoU:
        """IoU of the known classes. Raises ``UserError`` where none occurs."""
        iou = self.iou()[:-1]
        if np.isnan(iou).all():
            raise UserError("No known class in any label map: check how the label maps are read.")
        return KnownClassIoU(miou=float(np.nanmean(iou)), iou=iou)

    def unknown(self) -> UnknownIoU:
        """IoU of unknown against all known classes as one. Raises ``UserError`` without anomalous pixels."""
        if not self.counts[-1].any():
            raise UserError("No anomalous pixel in any label map: choose frames that hold anomalies.")
        hit, missed, false = self.counts[-1, -1], self.counts[-1, :-1].sum(), self.counts[:-1, -1].sum()
        normal = self.counts[:-1, :-1].sum()
        wrong = missed + false
        anomaly_iou = float(hit / (hit + wrong))
        normal_iou = float(normal / (normal + wrong)) if normal + wrong else float("nan")
        mean = anomaly_iou if np.isnan(normal_iou) else (anomaly_iou + normal_iou) / 2
        return UnknownIoU(anomaly_iou=anomaly_iou, normal_iou=normal_iou, two_class_miou=mean)


def known_class_iou(predictions: Frames, targets: Frames, known_classes: int) -> KnownClassIoU:
    """IoU of each known class over a split; arguments and errors as in :meth:`ConfusionMatrix.update`."""
    return _confusion(predictions, targets, known_classes).known()


def unknown_iou(predictions: Frames, labels: Frames) -> UnknownIoU:
    """IoU of predicted anomaly (boolean or 0 and 1) against labels 0, 1, 255, over a split.

    Raises ``UserError`` as :meth:`ConfusionMatrix.update`, and without an anomalous pixel.
    """
    return _confusion(predictions, labels, 1).unknown()


def _confusion(predictions: Frames, targets: Frames, known_classes: int) -> ConfusionMatrix:
    matrix = ConfusionMatrix(known_classes)
    for prediction, target in paired_frames(predictions, targets):
        matrix.update(prediction, target)
    return matrix
