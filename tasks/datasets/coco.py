"""COCO: pictures in a folder a split, one JSON a split. https://cocodataset.org/#format-data

Masks are run lengths, or polygons for readers that do not take these. Polygons go along the edges of pixels, so that
pycocotools gives the same mask back, apart from holes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from schemas.dataset import DatasetFrame, Label, Role, Split
from tasks.datasets.format import Classes, Format, Kept, Losses, OutputFile, annotated
from tasks.datasets.image_store import Content
from tasks.masks import decode_mask

Shape = Callable[[Label, DatasetFrame], object]
"""A mask as the field ``segmentation`` has it."""


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    for content in contents:
        if content.picture:
            frame = content.frame
            path = f"images/{frame.split}/{frame.frame_id}{content.picture.suffix}"
            yield OutputFile(path, content.picture.data, ((frame.frame_id, content.picture),))


def _part_with_losses(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    for content in contents:
        frame = content.frame
        lost = sum((_hole_pixels(label, frame) for label in annotated(frame.labels)), Losses())
        for file in _part(name, [content], classes):
            yield replace(file, losses=lost)


def _closing(kept: Sequence[Kept], classes: Classes, shape: Shape) -> Iterator[OutputFile]:
    numbers = {name: number for number, name in enumerate(classes.names, start=1)}
    image_id = annotation_id = 0
    for split in Split:
        images: list[str] = []
        annotations: list[str] = []
        for placed in kept:
            if placed.frame.split is not split:
                continue
            image_id += 1
            images.append(json.dumps(_image(image_id, placed), separators=(",", ":")))
            for label in annotated(placed.frame.labels):
                annotation_id += 1
                made = _annotation(annotation_id, image_id, label, placed.frame, numbers, shape)
                annotations.append(json.dumps(made, separators=(",", ":")))
        categories = [
            {"id": numbers[name], "name": name, "supercategory": role.value}
            for role, names in ((Role.OBJECT, classes.objects), (Role.KNOWN, classes.known))
            for name in names
        ]
        # Joined from pieces: a fleet's annotations as objects of Python would take several times their size.
        text = (
            '{"info":{"description":"Clipomaly dataset"},"licenses":[],\n"categories":'
            + json.dumps(categories, separators=(",", ":"))
            + ',\n"images":[\n'
            + ",\n".join(images)
            + '\n],\n"annotations":[\n'
            + ",\n".join(annotations)
            + "\n]}\n"
        )
        yield OutputFile(f"annotations/instances_{split}.json", text.encode())


def _image(number: int, one: Kept) -> dict[str, object]:
    frame = one.frame
    return {
        "id": number,
        "file_name": one.path.removeprefix(f"images/{frame.split}/"),
        "width": frame.width,
        "height": frame.height,
        "date_captured": frame.timestamp.astimezone(UTC).isoformat(),
        "drive": frame.drive,
        "unlabelled": frame.unlabelled,
    }


def _annotation(
    number: int, image: int, label: Label, frame: DatasetFrame, numbers: dict[str, int], shape: Shape
) -> dict[str, object]:
    assert label.name is not None
    return {
        "id": number,
        "image_id": image,
        "category_id": numbers[label.name],
        "segmentation": shape(label, frame),
        "area": label.area,
        "bbox": [label.box.x, label.box.y, label.box.width, label.box.height],
        "iscrowd": 0,
        "item_id": label.item_id,
        "track_id": label.track_id,
        "mask_origin": label.mask_origin,
    }


def _run_lengths(label: Label, frame: DatasetFrame) -> object:
    return {"size": [frame.height, frame.width], "counts": label.mask_rle.decode("ascii")}


def polygons(label: Label, frame: DatasetFrame) -> list[list[int]]:
    """The outlines of a mask along the edges of its pixels: x, y, x, y, … of each part, without holes."""
    twice = _mask(label, frame).repeat(2, axis=0).repeat(2, axis=1)
    contours, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    # At twice the size a pixel has two places: the first is its left or upper edge, the second its right or lower one.
    corners = [(np.asarray(contour, np.int32).reshape(-1, 2) + 1) // 2 for contour in contours]
    return [_turns(points).ravel().tolist() for points in corners]


def _turns(points: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """A closed line without points that stand twice or lie between their neighbours on a straight line."""
    points = points[(points != np.roll(points, 1, axis=0)).any(1)]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]


def _hole_pixels(label: Label, frame: DatasetFrame) -> Losses:
    mask = _mask(label, frame)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = cv2.drawContours(np.zeros_like(mask), contours, -1, (1,), cv2.FILLED)
    holes = int(filled.sum()) - int(mask.sum())
    return Losses(holes=int(holes > 0), hole_pixels=holes)


def _mask(label: Label, frame: DatasetFrame) -> npt.NDArray[np.uint8]:
    return decode_mask(label.mask_rle, frame.height, frame.width).astype(np.uint8)


_LOAD = 'torchvision.datasets.CocoDetection("images/train", "annotations/instances_train.json")'

COCO = Format(_part, partial(_closing, shape=_run_lengths), (), _LOAD)
COCO_POLYGONS = Format(
    _part_with_losses, partial(_closing, shape=polygons), ("a polygon cannot have holes: they are filled",), _LOAD
)
