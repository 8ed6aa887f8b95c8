"""The formats that a dataset can be written in: those that are built in, and those that plugins add."""

from clipomaly_core.plugins import plugins
from schemas.dataset_format import DatasetFormat
from tasks.datasets.cityscapes import CITYSCAPES
from tasks.datasets.coco import COCO, COCO_POLYGONS
from tasks.datasets.format import Format
from tasks.datasets.parquet import PARQUET
from tasks.datasets.webdataset import WEBDATASET
from tasks.datasets.yolo import YOLO_SEG
from tasks.errors import UsageError

FORMATS: dict[str, Format] = {
    DatasetFormat.COCO.value: COCO,
    DatasetFormat.COCO_POLYGONS.value: COCO_POLYGONS,
    DatasetFormat.YOLO_SEG.value: YOLO_SEG,
    DatasetFormat.WEBDATASET.value: WEBDATASET,
    DatasetFormat.CITYSCAPES.value: CITYSCAPES,
    DatasetFormat.PARQUET.value: PARQUET,
}
PLUGINS = "clipomaly.dataset_formats"


def format_named(name: str) -> Format:
    """The format of this name; a built-in one goes before a plugin of the same name.

    Raises:
        UsageError: no format has this name.
    """
    if name in FORMATS:
        return FORMATS[name]
    added = plugins(PLUGINS, Format)
    if name not in added:
        raise UsageError(f"Unknown format {name!r} of a dataset: there are {', '.join([*FORMATS, *added])}.")
    return added[name]
