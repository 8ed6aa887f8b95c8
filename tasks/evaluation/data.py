"""Benchmark datasets on disk, as the label maps that the metrics take."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from tasks.errors import UsageError
from tasks.evaluation.formats import ANOMALY, FORMATS, NORMAL, STRANGE, VOID, EvaluationFrame, LabelMap
from tasks.footage.images import IMAGE_FORMATS, read_single_channel
from tasks.storage import reason

_SPLITS = ("train", "val", "test")
_SIDEWAYS: Final = (5, 6, 7, 8)  # EXIF orientations that turn a picture by a quarter
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True, slots=True)
class Dataset:
    """The frames of a split, by name.

    ``classes`` are the words for each class of the label maps, empty where they mark anomalies only;
    ``unlabelled`` counts frames whose truth the benchmark keeps to itself.
    """

    format: str
    root: Path
    frames: tuple[EvaluationFrame, ...]
    unlabelled: int
    classes: tuple[tuple[str, ...], ...]

    def anomaly_map(self, frame: EvaluationFrame) -> LabelMap:
        """(H, W) uint8: 0 normal, 1 anomaly, 255 void.

        Raises:
            UsageError: the file is missing, no label map, or holds a value that the format does not have.
        """
        meaning = self._meaning(frame)
        found = (meaning == ANOMALY).astype(np.uint8)
        found[meaning == VOID] = VOID
        return found

    def class_map(self, frame: EvaluationFrame) -> LabelMap:
        """(H, W) uint8: index into ``classes``, their number for anomaly, 255 for void or none of them.

        Raises:
            UsageError: as ``anomaly_map``.
        """
        found = self._meaning(frame)
        found[found == NORMAL] = VOID
        found[found == ANOMALY] = len(self.classes)
        return found

    def _meaning(self, frame: EvaluationFrame) -> LabelMap:
        table = FORMATS[self.format].meaning(frame.label)
        values = read_single_channel(frame.label)
        if values.dtype != np.uint8:
            raise UsageError(f"{frame.label}: a label map has 8 bits a pixel, not {values.dtype}.")
        found = table[values]
        if (found == STRANGE).any():
            raise UsageError(
                f"{frame.label} holds the label {values[found == STRANGE].flat[0]}; the format {self.format} has "
                f"{', '.join(str(value) for value in np.flatnonzero(table != STRANGE))}."
            )
        return found


def read_dataset(root: Path, format: str, split: str | None = None, limit: int | None = None) -> Dataset:
    """List a dataset and check that every frame has a label map of its size; no map is decoded yet.

    Args:
        root: its folder, as it was unpacked.
        format: one of ``FORMATS``.
        split: of ``cityscapes`` and ``camvid-like`` (``val`` when ``None``) and ``streethazards`` (``test``).
        limit: the first so many frames by name.

    Raises:
        UsageError: no such folder or split, a folder of another format, no frames, a missing label map,
            one of another size than its frame.
    """
    if format not in FORMATS:
        raise UsageError(f"Unknown format {format!r}: use one of {', '.join(FORMATS)}.")
    if not root.is_dir():
        raise UsageError(f"{root}: there is no such folder. Give the folder of a dataset.")
    chosen = FORMATS[format]
    if split is not None and chosen.split is None:
        raise UsageError(f"--split {split}: the format {format} has no splits; leave it out.")
    found = chosen.find(root, split or chosen.split or "")
    if not found:
        others = [name for name, other in FORMATS.items() if other.find(root, other.split or "")]
        filled = [other for other in _SPLITS if chosen.split and chosen.find(root, other)]
        if filled and not others:
            raise UsageError(
                f"{root} has no frames in its split {split or chosen.split}, only in {', '.join(filled)}. If it is a "
                "dataset of decisions, build it again in another folder with more drives, or with --split 70/30/0."
            )
        hint = f"it looks like {others[0]}" if others else "check the folder, the split and the format"
        raise UsageError(f"{root} holds no frames of the format {format} ({chosen.layout}): {hint}.")
    found.sort(key=lambda frame: frame.name)
    for one, other in pairwise(found):
        if one.name == other.name:
            raise UsageError(f"{one.image} and {other.image} have one name: remove one of them.")
    labelled = [frame for frame in found if frame.label.is_file() or not chosen.may_lack_truth(frame, found)]
    frames = tuple(labelled[:limit])
    for frame in frames:
        _check_sizes(frame)
    return Dataset(format, root, frames, len(found) - len(labelled), chosen.classes(root))


def _check_sizes(frame: EvaluationFrame) -> None:
    if not frame.label.is_file():
        raise UsageError(f"{frame.name} has no label map: {frame.label} is missing.")
    width, height = _size(frame.image)
    label_width, label_height = _size(frame.label)
    if (width, height) != (label_width, label_height):
        raise UsageError(
            f"{frame.label}: the label map is {label_width}x{label_height} and its frame {width}x{height}; "
            "give both the same size."
        )


def _size(path: Path) -> tuple[int, int]:
    """Width and height as a viewer shows them, from the header."""
    try:
        with Image.open(path, formats=IMAGE_FORMATS) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path} cannot be read as an image ({reason(error)}).") from error
