"""The instances of judged items, as the tables have them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from schemas.review import Box
from tasks.datasets.judged_items import JudgedItem
from tasks.masks import mask_area
from tasks.tables import Tables

_CHUNK = 5_000
_BOX = ("bbox_x", "bbox_y", "bbox_width", "bbox_height")
_BOX_COLUMNS = ", ".join(_BOX)
_COLUMNS = (
    f"source_uri, drive, frame_index, timestamp, frame_height, frame_width, {_BOX_COLUMNS}, area, mask_rle, "
    "anomaly_score"
)
FrameKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance as the tables have it."""

    source_uri: str
    drive: str
    frame_index: int
    timestamp: datetime
    height: int
    width: int
    box: Box
    area: int
    mask_rle: bytes
    score: float
    mask_origin: str = "scan"

    @property
    def key(self) -> FrameKey:
        return self.source_uri, self.frame_index


def rows_of_tracks(tables: Tables, judged: Sequence[JudgedItem]) -> dict[str, list[InstanceRow]]:
    """For each item the rows of its track: those with its track_id, and those whose boxes it lists.

    Of every item's own frame there is a row, whatever the tables say.
    """
    found: dict[str, list[InstanceRow]] = defaultdict(list)
    for scan_id in sorted({item.scan_id for item in judged}):
        of_scan = [item for item in judged if item.scan_id == scan_id]
        tracks = [(item.item_id, item.source_uri, item.track_id) for item in of_scan if item.track_id is not None]
        boxes = [
            (item.item_id, item.source_uri, index, *corners(box))
            for item in of_scan
            for index, box in {(item.frame_index, item.box), *item.track}
        ]
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.register("instances", tables.open("instances", scan_id=scan_id))
            connection.register("tracks", _table(tracks, ("item_id", "source_uri", "track_id")))
            connection.register("boxes", _table(boxes, ("item_id", "source_uri", "frame_index", *_BOX)))
            answer: Any = connection.sql(
                f"""
                SELECT DISTINCT ON (item_id, source_uri, frame_index, {_BOX_COLUMNS}) * FROM (
                    SELECT item_id, {_COLUMNS} FROM instances JOIN tracks USING (source_uri, track_id)
                    UNION ALL
                    SELECT item_id, {_COLUMNS} FROM instances JOIN boxes USING (source_uri, frame_index, {_BOX_COLUMNS})
                ) ORDER BY item_id, source_uri, frame_index, {_BOX_COLUMNS}
                """
            )
            for batch in answer.to_arrow_reader(_CHUNK):
                for row in batch.to_pylist():
                    found[row["item_id"]].append(_row(row))
    return found


def boxes_on_frames(tables: Tables, scans: Iterable[str], keys: Iterable[FrameKey]) -> dict[FrameKey, list[Box]]:
    """The boxes of all instances that the scans found on these frames."""
    found: dict[FrameKey, list[Box]] = defaultdict(list)
    wanted = _table(list(keys), ("source_uri", "frame_index"))
    for scan_id in sorted(scans):
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.register("instances", tables.open("instances", scan_id=scan_id))
            connection.register("wanted", wanted)
            columns = f"source_uri, frame_index, {', '.join(_BOX)}"
            answer = connection.execute(
                f"SELECT {columns} FROM instances SEMI JOIN wanted USING (source_uri, frame_index)"
            )
            for source_uri, frame_index, *box in answer.fetchall():
                found[source_uri, frame_index].append(Box(*box))
    return found


def _table(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> pa.Table:
    types = {"frame_index": pa.int64(), **dict.fromkeys(_BOX, pa.int32())}
    schema = pa.schema([(column, types.get(column, pa.string())) for column in columns])
    values = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pa.table([pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema=schema)


def corners(box: Box) -> tuple[int, int, int, int]:
    """The box as the columns of the tables have it."""
    return box.x, box.y, box.width, box.height


def _row(row: dict[str, Any]) -> InstanceRow:
    return InstanceRow(
        source_uri=row["source_uri"],
        drive=row["drive"],
        frame_index=row["frame_index"],
        timestamp=row["timestamp"],
        height=row["frame_height"],
        width=row["frame_width"],
        box=Box(*(row[column] for column in _BOX)),
        area=row["area"],
        mask_rle=row["mask_rle"],
        score=row["anomaly_score"],
    )


def own_row(one: JudgedItem) -> InstanceRow:
    """The row that stands for the judged frame of an item where the tables have none."""
    return InstanceRow(
        one.source_uri,
        one.drive,
        one.frame_index,
        one.timestamp,
        one.height,
        one.width,
        one.box,
        mask_area(one.mask_rle, one.height, one.width),
        one.mask_rle,
        one.score,
    )
