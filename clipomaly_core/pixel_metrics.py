"""AuPRC, FPR95 and best F1 of anomaly scores, pooled over the pixels of a split.

Source: Chan et al., "SegmentMeIfYouCan: A Benchmark for Anomaly Segmentation", NeurIPS 2021, and the behaviour of its
public evaluation harness.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, Literal, NamedTuple, TypedDict, get_args

import numpy as np
import numpy.typing as npt

from clipomaly_core.errors import UserError

Frames = Iterable[npt.NDArray[Any]]
Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]

VOID: Final = 255
Mode = Literal["exact", "smiyc"]

_QUANTILES: Final = 768 // 2  # of the positives of a frame, and as many of its negatives


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


class PixelMetrics(TypedDict):
    """``best_f1_threshold`` is a score, taken as ``score >= threshold``; the others are in [0, 1]."""

    auprc: float
    fpr95: float
    best_f1: float
    best_f1_threshold: float


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


def pixel_curve(
    scores: Frames, labels: Frames, mode: Mode = "exact", points: int = 512, block: int = 1 << 20
) -> PixelCurve:
    """:func:`pixel_metrics` with ``points`` of the curve even in recall, and as many in false positive rate.

    ``block`` scores of positives are processed together in exact mode; it changes memory and time only.

    Raises ``UserError`` for an empty split, frames that do not match in number or size, labels other than
    0, 1 and 255, scores that are not finite, a split without anomalous or without normal pixels, and scores
    that are the same everywhere.
    """
    if mode not in get_args(Mode):
        raise UserError(f"Unknown mode {mode!r}: use one of {', '.join(get_args(Mode))}.")
    pixels = ((score[label == 1], score[label == 0]) for score, label in scored_frames(scores, labels))
    if mode == "smiyc":
        binned = _binned(pixels)
        return _curve([binned], int(binned.true_positives[-1]), int(binned.false_positives[-1]), points)
    positive, negative = _Pool(), _Pool()
    for at_positive, at_negative in pixels:
        positive.extend(at_positive)
        negative.extend(at_negative)
    positives, negatives = positive.sorted(), negative.sorted()
    extremes = (positives[:1], positives[-1:], negatives[:1], negatives[-1:])
    _check_judgeable(positives.size, negatives.size, extremes)
    return _curve(_exact(positives, negatives, block), positives.size, negatives.size, points)


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


def _exact(positives: Floats, negatives: Floats, block: int) -> Iterator[_Block]:
    """Scores of positives, from sorted ones: no other threshold can move recall, and so AP, FPR95 or best F1.

    In blocks, because the counts of a large split at each distinct score would outweigh the scores.
    """
    for end in range(positives.size, 0, -block):
        begin = max(end - block, 0)
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
        raise UserError(f"Every score of the split is {values[0]:g} so it ranks nothing; check the model.")


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
