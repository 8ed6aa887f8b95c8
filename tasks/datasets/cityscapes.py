"""Cityscapes: label maps of the known classes, followed by the names that people gave or accepted.

``labelTrainIds`` number the classes from 0 on, in the order of ``classes.txt``. ``labelIds`` and ``instanceIds`` keep
the numbers that Cityscapes gives its own classes, so that its readers know them; other classes follow from 34 on.
What nobody judged is void: a training learns nothing from it and needs labelled frames of the known classes too.
Layout and numbers: https://github.com/mcordts/cityscapesScripts
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from clipomaly_core.names import lemma
from clipomaly_core.vocabulary import Vocabulary
from schemas.dataset import DatasetFrame
from tasks.datasets.format import Classes, Format, Kept, Losses, OutputFile, annotated, class_list
from tasks.datasets.image_store import Content, ImageForm
from tasks.datasets.selection import slug
from tasks.errors import UserError
from tasks.masks import decode_mask

VOID = 255
UNLABELED = 0  # void among the label ids
# The numbers of Cityscapes' own classes among its label ids.
LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
_FIRST_NEW_ID = 34
_MOST_NEW_CLASSES = 256 - _FIRST_NEW_ID
_PER_CLASS = 1000  # an instance id is label id x 1000 + number
_LAST_ID_WITH_INSTANCES = 64  # instance ids above do not fit into 16 bits

_Map = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def label_names(classes: Classes) -> tuple[str, ...]:
    """The class of each train id. Raises UserError when there are more classes than 8 bits hold."""
    vocabulary = {lemma(name) for name in classes.vocabulary}
    names = (*classes.vocabulary, *(name for name in classes.names if lemma(name) not in vocabulary))
    new = len(set(names) - LABEL_IDS.keys())
    if new > _MOST_NEW_CLASSES:
        raise UserError(
            f"A label map holds {_MOST_NEW_CLASSES} classes beside those of Cityscapes, and this dataset has {new}. "
            "Choose some with --name, or use another --format."
        )
    return names


def label_ids(names: Sequence[str]) -> tuple[int, ...]:
    """The label id of each class: Cityscapes' own number, or the next free one from 34 on."""
    free = count(_FIRST_NEW_ID)
    return tuple(LABEL_IDS[name] if name in LABEL_IDS else next(free) for name in names)


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    names = label_names(classes)
    numbers = {lemma(name): number for number, name in enumerate(names)}
    ids = np.array(label_ids(names), np.uint8)
    for content in contents:
        if content.picture is None:
            continue
        frame = content.frame
        path = f"{frame.split}/{slug(frame.drive)}/{frame.frame_id}"
        labels, instances, losses = _maps(frame, numbers)
        judged = labels != VOID
        values = np.full_like(labels, UNLABELED)
        values[judged] = ids[labels[judged]]
        yield OutputFile(
            f"leftImg8bit/{path}_leftImg8bit.png", content.picture.data, ((frame.frame_id, content.picture),)
        )
        yield OutputFile(f"gtFine/{path}_gtFine_labelTrainIds.png", _png(labels), losses=losses)
        yield OutputFile(f"gtFine/{path}_gtFine_labelIds.png", _png(values))
        if max(ids, default=0) <= _LAST_ID_WITH_INSTANCES:
            numbered = np.where(judged, values.astype(np.uint16) * _PER_CLASS + instances, UNLABELED)
            yield OutputFile(f"gtFine/{path}_gtFine_instanceIds.png", _png(numbered.astype(np.uint16)))


def _maps(frame: DatasetFrame, numbers: dict[str, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint16], Losses]:
    """(H, W) uint8 of train ids, 255 where nobody judged, and (H, W) uint16 of the number of the instance within the
    frame. Small masks lie on top."""
    labels = np.full((frame.height, frame.width), VOID, np.uint8)
    instances = np.zeros(labels.shape, np.uint16)
    hidden = 0
    for number, label in enumerate(sorted(annotated(frame.labels), key=lambda label: -label.area)):
        assert label.name is not None
        mask = decode_mask(label.mask_rle, frame.height, frame.width)
        hidden += int(np.count_nonzero(labels[mask] != VOID))
        labels[mask] = numbers[lemma(label.name)]
        instances[mask] = number % _PER_CLASS
    return labels, instances, Losses(hidden_pixels=hidden)


def _png(values: _Map) -> bytes:
    done, data = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 4])
    assert done
    return np.asarray(data).tobytes()


def _closing(kept: Sequence[Kept], classes: Classes) -> Iterator[OutputFile]:
    names = label_names(classes)
    builtin = {known.name: known for known in Vocabulary.load().known}
    known = [
        {"name": name, "synonyms": list(builtin[name].synonyms)} if name in builtin else {"name": name}
        for name in names
    ]
    text = "# The classes of the label maps, in the order of their values: for training, not for a scan.\n"
    # By it the label maps are read again, to train on and to judge by.
    yield class_list(names)
    yield OutputFile("vocabulary.yaml", (text + yaml.safe_dump({"known": known}, sort_keys=False)).encode())
    # Without it, datumaro takes the classes for those of Cityscapes; without a black one, it adds one before the first.
    colours = [(number * 67 % 256, number * 101 % 256, number * 151 % 256) for number in range(len(names))]
    meta = {"label_map": dict(enumerate(names)), "segmentation_colors": colours}
    yield OutputFile("dataset_meta.json", json.dumps(meta).encode())


CITYSCAPES = Format(
    _part,
    _closing,
    (
        "a pixel has one class: where masks of two objects lie over each other, the smaller one has it",
        "pixels that nobody judged are void (255 in labelTrainIds, 0 in labelIds), also all of a background frame",
        "instance maps are left out above 31 classes that Cityscapes does not have: 16 bits do not hold more",
    ),
    'torchvision.datasets.Cityscapes(".", split="train", mode="fine", target_type=["semantic", "instance"])',
    images=ImageForm.PNG,
)
