"""The Arrow schemas of the tables that a scan writes.

Columns are only ever added, always nullable, and each addition raises ``SCHEMA_VERSION``; a reader of old
files sees nulls there. ``scan`` and ``dt`` are not columns of the files: they are their hive folders.
"""

from enum import StrEnum

import pyarrow as pa

SCHEMA_VERSION = 2  # 2: track_id is filled

TIMESTAMP = pa.timestamp("us", tz="UTC")


class Table(StrEnum):
    """The tables of a scan, by the name of their folder."""

    INSTANCES = "instances"
    FRAMES = "frames"
    EMBEDDINGS = "embeddings"


INSTANCES = pa.schema(
    [
        pa.field("instance_id", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("drive", pa.string(), nullable=False),
        pa.field("frame_index", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("timestamp_source", pa.string(), nullable=False),
        pa.field("track_id", pa.string()),
        pa.field("name", pa.string(), nullable=False),
        pa.field("name_score", pa.float32(), nullable=False),
        pa.field("names", pa.list_(pa.struct([("name", pa.string()), ("score", pa.float32())]))),
        pa.field("name_source", pa.string(), nullable=False),
        pa.field("anomaly_score", pa.float32(), nullable=False),
        pa.field("anomaly_score_max", pa.float32(), nullable=False),
        pa.field("bbox_x", pa.int32(), nullable=False),
        pa.field("bbox_y", pa.int32(), nullable=False),
        pa.field("bbox_width", pa.int32(), nullable=False),
        pa.field("bbox_height", pa.int32(), nullable=False),
        pa.field("area", pa.int64(), nullable=False),
        pa.field("frame_height", pa.int32(), nullable=False),
        pa.field("frame_width", pa.int32(), nullable=False),
        pa.field("mask_rle", pa.binary(), nullable=False),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
    ]
)

FRAMES = pa.schema(
    [
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("drive", pa.string(), nullable=False),
        pa.field("frame_index", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("timestamp_source", pa.string(), nullable=False),
        pa.field("frame_height", pa.int32()),
        pa.field("frame_width", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("instance_count", pa.int32(), nullable=False),
        pa.field("anomaly_fraction", pa.float32()),
        pa.field("anomaly_score_max", pa.float32()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
    ]
)


def embeddings_schema(dimension: int) -> pa.Schema:
    """Schema of the embeddings table for a model whose embeddings have ``dimension`` entries.

    The length depends on the model, which is why embeddings are a table of their own.
    """
    return pa.schema(
        [
            pa.field("instance_id", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float16(), dimension), nullable=False),
        ]
    )
