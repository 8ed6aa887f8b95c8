"""Counts that are made while frames are judged: pixels, time, and the best and worst frames."""

import math
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from clipomaly_core import Clipomaly, FrameResult
from clipomaly_core.metrics import (
    PixelCurve,
    SegmentMetrics,
    Track,
    UnknownIoU,
    pixel_curve,
    pixel_metrics,
    segment_metrics,
    unknown_iou,
)
from tasks.errors import UsageError, UserError
from tasks.evaluation.data import Dataset
from tasks.evaluation.formats import VOID, LabelMap
from tasks.evaluation.results import (
    FrameReport,
    SegmentReport,
    Speed,
)
from tasks.evaluation.score_maps import ScoreMap
from tasks.footage.frames import Rgb

Scores = Callable[[int], ScoreMap]


@dataclass(slots=True)
class Clock:
    """Runs the model batch by batch and measures how long it takes."""

    _seconds: float = 0.0
    _frames: int = 0

    def run(self, model: Clipomaly, images: Iterable[Rgb]) -> Iterator[FrameResult]:
        remaining = iter(images)
        while batch := list(islice(remaining, model.batch_size)):
            start = time.perf_counter()
            results = model(batch)
            self._seconds += time.perf_counter() - start
            self._frames += len(batch)
            yield from results

    def speed(self) -> Speed:
        # Linux counts in KiB, macOS in bytes.
        unit = 1 if sys.platform == "darwin" else 1024
        cuda = torch.cuda.is_available() and torch.cuda.is_initialized()
        return Speed(
            frames_per_second=self._frames / self._seconds,
            seconds=self._seconds,
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
            peak_device_memory_bytes=torch.cuda.max_memory_allocated() if cuda else None,
        )


@dataclass(slots=True)
class Survey:
    """The first look at every frame: are its scores fit to be judged, and what is in it?"""

    frames: list[FrameReport] = field(default_factory=list)
    normal: list[int] = field(default_factory=list)
    anomalous: list[int] = field(default_factory=list)
    void: list[int] = field(default_factory=list)
    low: float = math.inf
    high: float = -math.inf
    _flagged: int = 0

    def add(self, name: str, score: ScoreMap, label: LabelMap, result: FrameResult | None) -> None:
        """Raises UsageError for scores of another size or that are not finite."""
        if score.shape != label.shape:
            raise UsageError(
                f"{name}: the score map is {score.shape[1]}x{score.shape[0]} and the label map "
                f"{label.shape[1]}x{label.shape[0]}; give both the same size."
            )
        if not np.isfinite(score).all():
            raise UsageError(f"{name}: the scores hold NaN or infinity; check the model or the file.")
        low, high = float(score.min()), float(score.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        is_normal = label == 0
        counts = int(np.count_nonzero(is_normal)), int(np.count_nonzero(label == 1))
        self.normal.append(counts[0])
        self.anomalous.append(counts[1])
        self.void.append(label.size - sum(counts))
        ranks = all(counts) and float(score[label != VOID].min()) < float(score[label != VOID].max())
        flagged = None
        if result is not None:
            called = int(np.count_nonzero(is_normal & (result.labels >= result.known_classes)))
            self._flagged += called
            flagged = called / counts[0] if counts[0] else None
        self.frames.append(
            FrameReport(
                name,
                pixel_metrics([score], [label])["auprc"] if ranks else None,
                flagged,
                tuple(instance.name for instance in result.instances) if result is not None else (),
            )
        )

    def check(self) -> None:
        """Raises UsageError if all scores are the same number."""
        if self.low == self.high:
            raise UsageError(f"Every score is {self.low:g} so it ranks nothing; check the model or the files.")

    def flagged_share(self) -> float | None:
        """Share of all normal pixels that were called unknown."""
        return self._flagged / sum(self.normal) if any(self.normal) else None


class Ranked:
    """Results that need only scores and truth, of a split that has anomalies."""

    def __init__(self, dataset: Dataset, read: Scores, survey: Survey) -> None:
        self._dataset = dataset
        self._read = read
        self.exact: PixelCurve = pixel_curve(self._scores(), self._labels(), "exact")
        self.smiyc: PixelCurve = pixel_curve(self._scores(), self._labels(), "smiyc")

    def _scores(self) -> Iterator[ScoreMap]:
        return (self._read(index) for index in range(len(self._dataset.frames)))

    def _labels(self) -> Iterator[LabelMap]:
        return (self._dataset.anomaly_map(frame) for frame in self._dataset.frames)

    def segments(self) -> SegmentReport:
        return SegmentReport(self._track("anomaly"), self._track("obstacle"))

    def _track(self, track: Track) -> SegmentMetrics | None:
        threshold = self.smiyc.metrics["best_f1_threshold"]
        try:
            return segment_metrics(self._scores(), self._labels(), track, threshold)
        except UserError:
            # Scores and labels have passed pixel_curve: what is left is that no true component is large enough.
            return None

    def unknown_at_best_f1(self) -> UnknownIoU:
        threshold = self.exact.metrics["best_f1_threshold"]
        return unknown_iou((score >= threshold for score in self._scores()), self._labels())
