"""How benchmark datasets are laid out, and what the pixel values of their label maps mean."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tasks.errors import UsageError
from tasks.footage.image_files import image_suffixes
from tasks.footage.images import read_single_channel
from tasks.storage import reason

VOID: Final = 255
# What a pixel value can mean beside a class and void:
ANOMALY: Final = 254
NORMAL: Final = 253  # normal, of no class that is judged
STRANGE: Final = 252  # the format has no such value

LabelMap = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class EvaluationFrame:
    """A frame with its label map. ``name`` is what its score map is called; it may hold slashes."""

    name: str
    image: Path
    label: Path


Meaning = Callable[[Path], LabelMap]


def _table(values: Mapping[int, int]) -> LabelMap:
    """The meaning of each of the 256 pixel values."""
    table = np.full(256, STRANGE, np.uint8)
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
class Format:
    """How a dataset is laid out and what its pixel values mean.

    ``meaning`` gives the look-up table for a label file, from pixel values to an index into the classes,
    ``ANOMALY``, ``NORMAL`` or void; ``classes`` the words for each class of a dataset's folder. ``split`` is the
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
        if path.suffix.lower() in image_suffixes() and not path.name.startswith("."):
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
    """Whether the benchmark does not publish the truth of a frame: only that of "validation…" is public."""
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


# Where BDD100K keeps images and label maps of train ids, as it was first published and as it is now.
_BDD_LAYOUTS: Final = (
    ("seg/images", "seg/labels", "_train_id"),
    ("images/10k", "labels/sem_seg/masks", ""),
)
_BDD_ANOMALIES: Final = {16, 17, 18}
"""Train, motorcycle and bicycle (Hendrycks et al., arXiv 1911.11132)."""


def _bdd_anomaly(root: Path, split: str) -> list[EvaluationFrame]:
    """The test split: every frame of train and val that shows one of the three anomalies. All label maps are read."""
    frames = []
    for images, labels, suffix in _BDD_LAYOUTS:
        for part in ("train", "val"):
            for path in _images(root / images / part):
                label = root / labels / part / f"{path.stem}{suffix}.png"
                if not label.is_file() or _BDD_ANOMALIES & set(np.unique(read_single_channel(label)).tolist()):
                    frames.append(EvaluationFrame(path.stem, path, label))
    return frames


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
    """The classes in ``classes.txt``, as ``dataset build`` writes it. Without this file, the 19 of Cityscapes."""
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
        if not all(words) or value >= STRANGE:
            raise UsageError(f"{file}, line {value + 1}: give the words of a class, or void, for each pixel value.")
        values[value] = VOID if words == ("void",) else len(classes)
        if words != ("void",):
            classes.append(words)
    return _Words(tuple(classes), _table(values))


FORMATS: Final[dict[str, Format]] = {
    "roadanomaly": Format(
        "frames/NAME.jpg beside frames/NAME.labels/labels_semantic.png",
        _roadanomaly,
        _always({0: NORMAL, 1: NORMAL, 2: ANOMALY}),
    ),
    "smiyc": Format(
        "images/NAME.jpg and labels_masks/NAME_labels_semantic.png",
        _smiyc,
        _always({0: NORMAL, 1: ANOMALY}),
        may_lack_truth=_is_hidden_test,
    ),
    "fishyscapes": Format(
        "NUMBER_NAME_labels.png and NAME_leftImg8bit.png in any folders, or original/NAME.png and labels/NAME.png",
        _fishyscapes,
        _always({0: NORMAL, 1: ANOMALY}),
    ),
    "cityscapes": Format(
        "leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png and gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png",
        _cityscapes,
        _cityscapes_meaning,
        _cityscapes_words,
        split="val",
    ),
    "streethazards": Format(
        "images/SPLIT/TOWN/NAME.png and annotations/SPLIT/TOWN/NAME.png",
        _streethazards,
        _always(
            {
                **{value: index for index, value in enumerate(_STREETHAZARDS_VALUES)},
                1: NORMAL,
                4: NORMAL,
                14: ANOMALY,
            }
        ),
        _fixed(_STREETHAZARDS_CLASSES),
        split="test",
    ),
    "bdd-anomaly": Format(
        "seg/images/PART/NAME.jpg and seg/labels/PART/NAME_train_id.png, or images/10k/PART/NAME.jpg and "
        "labels/sem_seg/masks/PART/NAME.png",
        _bdd_anomaly,
        _always({**{index: index for index in range(16)}, **dict.fromkeys(_BDD_ANOMALIES, ANOMALY)}),
        _fixed(tuple((name,) for name in _CITYSCAPES_CLASSES[:16])),
        split="test",
    ),
    "camvid-like": Format(
        "SPLIT/NAME.png and SPLITannot/NAME.png, and classes.txt where the classes are not CamVid's",
        _camvid_like,
        lambda label: _camvid_like_words(label.parent.parent).table,
        lambda root: _camvid_like_words(root).classes,
        split="val",
    ),
}
