"""Tools that read our datasets in a process of their own: their dependencies do not fit ours, or importing them changes
how others work (Ultralytics: how Pillow opens images).

Each runs as a script of an interpreter that has it. The script prints one line of JSON: rows of split, frame, (height,
width) and instances. An instance is a name, a box (x, y, width, height in pixels), a mask as base64 of its packed bits,
and outlines in pixels; what the tool does not give is null.
"""

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.export_readers import Mask, Read, Seen
from schemas.dataset_format import DatasetFormat

_DATUMARO = """
import base64, json, sys
import datumaro as dm
import numpy as np
rows = []
for item in (data := dm.Dataset.import_from(sys.argv[1], sys.argv[2])):
    names = data.categories()[dm.AnnotationType.label]
    size = item.media.size
    found = []
    for one in item.annotations:
        name, box = names[one.label].name, None
        if one.type == dm.AnnotationType.bbox:
            found.append([name, [one.x, one.y, one.w, one.h], None, None])
        elif one.type == dm.AnnotationType.polygon:
            found.append([name, None, None, [np.reshape(one.points, (-1, 2)).tolist()]])
        else:
            x, y, w, h = map(float, one.get_bbox())
            bits = base64.b64encode(np.packbits(np.asarray(one.image, bool)).tobytes()).decode()
            box = None if sys.argv[2] == "coco_instances" else [x, y, w, h]
            found.append([name, box, bits, None])
    rows.append([item.subset, item.id.split("/")[-1], list(map(int, size)), found])
print(json.dumps(rows))
"""

_FIFTYONE_COCO = """
import base64, json, sys
import fiftyone as fo
import numpy as np
rows = []
for split in ("train", "val", "test"):
    data = fo.Dataset.from_dir(
        dataset_type=fo.types.COCODetectionDataset, data_path=f"{sys.argv[1]}/images/{split}",
        labels_path=f"{sys.argv[1]}/annotations/instances_{split}.json", label_types="segmentations",
        label_field="finds", include_id=False,
    )
    for sample in data:
        height, width = sample.metadata.height, sample.metadata.width
        found = []
        for one in sample.finds.detections if sample.finds else ():
            x, y, w, h = (round(v * s, 3) for v, s in zip(one.bounding_box, (width, height, width, height)))
            mask = np.zeros((height, width), bool)
            part = mask[round(y) : round(y) + one.mask.shape[0], round(x) : round(x) + one.mask.shape[1]]
            part[:] = one.mask[: part.shape[0], : part.shape[1]]
            bits = base64.b64encode(np.packbits(mask).tobytes()).decode()
            found.append([one.label, [x, y, w, h], bits, None])
        rows.append([split, sample.filename.rsplit(".", 1)[0], [height, width], found])
print(json.dumps(rows))
"""

_FIFTYONE_YOLO = """
import json, sys
import fiftyone as fo
rows = []
for split in ("train", "val", "test"):
    data = fo.Dataset.from_dir(
        dataset_type=fo.types.YOLOv5Dataset, dataset_dir=sys.argv[1], yaml_path="data.yaml", split=split,
        label_type="polylines", label_field="finds",
    )
    data.compute_metadata()
    for sample in data:
        height, width = sample.metadata.height, sample.metadata.width
        found = []
        for one in sample.finds.polylines if sample.finds else ():
            outlines = [[[x * width, y * height] for x, y in points] for points in one.points]
            xs, ys = zip(*(point for points in outlines for point in points))
            found.append([one.label, [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)], None, outlines])
        rows.append([split, sample.filename.rsplit(".", 1)[0], [height, width], found])
print(json.dumps(rows))
"""

_ULTRALYTICS = """
import json, os, sys
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
told = check_det_dataset(f"{sys.argv[1]}/data.yaml", autodownload=False)
rows = []
for split in ("train", "val", "test"):
    if not told.get(split):
        continue
    try:
        data = YOLODataset(img_path=told[split], data=told, task="segment", augment=False)
    except (FileNotFoundError, AssertionError):  # a split without a picture
        continue
    for one in data.labels:
        height, width = map(int, one["shape"])
        found = []
        for number, (x, y, w, h), outline in zip(one["cls"], one["bboxes"].tolist(), one["segments"]):
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            found.append([told["names"][int(number[0])], box, None, [(outline * (width, height)).tolist()]])
        rows.append([split, os.path.splitext(os.path.basename(one["im_file"]))[0], [height, width], found])
print(json.dumps(rows))
"""

SCRIPTS: dict[str, dict[DatasetFormat, tuple[str, ...]]] = {
    "ultralytics": {DatasetFormat.YOLO_SEG: (_ULTRALYTICS,)},
    "datumaro": {
        DatasetFormat.COCO: (_DATUMARO, "coco_instances"),
        DatasetFormat.COCO_POLYGONS: (_DATUMARO, "coco_instances"),
        DatasetFormat.CITYSCAPES: (_DATUMARO, "cityscapes"),
    },
    "fiftyone": {
        DatasetFormat.COCO: (_FIFTYONE_COCO,),
        DatasetFormat.COCO_POLYGONS: (_FIFTYONE_COCO,),
        DatasetFormat.YOLO_SEG: (_FIFTYONE_YOLO,),
    },
}
"""By package and format: the script, and what it gets behind the dataset's folder."""


def interpreter_with(package: str, pythons: Sequence[str]) -> str | None:
    """The first of these interpreters that has a package."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return next(
        (one for one in pythons if subprocess.run([one, "-c", code], capture_output=True, check=False).returncode == 0),
        None,
    )


def read_elsewhere(python: str, script: tuple[str, ...], root: Path) -> Read:
    """What a script of another environment reads.

    Raises:
        RuntimeError: it failed; the last line of what it said.
    """
    code, *arguments = script
    with tempfile.TemporaryDirectory(prefix="clipomaly-") as home:  # settings, and FiftyOne's database
        environment = os.environ | {
            "HOME": home,
            "FIFTYONE_DATABASE_DIR": f"{home}/database",
            "FIFTYONE_DATABASE_VALIDATION": "false",
            "FIFTYONE_DO_NOT_TRACK": "true",
            "FIFTYONE_SHOW_PROGRESS_BARS": "false",
            "YOLO_CONFIG_DIR": home,
            "YOLO_OFFLINE": "true",
        }
        environment.pop("PYTHONPATH", None)
        ran = subprocess.run(
            [python, "-c", code, str(root.resolve()), *arguments],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if ran.returncode:
        raise RuntimeError((ran.stderr.strip().splitlines() or ["it ended without a word"])[-1])
    return {
        (split, frame): [
            Seen(name, tuple(box) if box else None, _mask(height, width, bits, outlines))
            for name, box, bits, outlines in instances
        ]
        for split, frame, (height, width), instances in json.loads(ran.stdout.splitlines()[-1])
    }


def _mask(height: int, width: int, bits: str | None, outlines: list[list[list[float]]] | None) -> Mask | None:
    if bits is not None:
        packed = np.frombuffer(base64.b64decode(bits), np.uint8)
        return np.unpackbits(packed, count=height * width).reshape(height, width).astype(bool)
    if outlines is None:
        return None
    filled = np.zeros((height, width), np.uint8)
    for outline in outlines:
        cv2.fillPoly(filled, [np.array(outline).astype(np.int32)], (1,))
    return filled > 0
