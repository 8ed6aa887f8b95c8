"""The formats of a training dataset, and what is made unrecognisable in its pictures."""

from enum import StrEnum


class DatasetFormat(StrEnum):
    """How a dataset lies on disk."""

    COCO = "coco"
    COCO_POLYGONS = "coco-polygons"
    YOLO_SEG = "yolo-seg"
    WEBDATASET = "webdataset"
    CITYSCAPES = "cityscapes"
    PARQUET = "parquet"


class Blur(StrEnum):
    """What is blurred in the pictures of a dataset."""

    FACES = "faces"
    PLATES = "plates"
