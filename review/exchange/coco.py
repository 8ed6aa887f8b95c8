"""COCO JSON, as CVAT and FiftyOne read and write it. https://cocodataset.org/#format-data"""

import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from review.errors import BadInputError
from review.exchange.annotations import VERDICT_LABELS, HandedOut, Imported, Label, hand_out, polygons, take_in
from review.pictures import Pictures
from review.queue import Queue
from schemas.masks import encode_mask

# As CVAT lays a dataset of one part, which it calls default.
FILE_NAME = "annotations/instances_default.json"
IMAGES = "images/default"


def export_coco(
    queue: Queue, folder: Path, pictures: Pictures, *, judged: bool = True, rle: bool = False, actor: str = "export"
) -> int:
    """Write ``annotations/instances_default.json`` and ``images/default/`` into ``folder``; how many items there are.

    Judged items carry what was decided and are marked as exported; with ``judged=False`` the open ones carry
    their suggestions and stay as they are. Masks are polygons without holes, or exact run lengths with
    ``rle``. Each picture is named after its item, by which ``import_coco`` knows it again.
    """
    known = {offered.name for offered in queue.vocabulary() if offered.known}
    offered = [] if judged else [*(word.name for word in queue.vocabulary()), *VERDICT_LABELS]
    categories: dict[str, int] = {}
    for name in offered:
        categories.setdefault(name, len(categories) + 1)
    images, annotations = [], []
    with hand_out(queue, folder / IMAGES, pictures, judged=judged, actor=actor) as items:
        for number, one in enumerate(items, 1):
            images.append(_image(number, one))
            category = categories.setdefault(one.label, len(categories) + 1)
            if one.mask.any():
                annotations.append(_annotation(number, category, one, rle))
        document = {
            "info": {"description": "Clipomaly review", "version": "1"},
            "licenses": [],
            "images": images,
            "annotations": annotations,
            "categories": [
                {"id": number, "name": name, "supercategory": _kind(name, known)} for name, number in categories.items()
            ],
        }
        path = folder / FILE_NAME
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document), "utf-8")
    return len(images)


def import_coco(queue: Queue, path: Path, reviewer: str) -> Imported:
    """Read decisions back: the category of each annotated picture of ours.

    A category that is the suggested name accepts it, a class of the known vocabulary is ``known``, "not an
    object" and "unsure" are those verdicts, and any other name relabels. Pictures without an annotation are
    left as they are. Raises BadInputError when the file is not COCO.
    """
    return take_in(queue, path, FILE_NAME, _labels, reviewer)


def _labels(document: Any, path: Path) -> Iterator[Label]:
    try:
        names = {_id(category["id"]): str(category["name"]) for category in document["categories"]}
        item_of = {_id(image["id"]): PurePosixPath(str(image["file_name"])).stem for image in document["images"]}
        for annotation in document["annotations"]:
            yield Label(item_of[_id(annotation["image_id"])], names[_id(annotation["category_id"])])
    except (KeyError, TypeError) as error:
        raise BadInputError(
            f"{path} is not COCO: it lacks images, categories or annotations that fit together ({error})."
        ) from error


def _id(value: object) -> int:
    # True equals 1 and 1.0 equals 1: a file that mixes them would give an image another's label.
    if type(value) is not int:
        raise TypeError(f"the id {value!r} is not an integer")
    return value


def _image(number: int, one: HandedOut) -> dict[str, object]:
    item = one.queued.item
    height, width = one.mask.shape
    return {
        "id": number,
        "file_name": one.file_name,
        "width": width,
        "height": height,
        "date_captured": item.timestamp.astimezone(UTC).isoformat(),
    }


def _annotation(number: int, category: int, one: HandedOut, rle: bool) -> dict[str, object]:
    item, status = one.queued.item, one.queued.status
    x, y, width, height = cv2.boundingRect(one.mask.astype(np.uint8))
    segmentation: object = [[round(float(v), 2) for v in outline.ravel()] for outline in polygons(one.mask)]
    if rle:
        segmentation = {"size": list(one.mask.shape), "counts": encode_mask(one.mask).decode("ascii")}
    return {
        "id": number,
        "image_id": number,
        "category_id": category,
        "segmentation": segmentation,
        "bbox": [x, y, width, height],
        "area": int(one.mask.sum()),
        "iscrowd": 0,
        "attributes": {
            "item_id": item.item_id,
            "verdict": status.verdict.value if one.judged and status.verdict else "",
            "reviewer": status.decided_by or "",
            "suggested": item.name,
            "name_score": item.name_score,
            "anomaly_score": item.score,
            "drive": item.drive,
            "source_uri": item.source_uri,
            "frame_index": item.frame_index,
            "whole_frame": one.whole_frame,
        },
    }


def _kind(name: str, known: set[str]) -> str:
    if name in VERDICT_LABELS:
        return "verdict"
    return "known" if name in known else "unknown"
