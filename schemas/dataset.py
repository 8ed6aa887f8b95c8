"""The records of a training dataset: which frames, which objects on them, and what people said of those."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pyarrow as pa

from schemas.review import Box, Verdict
from schemas.tables import TIMESTAMP


class Split(StrEnum):
    """What a frame is for."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Role(StrEnum):
    """What a judged instance is to a training: an ``object`` with the name that a person gave or accepted, a
    ``known`` class of the vocabulary that was taken for an unknown (a hard negative), or ``background`` that was
    taken for an object."""

    OBJECT = "object"
    KNOWN = "known"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class Label:
    """One instance of a frame and what a person said of its object.

    ``name`` is the class in the dataset, None for background; ``suggested`` what the scan called it.
    ``agreement`` is the share of judged look-alikes (of its cluster) that were judged the same, in [0, 1].
    ``mask_rle`` are COCO compressed run lengths of the whole frame, ``area`` its pixels, ``score`` the anomaly
    score in [0, 1]. ``mask_origin`` is "scan", or "repaired by NAME" where a person repaired the mask.
    """

    item_id: str
    role: Role
    name: str | None
    suggested: str
    verdict: Verdict
    reviewer: str
    decided_at: datetime
    agreement: float
    scan_id: str
    track_id: str | None
    box: Box
    area: int
    mask_rle: bytes
    score: float
    mask_origin: str = "scan"


@dataclass(frozen=True, slots=True)
class DatasetFrame:
    """A frame of the dataset, once, with all that was judged on it.

    ``frame_id`` is unique and good as a file name. ``unlabelled`` counts the instances that the same scans
    found on it and that have no label here: to a training they look like background.
    """

    frame_id: str
    split: Split
    source_uri: str
    drive: str
    frame_index: int
    timestamp: datetime
    height: int
    width: int
    unlabelled: int
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class ItemEmbedding:
    """Where an item is, in the space of the model of its scan: a vector of little-endian float16."""

    item_id: str
    frame_id: str
    split: Split
    name: str | None
    model: str
    embedding: bytes


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two frames of different splits with objects that look the same: cosine of their embeddings."""

    frame_id: str
    other_frame_id: str
    split: Split
    other_split: Split
    name: str | None
    other_name: str | None
    cosine: float


FRAMES = pa.schema(
    [
        pa.field("frame_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("drive", pa.string(), nullable=False),
        pa.field("frame_index", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("unlabelled", pa.int32(), nullable=False),
    ]
)

LABELS = pa.schema(
    [
        pa.field("frame_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("role", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("suggested", pa.string(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reviewer", pa.string(), nullable=False),
        pa.field("decided_at", TIMESTAMP, nullable=False),
        pa.field("agreement", pa.float64(), nullable=False),
        pa.field("scan_id", pa.string(), nullable=False),
        pa.field("track_id", pa.string()),
        pa.field("bbox_x", pa.int32(), nullable=False),
        pa.field("bbox_y", pa.int32(), nullable=False),
        pa.field("bbox_width", pa.int32(), nullable=False),
        pa.field("bbox_height", pa.int32(), nullable=False),
        pa.field("area", pa.int64(), nullable=False),
        pa.field("mask_rle", pa.binary(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("mask_origin", pa.string()),
    ]
)

# What became of each frame, beside what it is: where its picture is in the dataset, and how many faces and number
# plates are blurred in it.
WRITTEN = pa.schema(
    [
        *FRAMES,
        pa.field("path", pa.string(), nullable=False),
        pa.field("picture_sha256", pa.string(), nullable=False),
        pa.field("picture_size", pa.int64(), nullable=False),
        pa.field("copied", pa.bool_(), nullable=False),
        pa.field("blurred", pa.int32(), nullable=False),
    ]
)
