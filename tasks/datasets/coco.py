"""COCO: pictures in a folder a split, one JSON a split, masks as run lengths. https://cocodataset.org/#format-data"""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC

from schemas.dataset import DatasetFrame, Label, Role, Split
from tasks.datasets.format import Classes, Format, Kept, OutputFile, annotated
from tasks.datasets.image_store import Content


def _part(name: str, contents: Iterable[Content], classes: Classes) -> Iterator[OutputFile]:
    for content in contents:
        if content.picture:
            frame = content.frame
            path = f"images/{frame.split}/{frame.frame_id}{content.picture.suffix}"
            yield OutputFile(path, content.picture.data, ((frame.frame_id, content.picture),))


def _closing(kept: Sequence[Kept], classes: Classes) -> Iterator[OutputFile]:
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
                made = _annotation(annotation_id, image_id, label, placed.frame, numbers)
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
    number: int, image: int, label: Label, frame: DatasetFrame, numbers: dict[str, int]
) -> dict[str, object]:
    assert label.name is not None
    return {
        "id": number,
        "image_id": image,
        "category_id": numbers[label.name],
        "segmentation": {"size": [frame.height, frame.width], "counts": label.mask_rle.decode("ascii")},
        "area": label.area,
        "bbox": [label.box.x, label.box.y, label.box.width, label.box.height],
        "iscrowd": 0,
        "item_id": label.item_id,
        "track_id": label.track_id,
        "mask_origin": label.mask_origin,
    }


COCO = Format(
    _part,
    _closing,
    (),
    'torchvision.datasets.CocoDetection("images/train", "annotations/instances_train.json")',
)
