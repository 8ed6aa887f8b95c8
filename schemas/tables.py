"""The Arrow schemas of the tables that a scan writes.

Columns are only ever added, always nullable, and each addition raises ``SCHEMA_VERSION``; a reader of old
files sees nulls there. ``scan`` and ``dt`` are not columns of the files: they are their hive folders. The last
column of every file is ``SHARD``.
"""

from enum import StrEnum

import pyarrow as pa

SCHEMA_VERSION = 5  # 2: track_id is filled; 3: shard is a column of the files; 4: camera; 5: names of tracks

TIMESTAMP = pa.timestamp("us", tz="UTC")

# Which shard a row is of: part files of several are merged, and alike, so that a raw glob may meet both.
SHARD = pa.field("shard", pa.string())


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
        pa.field("camera", pa.string()),
        pa.field("track_name", pa.string()),
        pa.field("track_name_score", pa.float32()),
        pa.field("name_reason", pa.string()),
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
        pa.field("camera", pa.string()),
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


def written_schema(table: Table, dimension: int) -> pa.Schema:
    """The columns of a new file without ``SHARD``, with the schema version in its metadata; ``dimension`` is the number
    of entries of an embedding."""
    schemas = {Table.INSTANCES: INSTANCES, Table.FRAMES: FRAMES, Table.EMBEDDINGS: embeddings_schema(dimension)}
    return schemas[table].with_metadata({b"clipomaly.schema_version": str(SCHEMA_VERSION).encode()})


_WHERE = {
    "source_uri": "the clip, recording, tar or folder of images; `read_frame` reads the frame from it",
    "drive": "the first folder below the archive's root",
    "frame_index": "number of the frame in the video, or of the image in the source, from 0",
    "timestamp": "capture time of the frame",
    "timestamp_source": "where that time comes from: `inventory`, `sidecar`, `container`, `filename` or `mtime`",
    "latitude": "degrees; null if no position is known",
    "longitude": "degrees; null if no position is known",
    "camera": "the topic of a recording (MCAP), or the track of a video; null if the source has one camera",
}

DESCRIPTIONS: dict[Table, dict[str, str]] = {
    Table.INSTANCES: _WHERE
    | {
        "instance_id": "20 hex digits; the same instance of the same scan always gets the same id",
        "track_id": "the same for all instances of an object on neighbouring frames of a camera; null if objects "
        "were not tracked",
        "name": "the best name, or `unknown object` if no name is clear (see `name_reason`)",
        "name_score": "probability of that name among the candidates, in [0, 1]",
        "names": "the five best names with their probabilities, best first",
        "track_name": "the name that the instances of the track vote for (large and sharp ones count more); "
        "`unknown object` if none is clear",
        "track_name_score": "probability of the best name of the track, in [0, 1]",
        "name_reason": "why the name is `unknown object`: `margin` (the best two are too close), `distance` (all are "
        "too far), `candidates` (there are none) or `known` (a known class fits better, but not for so high "
        "a score); null if there is a name",
        "name_source": "where the name comes from, such as the dictionary",
        "anomaly_score": "mean anomaly score over the mask, in [0, 1]",
        "anomaly_score_max": "largest anomaly score in the mask, in [0, 1]",
        "bbox_x": "left edge of the box, pixels of the frame",
        "bbox_y": "upper edge of the box, pixels of the frame",
        "bbox_width": "pixels",
        "bbox_height": "pixels",
        "area": "pixels of the mask",
        "frame_height": "pixels",
        "frame_width": "pixels",
        "mask_rle": "COCO compressed run lengths over the whole frame; `clipomaly.decode_mask` decodes them",
    },
    Table.FRAMES: _WHERE
    | {
        "frame_height": "pixels; null if the frame could not be read",
        "frame_width": "pixels; null if the frame could not be read",
        "status": "`ok` or `failed`",
        "error": "why it could not be read",
        "instance_count": "rows of `instances` for this frame",
        "anomaly_fraction": "share of the frame's pixels with a name outside of the known classes, in [0, 1]",
        "anomaly_score_max": "largest anomaly score in the frame, in [0, 1]",
    },
    Table.EMBEDDINGS: {
        "instance_id": "the row of `instances`",
        "embedding": "CLIP embedding of the region, L2-normalised, float16; its length depends on the model",
    },
}
"""What each column means, for people and for the table reference."""
