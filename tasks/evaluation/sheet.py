"""A contact sheet of the frames that were judged best and worst."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from tasks.drawing import contact_sheet, heatmap
from tasks.errors import UserError
from tasks.evaluation.data import Dataset
from tasks.evaluation.formats import VOID, LabelMap
from tasks.evaluation.results import FrameReport
from tasks.evaluation.score_maps import ScoreMap
from tasks.footage.frames import Rgb, read_image

_SHOWN = 4  # best frames, and as many worst
_EVERY = 97  # pixel is looked at to find the scale of the scores, which is between these percentiles:
_SCALE = (1.0, 99.9)
_TRUTH_COLOUR, _VOID_COLOUR = (235, 64, 52), (110, 110, 120)


def draw_frames(
    path: Path,
    dataset: Dataset,
    reports: Sequence[FrameReport],
    read: Callable[[int], ScoreMap],
) -> None:
    """Write a PNG with the best and worst frames, each as input, truth and scores.

    Frames are ranked by AuPRC, or, where none has anomalies, by how little of them was called unknown;
    nothing is written where neither is known.

    Args:
        path: the PNG.
        dataset: the frames.
        reports: one for each frame.
        read: gives a frame's scores by its index.

    Raises:
        UserError: an image that cannot be read, or a PNG that cannot be written.
    """
    by_auprc = any(report.auprc is not None for report in reports)
    quality: dict[int, tuple[float, str]] = {}
    for index, report in enumerate(reports):
        if report.auprc is not None:
            quality[index] = (report.auprc, f"AuPRC {report.auprc:.1%}")
        elif report.flagged is not None and not by_auprc:
            quality[index] = (-report.flagged, f"called unknown {report.flagged:.1%}")
    if not quality:
        return
    order = sorted(quality, key=lambda index: -quality[index][0])
    shown = [place for place in range(len(order)) if place < _SHOWN or place >= len(order) - _SHOWN]
    # One scale for all, and for a few stray pixels no part of it.
    sample = np.concatenate([read(order[place]).ravel()[::_EVERY] for place in shown])
    low, high = np.percentile(sample, _SCALE)
    tiles = []
    for place in shown:
        index = order[place]
        frame, said = dataset.frames[index], Counter(reports[index].names).most_common(3)
        image, label = read_image(str(frame.image)), dataset.anomaly_map(frame)
        captions = [f"scores, {quality[index][1]}", *(f"{count} {name}" for name, count in said)]
        tiles += [
            (image, f"{place + 1} of {len(order)}: {frame.name}"),
            (_truth(image, label), f"truth, {np.mean(label == 1):.1%} anomalous"),
            (heatmap(image, (read(index) - low) / max(high - low, 1e-12)), "; ".join(captions)),
        ]
    sheet = contact_sheet(tiles, columns=3)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise UserError(f"{path} cannot be written; check --out.")


def _truth(image: Rgb, label: LabelMap) -> Rgb:
    """The frame with anomalies in red and void in grey."""
    shown = image // 2 + 40
    for value, colour in ((1, _TRUTH_COLOUR), (VOID, _VOID_COLOUR)):
        shown[label == value] = shown[label == value] // 3 + np.asarray(colour, np.uint8) // 3 * 2
    return shown
