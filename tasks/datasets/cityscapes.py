"""Cityscapes: a label map a picture, whose classes are V and behind it the names that people gave or accepted.

What nobody judged is void (255): a training learns nothing from it and needs labelled frames of V beside these.
Layout: https://github.com/mcordts/cityscapesScripts
"""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import yaml

from clipomaly_core.lemma import lemma
from clipomaly_core.vocabulary import Vocabulary
from schemas.dataset import DatasetFrame
from tasks.datasets.format import Classes, Format, Kept, Losses, OutputFile, annotated, class_list
from tasks.datasets.image_store import Content
from tasks.datasets.selection import slug
from tasks.errors import UserError
from tasks.masks import decode_mask

VOID = 255
_PER_CLASS = 1000  # instance ids are class x 1000 + number
_MOST_WITH_INSTANCES = 65  # classes whose instance ids fit into 16 bits

_Map = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def label_names(classes: Classes) -> tuple[str, ...]:
    """The class of each value of the label maps. Raises UserError when there are more than 8 bits hold."""
    vocabulary = {lemma(name) for name in classes.vocabulary}
    names = (*classes.vocabulary, *(name for name in classes.names if lemma(name) not in vocabulary))
    if len(names) > VOID:
        raise UserError(
            f"A label map holds 255 classes and this dataset has {len(names)}. Choose some with --name, or take "
            "another --format."
        )
    return names


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    names = label_names(classes)
    numbers = {lemma(name): number for number, name in enumerate(names)}
    for content in contents:
        if content.picture is None:
            continue
        frame = content.frame
        path = f"{frame.split}/{slug(frame.drive)}/{frame.frame_id}"
        labels, instances, losses = _maps(frame, numbers)
        yield OutputFile(
            f"leftImg8bit/{path}_leftImg8bit.png", content.picture.data, ((frame.frame_id, content.picture),)
        )
        yield OutputFile(f"gtFine/{path}_gtFine_labelTrainIds.png", _png(labels), losses=losses)
        if len(names) <= _MOST_WITH_INSTANCES:
            yield OutputFile(f"gtFine/{path}_gtFine_instanceIds.png", _png(instances))


def _maps(frame: DatasetFrame, numbers: dict[str, int]) -> tuple[_Map, _Map, Losses]:
    """(H, W) uint8 of classes and (H, W) uint16 of instances, 255 where nobody judged. Small masks lie on top."""
    labels = np.full((frame.height, frame.width), VOID, np.uint8)
    instances = np.full(labels.shape, VOID, np.uint16)
    hidden = 0
    for number, label in enumerate(sorted(annotated(frame.labels), key=lambda label: -label.area)):
        assert label.name is not None
        mask = decode_mask(label.mask_rle, frame.height, frame.width)
        hidden += int(np.count_nonzero(labels[mask] != VOID))
        value = numbers[lemma(label.name)]
        labels[mask] = value
        instances[mask] = value * _PER_CLASS + number % _PER_CLASS if value < _MOST_WITH_INSTANCES else VOID
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


CITYSCAPES = Format(
    _part,
    _closing,
    (
        "a pixel has one class: where masks of two objects lie over each other, the smaller one has it",
        "pixels that nobody judged are void (255), all of a background frame among them",
        "instance maps are left out above 65 classes, which 16 bits do not hold",
    ),
    'cv2.imread("gtFine/train/DRIVE/NAME_gtFine_labelTrainIds.png", cv2.IMREAD_UNCHANGED)',
    png=True,
)
