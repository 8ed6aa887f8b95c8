"""How well anomaly scores and label maps agree with the truth, over a whole split.

Everything is pooled over the frames of a split and reads one frame at a time, so that ``scores`` and
``labels`` may be lists or anything that loads lazily. Anomaly labels are 0 in-distribution, 1 anomaly,
255 void; void pixels count nowhere, whatever their score.

Source: Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021 (pixel metrics;
sIoU, PPV and F1* of components), and the behaviour of its public evaluation harness.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple, TypedDict, get_args

import cv2
import numpy as np
import numpy.typing as npt

from clipomaly_core.errors import UserError

Mode = Literal["exact", "smiyc"]
Track = Literal["anomaly", "obstacle"]
Frames = Iterable[npt.NDArray[Any]]
Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

VOID: Final = 255
_QUANTILES: Final = 768 // 2  # of the positives of a frame, and as many of its negatives
_BLOCK: Final = 1 << 20  # scores of positives looked at together
_MIN_PREDICTED: Final[dict[Track, int]] = {"anomaly": 500, "obstacle": 50}
_MIN_TRUE: Final[dict[Track, int]] = {"anomaly": 100, "obstacle": 10}
_IOU_THRESHOLDS: Final = np.linspace(0.25, 0.75, 11)


class PixelMetrics(TypedDict):
    """``best_f1_threshold`` is a score, taken as ``score >= threshold``; the others are in [0, 1]."""

    auprc: float
    fpr95: float
    best_f1: float
    best_f1_threshold: float


class SegmentMetrics(TypedDict):
    """All in [0, 1]: mean sIoU of true components, mean PPV of predicted ones, F1*."""

    siou_gt: float
    ppv: float
    f1_mean: float


class UnknownIoU(TypedDict):
    """IoU of anomaly, of all else (NaN where that is neither true nor predicted), and the mean of both."""

    anomaly_iou: float
    normal_iou: float
    two_class_miou: float


class KnownClassIoU(TypedDict):
    """``iou`` is (C,) float64, NaN for a class neither true nor predicted; ``miou`` the mean of the rest."""

    miou: float
    iou: npt.NDArray[np.float64]


# Pixels


@dataclass(frozen=True, slots=True)
class PixelCurve:
    """Metrics of a split over all its thresholds, and some of these for PR and ROC plots.

    The arrays are (N,), from strict to lenient: ``thresholds`` strictly decreasing, a pixel being taken for
    anomalous where ``score >= threshold``; the others float64 in [0, 1]. ``recall`` is the true positive rate
    too, and ends at 1. ``positives`` and ``negatives`` are the non-void pixels of the split.
    """

    metrics: PixelMetrics
    thresholds: Floats
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    false_positive_rate: npt.NDArray[np.float64]
    positives: int
    negatives: int


class _Block(NamedTuple):
    """Consecutive thresholds, decreasing, and the pixels at or above each: (N,) int64 counts."""

    thresholds: Floats
    true_positives: Counts
    false_positives: Counts


def pixel_metrics(scores: Frames, labels: Frames, mode: Mode = "exact") -> PixelMetrics:
    """AuPRC, FPR95 and best F1 over all non-void pixels of a split.

    ``scores``: a real (H, W) array a frame, higher is more anomalous, any range; ``labels``: an integer
    (H, W) array a frame, of 0, 1, 255. ``mode="exact"`` uses every score as a threshold, with ties taken
    together; ``mode="smiyc"`` bins each frame as the SegmentMeIfYouCan harness does. AuPRC is average
    precision (the step-wise sum, not the trapezoid), FPR95 the least false positive rate at a recall of 0.95
    or more. Exact mode keeps the scores of the split (4 bytes a pixel, 8 if they are float64), the other one
    frame. Raises ``UserError`` as :func:`pixel_curve`.
    """
    return pixel_curve(scores, labels, mode).metrics


def pixel_curve(scores: Frames, labels: Frames, mode: Mode = "exact", points: int = 512) -> PixelCurve:
    """:func:`pixel_metrics` with ``points`` of the curve even in recall, and as many in false positive rate.

    Raises ``UserError`` for an empty split, frames that do not match in number or size, labels other than
    0, 1 and 255, scores that are not finite, a split without anomalous or without normal pixels, and scores
    that are the same everywhere.
    """
    if mode not in get_args(Mode):
        raise UserError(f"Unknown mode {mode!r}: use one of {', '.join(get_args(Mode))}.")
    pixels = ((score[label == 1], score[label == 0]) for score, label in _pairs(scores, labels))
    if mode == "smiyc":
        block = _binned(pixels)
        return _curve([block], int(block.true_positives[-1]), int(block.false_positives[-1]), points)
    positive, negative = _Pool(), _Pool()
    for at_positive, at_negative in pixels:
        positive.extend(at_positive)
        negative.extend(at_negative)
    positives, negatives = positive.sorted(), negative.sorted()
    extremes = (positives[:1], positives[-1:], negatives[:1], negatives[-1:])
    _check_judgeable(positives.size, negatives.size, extremes)
    return _curve(_exact(positives, negatives), positives.size, negatives.size, points)


def _curve(blocks: Iterable[_Block], positives: int, negatives: int, points: int) -> PixelCurve:
    even = np.linspace(0, 1, points)
    wanted_true, wanted_false = even * positives, even * negatives
    area, fpr95, best_f1, best_f1_threshold = 0.0, 1.0, -1.0, 0.0
    true_before, false_before = -1, -1
    kept: list[_Block] = []
    for block in blocks:
        thresholds, true, false = block
        area += float(np.dot(true / (true + false), np.diff(true, prepend=max(true_before, 0))))
        f1 = 2 * true / (true + false + positives)
        best = int(np.argmax(f1))
        if f1[best] > best_f1:
            best_f1, best_f1_threshold = float(f1[best]), float(thresholds[best])
        recall = true / positives
        if max(true_before, 0) / positives < 0.95 <= recall[-1]:
            fpr95 = float(false[np.searchsorted(recall, 0.95)] / negatives)
        here = [
            np.searchsorted(counts, wanted[(wanted > before) & (wanted <= counts[-1])])
            for counts, wanted, before in (
                (true, wanted_true, true_before),
                (false, wanted_false, false_before),
            )
        ]
        keep = np.unique(np.concatenate(here))
        kept.append(_Block(thresholds[keep], true[keep], false[keep]))
        true_before, false_before = int(true[-1]), int(false[-1])
    thresholds, true, false = (np.concatenate(part) for part in zip(*kept, strict=True))
    return PixelCurve(
        PixelMetrics(
            auprc=min(area / positives, 1.0),
            fpr95=fpr95,
            best_f1=best_f1,
            best_f1_threshold=best_f1_threshold,
        ),
        thresholds=thresholds,
        precision=true / (true + false),
        recall=true / positives,
        false_positive_rate=false / negatives,
        positives=positives,
        negatives=negatives,
    )


def _exact(positives: Floats, negatives: Floats) -> Iterator[_Block]:
    """Scores of positives, from sorted ones: no other threshold can move recall, and so AP, FPR95 or best F1.

    In blocks, because the counts of a large split at each distinct score would outweigh the scores.
    """
    for end in range(positives.size, 0, -_BLOCK):
        begin = max(end - _BLOCK, 0)
        # A threshold is the first of a run of equal scores, be the run cut by a block or not.
        first = np.ones(end - begin, np.bool_)
        np.not_equal(positives[begin + 1 : end], positives[begin : end - 1], out=first[1:])
        first[0] = begin == 0 or positives[begin] != positives[begin - 1]
        starts = begin + np.flatnonzero(first)
        if starts.size:
            thresholds = positives[starts]
            false = negatives.size - np.searchsorted(negatives, thresholds)
            yield _Block(thresholds[::-1], (positives.size - starts)[::-1], false[::-1])


def _binned(pixels: Iterable[tuple[Floats, Floats]]) -> _Block:
    """Each frame is binned at quantiles of its positives and its negatives; a bin counts at its lower edge.

    The bins of all frames are pooled, and equal edges taken together. A frame with few pixels of a kind has
    as many quantiles as pixels; one with none of a kind is binned by the other alone.
    """
    edges: list[Floats] = []
    true_counts: list[Counts] = []
    false_counts: list[Counts] = []
    for positive, negative in pixels:
        positive, negative = np.sort(positive), np.sort(negative)
        if not positive.size + negative.size:
            continue
        edge = np.unique(np.concatenate([_quantiles(positive), _quantiles(negative)]))
        edges.append(edge)
        true_counts.append(np.diff(np.searchsorted(positive, edge), append=positive.size))
        false_counts.append(np.diff(np.searchsorted(negative, edge), append=negative.size))
    if not edges:
        _check_judgeable(0, 0, ())
    edge = np.concatenate(edges)
    order = np.argsort(-edge, kind="stable")
    edge = edge[order]
    last = np.append(edge[1:] != edge[:-1], True)  # of each run of equal edges
    true_positives = np.cumsum(np.concatenate(true_counts)[order], dtype=np.int64)
    false_positives = np.cumsum(np.concatenate(false_counts)[order], dtype=np.int64)
    positives, negatives = int(true_positives[-1]), int(false_positives[-1])
    _check_judgeable(positives, negatives, (edge[:1], edge[-1:]))
    # An interpolated edge may hold no pixel: above the first that does, precision has no value.
    seen = last & (true_positives + false_positives > 0)
    return _Block(edge[seen], true_positives[seen], false_positives[seen])


def _quantiles(values: Floats) -> Floats:
    count = min(_QUANTILES, values.size)
    return np.quantile(values, np.linspace(0, 1, count)).astype(values.dtype) if count else values


def _check_judgeable(positives: int, negatives: int, extremes: tuple[Floats, ...]) -> None:
    if not positives:
        raise UserError("No anomalous pixel (label 1) in the split: choose frames that hold anomalies.")
    if not negatives:
        raise UserError("No normal pixel (label 0) in the split: check how the label maps are read.")
    values = np.concatenate(extremes)
    if values.min() == values.max():
        raise UserError(f"Every score of the split is {values[0]:g} and so ranks nothing; check the model.")


class _Pool:
    """One growing array of scores, extended in place: a list of parts would need twice the memory to join."""

    def __init__(self) -> None:
        self._values: Floats = np.empty(0, np.float32)
        self._size = 0

    def extend(self, values: Floats) -> None:
        dtype = np.promote_types(self._values.dtype, values.dtype)
        if dtype != self._values.dtype:
            self._values = self._values.astype(dtype)
        end = self._size + values.size
        if end > self._values.size:
            self._values.resize(end + end // 8, refcheck=False)  # no view of it is out yet
        self._values[self._size : end] = values
        self._size = end

    def sorted(self) -> Floats:
        """All values, ascending, in the pool's own memory: nothing may be added after it."""
        values = self._values[: self._size]
        values.sort()
        return values


# Segments


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
        for score, label in _pairs(scores, labels)
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


# Label maps


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
    for prediction, target in _zipped(predictions, targets):
        matrix.update(prediction, target)
    return matrix


# Reading a split


def _pairs(scores: Frames, labels: Frames) -> Iterator[tuple[Floats, npt.NDArray[Any]]]:
    """Each frame's score, float32 or wider, and label map, checked."""
    for index, (score, label) in enumerate(_zipped(scores, labels)):
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


def _zipped(left: Frames, right: Frames) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    for frames in (left, right):
        if isinstance(frames, np.ndarray) and frames.ndim < 3:
            raise UserError(f"One array of {frames.shape} where frames are wanted: pass a list of arrays.")
    count = 0
    for count, (one, other) in enumerate(zip_longest(left, right), start=1):
        if one is None or other is None:
            missing = "prediction" if one is None else "label map"
            raise UserError(f"Frame {count - 1} has no {missing}: give as many of the one as of the other.")
        yield np.asarray(one), np.asarray(other)
    if not count:
        raise UserError("The split holds no frame: check the folder and its format.")
