"""How the tools that people train with read our datasets: each gives back what it read in one form.

A reader imports its package when it is called, so that one that is missing costs only its row.
``export_elsewhere.py`` has those that need a process or an environment of their own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.dataset import Split
from schemas.dataset_format import DatasetFormat
from tasks.masks import decode_mask

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Seen:
    """An instance as a reader gave it: its name, its box (x, y, width, height in pixels) and its mask, (H, W) bool.

    ``None`` for what the reader does not give.
    """

    name: str
    box: Box | None
    mask: Mask | None


Read = dict[tuple[str, str], list[Seen]]
"""What was read: the instances by split and frame."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A tool that reads a format: ``package`` is what to install, ``read`` gets the dataset's folder."""

    tool: str
    package: str
    read: Callable[[Path], Read]


def splits(root: Path, pattern: str) -> Iterator[str]:
    """The splits of which there are files of this pattern."""
    yield from (split.value for split in Split if any(root.glob(pattern.format(split=split))))


def of_pycocotools(root: Path) -> Read:
    """COCO by its own library."""
    from pycocotools.coco import COCO

    found: Read = {}
    for split in splits(root, "images/{split}/*"):
        data = COCO(str(root / "annotations" / f"instances_{split}.json"))
        for number, image in data.imgs.items():
            found[split, Path(image["file_name"]).stem] = [
                Seen(data.cats[one["category_id"]]["name"], tuple(one["bbox"]), data.annToMask(one) > 0)
                for one in data.imgToAnns[number]
            ]
    return found


def of_torchvision_coco(root: Path) -> Read:
    """COCO through a DataLoader of PyTorch with two workers' worth of batches."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import CocoDetection

    found: Read = {}
    for split in splits(root, "images/{split}/*"):
        annotations = str(root / "annotations" / f"instances_{split}.json")
        data = CocoDetection(str(root / "images" / split), annotations)
        frames = iter(data.ids)
        for batch in DataLoader(data, batch_size=2, collate_fn=list):
            for _, told in batch:
                stem = Path(data.coco.imgs[next(frames)]["file_name"]).stem
                found[split, stem] = [
                    Seen(data.coco.cats[one["category_id"]]["name"], tuple(one["bbox"]), data.coco.annToMask(one) > 0)
                    for one in told
                ]
    return found


def of_supervision_coco(root: Path) -> Read:
    """COCO by supervision."""
    import supervision as sv

    found: Read = {}
    for split in splits(root, "images/{split}/*"):
        annotations = str(root / "annotations" / f"instances_{split}.json")
        data = sv.DetectionDataset.from_coco(str(root / "images" / split), annotations, force_masks=True)
        found |= _of_detections(split, data)
    return found


def of_supervision_yolo(root: Path) -> Read:
    """YOLO by supervision."""
    import supervision as sv

    found: Read = {}
    for split in splits(root, "images/{split}/*.*g"):
        folders = str(root / "images" / split), str(root / "labels" / split)
        data = sv.DetectionDataset.from_yolo(*folders, str(root / "data.yaml"), force_masks=True)
        found |= _of_detections(split, data)
    return found


def _of_detections(split: str, data: Any) -> Read:
    return {
        (split, Path(path).stem): [
            Seen(data.classes[number], _box(corners), None if mask is None else mask.astype(bool))
            for number, corners, mask in zip(
                one.class_id, one.xyxy, [None] * len(one) if one.mask is None else one.mask, strict=True
            )
        ]
        for path, _, one in data
    }


def _box(corners: Iterable[float]) -> Box:
    left, top, right, bottom = map(float, corners)
    return left, top, right - left, bottom - top


def of_webdataset(root: Path) -> Read:
    """WebDataset by its own library, through a DataLoader of PyTorch."""
    import webdataset
    from torch.utils.data import DataLoader

    found: Read = {}
    for split in splits(root, "{split}-*.tar"):
        for tar in sorted(root.glob(f"{split}-*.tar")):
            data = webdataset.WebDataset(str(tar), shardshuffle=False).decode("rgb8")
            for row in DataLoader(data, batch_size=None):
                found[split, row["__key__"]] = _of_rows(row["json"], row["json"]["instances"])
    return found


def of_hugging_face(root: Path) -> Read:
    """The folder as Hugging Face datasets open it by its card."""
    from datasets import load_dataset

    found: Read = {}
    for split, rows in load_dataset(str(root), cache_dir=str(root.parent / "hub")).items():
        for row in rows:
            told = row.get("json") or row
            found[str(split), row.get("__key__") or row["frame_id"]] = _of_rows(told, told["instances"])
    return found


def of_hugging_face_loader(root: Path) -> Read:
    """The same through a DataLoader of PyTorch."""
    from datasets import load_dataset
    from torch.utils.data import DataLoader

    found: Read = {}
    for split, rows in load_dataset(str(root), cache_dir=str(root.parent / "hub")).items():
        for batch in DataLoader(rows, batch_size=2, collate_fn=list):
            found |= {(str(split), row["frame_id"]): _of_rows(row, row["instances"]) for row in batch}
    return found


def of_duckdb(root: Path) -> Read:
    """Parquet by DuckDB."""
    import duckdb

    query = f"SELECT split, frame_id, height, width, instances FROM read_parquet('{root}/data/*.parquet')"
    with duckdb.connect() as connection:
        rows = connection.execute(query).fetchall()
    return {
        (split, frame): _of_rows({"height": height, "width": width}, instances)
        for split, frame, height, width, instances in rows
    }


def _of_rows(told: Any, instances: Iterable[Any]) -> list[Seen]:
    seen = []
    for one in instances:
        counts = one["segmentation"]["counts"] if "segmentation" in one else one["mask_rle"]
        mask = decode_mask(counts, told["height"], told["width"])
        seen.append(Seen(one["name"], tuple(one["bbox"]), mask))
    return seen


def of_torchvision_cityscapes(root: Path) -> Read:
    """Cityscapes by torchvision, through a DataLoader of PyTorch."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import Cityscapes

    names = {known.id: known.name for known in Cityscapes.classes}
    own = [name for name in (root / "classes.txt").read_text("utf-8").splitlines() if name not in names.values()]
    names |= dict(enumerate(own, start=34))
    found: Read = {}
    for split in splits(root, "leftImg8bit/{split}/*/*"):
        data = Cityscapes(str(root), split=split, mode="fine", target_type=["semantic", "instance"])
        paths = iter(data.images)
        for batch in DataLoader(data, batch_size=2, collate_fn=list):
            for _, (_, instance) in batch:
                numbers = np.asarray(instance)
                stem = Path(next(paths)).name.removesuffix("_leftImg8bit.png")
                found[split, stem] = [
                    Seen(names[int(number) // 1000], None, numbers == number)
                    for number in np.unique(numbers[numbers != 0])
                ]
    return found


_COCO = (
    Reader("pycocotools", "pycocotools", of_pycocotools),
    Reader("torchvision CocoDetection, DataLoader", "torchvision", of_torchvision_coco),
    Reader("supervision", "supervision", of_supervision_coco),
)

READERS: dict[DatasetFormat, tuple[Reader, ...]] = {
    DatasetFormat.COCO: _COCO,
    DatasetFormat.COCO_POLYGONS: _COCO,
    DatasetFormat.YOLO_SEG: (Reader("supervision", "supervision", of_supervision_yolo),),
    DatasetFormat.WEBDATASET: (
        Reader("webdataset, DataLoader", "webdataset", of_webdataset),
        Reader("Hugging Face datasets", "datasets", of_hugging_face),
    ),
    DatasetFormat.CITYSCAPES: (Reader("torchvision Cityscapes, DataLoader", "torchvision", of_torchvision_cityscapes),),
    DatasetFormat.PARQUET: (
        Reader("Hugging Face datasets", "datasets", of_hugging_face),
        Reader("Hugging Face datasets, DataLoader", "datasets", of_hugging_face_loader),
        Reader("DuckDB", "duckdb", of_duckdb),
    ),
}
