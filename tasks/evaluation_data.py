"""Benchmark datasets and score maps on disk, as arrays that the metrics take."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.errors import UsageError
from tasks.files import IMAGE_SUFFIXES
from tasks.storage import reason

VOID: Final = 255
# What a pixel value can mean beside a class and void:
_ANOMALY: Final = 254
_NORMAL: Final = 253  # normal, of no class that is judged
_STRANGE: Final = 252  # the format has no such value
_SIDEWAYS: Final = (5, 6, 7, 8)  # EXIF orientations that turn a picture by a quarter
_ORIENTATION: Final = 0x0112

LabelMap = npt.NDArray[np.uint8]
ScoreMap = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EvaluationFrame:
    """A frame with its label map. ``name`` is what its score map is called; it may hold slashes."""

    name: str
    image: Path
    label: Path


@dataclass(frozen=True, slots=True)
class Dataset:
    """The frames of a split, by name.

    ``classes`` are the words for each class of the label maps, empty where they tell anomalies only;
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
        found = (meaning == _ANOMALY).astype(np.uint8)
        found[meaning == VOID] = VOID
        return found

    def class_map(self, frame: EvaluationFrame) -> LabelMap:
        """(H, W) uint8: index into ``classes``, their number for anomaly, 255 for void or none of them.

        Raises:
            UsageError: as ``anomaly_map``.
        """
        found = self._meaning(frame)
        found[found == _NORMAL] = VOID
        found[found == _ANOMALY] = len(self.classes)
        return found

    def _meaning(self, frame: EvaluationFrame) -> LabelMap:
        table = _FORMATS[self.format].meaning(frame.label)
        values = _read_single_channel(frame.label)
        if values.dtype != np.uint8:
            raise UsageError(f"{frame.label}: a label map has 8 bits a pixel, not {values.dtype}.")
        found = table[values]
        if (found == _STRANGE).any():
            raise UsageError(
                f"{frame.label} holds the label {values[found == _STRANGE].flat[0]}; the format {self.format} has "
                f"{', '.join(str(value) for value in np.flatnonzero(table != _STRANGE))}."
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
    if format not in _FORMATS:
        raise UsageError(f"Unknown format {format!r}: use one of {', '.join(_FORMATS)}.")
    if not root.is_dir():
        raise UsageError(f"--dataset {root}: there is no such folder.")
    chosen = _FORMATS[format]
    if split is not None and chosen.split is None:
        raise UsageError(f"--split {split}: the format {format} has no splits; leave it out.")
    found = chosen.find(root, split or chosen.split or "")
    if not found:
        others = [name for name, other in _FORMATS.items() if other.find(root, other.split or "")]
        hint = f"it looks like {others[0]}" if others else "check --dataset, --split and --format"
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
        with Image.open(path) as image:
            width, height = image.size
            return (height, width) if image.getexif().get(_ORIENTATION) in _SIDEWAYS else (width, height)
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path} cannot be read as an image ({reason(error)}).") from error


def _read_single_channel(path: Path) -> npt.NDArray[np.generic]:
    try:
        with Image.open(path) as image:
            values = np.asarray(image)  # of a palette image the indices
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"{path} cannot be read as an image ({reason(error)}).") from error
    if values.ndim != 2:
        raise UsageError(f"{path} has {values.shape[2]} channels; a map of labels or scores has one.")
    return values


# ---------------------------------------------------------------------------------------------- formats


Meaning = Callable[[Path], LabelMap]


def _table(values: Mapping[int, int]) -> LabelMap:
    """The meaning of each of the 256 pixel values."""
    table = np.full(256, _STRANGE, np.uint8)
    table[list(values)] = list(values.values())
    return table


def _always(values: Mapping[int, int]) -> Meaning:
    table = _table({**values, VOID: VOID})
    return lambda label: table


Classes = Callable[[Path], tuple[tuple[str, ...], ...]]


def _fixed(classes: tuple[tuple[str, ...], ...]) -> Classes:
    return lambda root: classes


def _none(root: Path) -> tuple[tuple[str, ...], ...]:
    return ()


def _never(frame: EvaluationFrame, all_frames: list[EvaluationFrame]) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Format:
    """How a dataset is laid out and what its pixel values mean.

    ``meaning`` gives the look-up table for a label file, from pixel values to an index into the classes,
    ``_ANOMALY``, ``_NORMAL`` or void; ``classes`` the words for each class of a dataset's folder. ``split`` is the
    one taken where none is named.
    """

    layout: str
    find: Callable[[Path, str], list[EvaluationFrame]]
    meaning: Meaning
    classes: Classes = _none
    split: str | None = None
    may_lack_truth: Callable[[EvaluationFrame, list[EvaluationFrame]], bool] = _never


def _images(folder: Path, recursive: bool = False) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.rglob("*") if recursive else folder.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("."):
            yield path


def _roadanomaly(root: Path, split: str) -> list[EvaluationFrame]:
    folder = root / "frames" if (root / "frames").is_dir() else root
    # Another dataset's images without a single *.labels folder are not frames of this format.
    if not any(folder.glob("*.labels")):
        return []
    return [
        EvaluationFrame(path.stem, path, folder / f"{path.stem}.labels" / "labels_semantic.png")
        for path in _images(folder)
    ]


def _smiyc(root: Path, split: str) -> list[EvaluationFrame]:
    if not (root / "labels_masks").is_dir():
        return []
    return [
        EvaluationFrame(path.stem, path, root / "labels_masks" / f"{path.stem}_labels_semantic.png")
        for path in _images(root / "images")
    ]


def _is_hidden_test(frame: EvaluationFrame, all_frames: list[EvaluationFrame]) -> bool:
    """The truth of all but the frames named "validation…" is not published."""
    public = "validation"
    return not frame.name.startswith(public) and any(other.name.startswith(public) for other in all_frames)


_FISHYSCAPES_LABEL = re.compile(r"\d+_(?P<image>.+)_labels")


def _fishyscapes(root: Path, split: str) -> list[EvaluationFrame]:
    # As others repackage it: the same file name in two folders.
    if (root / "labels").is_dir() and (root / "original").is_dir():
        return [
            EvaluationFrame(path.stem, path, root / "labels" / f"{path.stem}.png")
            for path in _images(root / "original")
        ]
    # As published: label maps alone, numbered; their images come with Lost and Found, in folders of its own.
    labels = {path.stem: _FISHYSCAPES_LABEL.fullmatch(path.stem) for path in root.rglob("*_labels.png")}
    if not any(labels.values()):
        return []
    images = {path.stem.removesuffix("_leftImg8bit"): path for path in root.rglob("*_leftImg8bit.png")}
    frames = []
    for path in root.rglob("*_labels.png"):
        if not (match := labels[path.stem]):
            continue
        image = match["image"]
        if image not in images:
            raise UsageError(
                f"{path.name} has no image: put Lost and Found's leftImg8bit folder, with "
                f"{image}_leftImg8bit.png in it, below {root}."
            )
        frames.append(EvaluationFrame(image, images[image], path))
    return frames


def _cityscapes(root: Path, split: str) -> list[EvaluationFrame]:
    frames = []
    for path in sorted((root / "leftImg8bit" / split).glob("*/*_leftImg8bit.png")):
        name = path.stem.removesuffix("_leftImg8bit")
        stem = root / "gtFine" / split / path.parent.name / f"{name}_gtFine_label"
        train_ids = stem.with_name(f"{stem.name}TrainIds.png")
        label = train_ids if train_ids.is_file() else stem.with_name(f"{stem.name}Ids.png")
        frames.append(EvaluationFrame(name, path, label))
    return frames


def _streethazards(root: Path, split: str) -> list[EvaluationFrame]:
    # The archives unpack to test/images/test/t5/1.png, and to train/images/validation/t4/1.png.
    for base in (root / split, root / "train", root):
        images = base / "images" / split
        if images.is_dir():
            truth = base / "annotations" / split
            named = ((path.relative_to(images).with_suffix(""), path) for path in _images(images, recursive=True))
            return [
                EvaluationFrame(name.as_posix(), path, truth / name.parent / f"{name.name}.png") for name, path in named
            ]
    return []


def _camvid_like(root: Path, split: str) -> list[EvaluationFrame]:
    truth = root / f"{split}annot"
    if not truth.is_dir():
        return []
    return [EvaluationFrame(path.stem, path, truth / f"{path.stem}.png") for path in _images(root / split)]


_CITYSCAPES_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_CITYSCAPES_BY_ID = _table(
    {
        **dict.fromkeys((*range(34), VOID), VOID),
        **{value: index for index, value in enumerate(_CITYSCAPES_IDS)},
    }
)
_CITYSCAPES_BY_TRAIN_ID = _table({VOID: VOID, **{index: index for index in range(len(_CITYSCAPES_CLASSES))}})


def _cityscapes_meaning(label: Path) -> LabelMap:
    if not label.stem.endswith("TrainIds"):
        return _CITYSCAPES_BY_ID
    root = label.parents[3]
    return _camvid_like_words(root).table if (root / "classes.txt").is_file() else _CITYSCAPES_BY_TRAIN_ID


def _cityscapes_words(root: Path) -> tuple[tuple[str, ...], ...]:
    """Those of ``classes.txt`` where there is one, as ``dataset build`` writes it; else the 19."""
    if (root / "classes.txt").is_file():
        return _camvid_like_words(root).classes
    return tuple((name,) for name in _CITYSCAPES_CLASSES)


# Pixel values from 1 on. What is unlabeled or "other" is normal to the benchmark, but no class to be found.
_STREETHAZARDS_CLASSES = (
    ("building",), ("fence",), ("pedestrian", "person"), ("pole",), ("road line", "lane marking"), ("road",),
    ("sidewalk",), ("vegetation",), ("car",), ("wall",), ("traffic sign",),
)  # fmt: skip
_STREETHAZARDS_VALUES = (2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13)

# The eleven classes of CamVid as they are usually judged (Badrinarayanan et al., arXiv 1511.00561).
_CAMVID = """sky
building
pole
road
sidewalk, pavement
vegetation, tree
traffic sign, sign symbol
fence
car
person, pedestrian
rider, bicyclist
void
"""


@dataclass(frozen=True, slots=True)
class _Words:
    """The classes of a file that names them, and the meaning of its pixel values."""

    classes: tuple[tuple[str, ...], ...]
    table: LabelMap


@lru_cache(maxsize=8)
def _camvid_like_words(root: Path) -> _Words:
    """A line of ``classes.txt`` a pixel value, from 0 on: words for the class between commas, or "void"."""
    file = root / "classes.txt"
    try:
        lines = (file.read_text(encoding="utf-8") if file.is_file() else _CAMVID).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text ({reason(error)}).") from error
    classes: list[tuple[str, ...]] = []
    values = {VOID: VOID}
    for value, line in enumerate(lines):
        words = tuple(word.strip() for word in line.split(","))
        if not all(words) or value >= _STRANGE:
            raise UsageError(f"{file}, line {value + 1}: give the words of a class, or void, for each pixel value.")
        values[value] = VOID if words == ("void",) else len(classes)
        if words != ("void",):
            classes.append(words)
    return _Words(tuple(classes), _table(values))


_FORMATS: Final[dict[str, _Format]] = {
    "roadanomaly": _Format(
        "frames/NAME.jpg beside frames/NAME.labels/labels_semantic.png",
        _roadanomaly,
        _always({0: _NORMAL, 1: _NORMAL, 2: _ANOMALY}),
    ),
    "smiyc": _Format(
        "images/NAME.jpg and labels_masks/NAME_labels_semantic.png",
        _smiyc,
        _always({0: _NORMAL, 1: _ANOMALY}),
        may_lack_truth=_is_hidden_test,
    ),
    "fishyscapes": _Format(
        "NUMBER_NAME_labels.png and NAME_leftImg8bit.png in any folders, or original/NAME.png and labels/NAME.png",
        _fishyscapes,
        _always({0: _NORMAL, 1: _ANOMALY}),
    ),
    "cityscapes": _Format(
        "leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png and gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png",
        _cityscapes,
        _cityscapes_meaning,
        _cityscapes_words,
        split="val",
    ),
    "streethazards": _Format(
        "images/SPLIT/TOWN/NAME.png and annotations/SPLIT/TOWN/NAME.png",
        _streethazards,
        _always(
            {
                **{value: index for index, value in enumerate(_STREETHAZARDS_VALUES)},
                1: _NORMAL,
                4: _NORMAL,
                14: _ANOMALY,
            }
        ),
        _fixed(_STREETHAZARDS_CLASSES),
        split="test",
    ),
    "camvid-like": _Format(
        "SPLIT/NAME.png and SPLITannot/NAME.png, and classes.txt where the classes are not CamVid's",
        _camvid_like,
        lambda label: _camvid_like_words(label.parent.parent).table,
        lambda root: _camvid_like_words(root).classes,
        split="val",
    ),
}
FORMATS: Final = tuple(_FORMATS)


# ------------------------------------------------------------------------------------------- score maps


def check_score_maps(folder: Path, frames: Sequence[EvaluationFrame]) -> None:
    """See that there is a map for every frame, without reading one.

    Raises:
        UsageError: no such folder, or a frame without a map.
    """
    if not folder.is_dir():
        raise UsageError(f"--scores {folder}: there is no such folder.")
    missing = [frame.name for frame in frames if _score_file(folder, frame.name) is None]
    if missing:
        raise UsageError(
            f"{folder} has no score map for {len(missing)} of {len(frames)} frames, such as "
            f"{missing[0]}.png or .npy; add them, or judge fewer frames with --limit."
        )


def read_score_map(folder: Path, frame: EvaluationFrame) -> ScoreMap:
    """A frame's anomaly scores: ``NAME.npy``, floating point of any range, or ``NAME.png``, 16 bits for 0 to 1.

    Returns:
        (H, W) float32, higher is more anomalous.

    Raises:
        UsageError: no such file, or it holds something else.
    """
    path = _score_file(folder, frame.name)
    if path is None:
        raise UsageError(f"{folder} has no score map {frame.name}.png or {frame.name}.npy.")
    if path.suffix == ".png":
        values = _read_single_channel(path)
        if values.dtype != np.uint16:
            raise UsageError(f"{path}: a score map is a PNG of 16 bits a pixel, not {values.dtype}; or save npy.")
        return values.astype(np.float32) / np.float32(np.iinfo(np.uint16).max)
    try:
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} cannot be read as a numpy array ({reason(error)}).") from error
    if loaded.ndim != 2 or not np.issubdtype(loaded.dtype, np.floating):
        raise UsageError(
            f"{path} holds {loaded.dtype} of shape {loaded.shape}; a score map is float32, (height, width)."
        )
    return np.asarray(loaded, dtype=np.float32)


def _score_file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}.npy", folder / f"{name}.png")
    return next((path for path in files if path.is_file()), None)
