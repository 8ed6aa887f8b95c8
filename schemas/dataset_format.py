"""The formats of a training dataset."""

from enum import StrEnum


class DatasetFormat(StrEnum):
    """How a dataset lies on disk."""

    COCO = "coco"
    YOLO_SEG = "yolo-seg"
    WEBDATASET = "webdataset"
    CITYSCAPES = "cityscapes"
    PARQUET = "parquet"
