"""Judged items without their pictures, which of them a dataset takes, and their instances as the tables have them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypedDict, Unpack

import duckdb
import pyarrow as pa

from schemas.dataset import Role
from schemas.review import Box, QueuedItem, RepairedMask, ReviewItem, Verdict
from tasks.masks import mask_area
from tasks.tables import Tables

ROLES = {
    Verdict.ACCEPT: Role.OBJECT,
    Verdict.RELABEL: Role.OBJECT,
    Verdict.KNOWN: Role.KNOWN,
    Verdict.NOT_AN_OBJECT: Role.BACKGROUND,
}
_CHUNK = 5_000
_BOX = ("bbox_x", "bbox_y", "bbox_width", "bbox_height")
_BOX_COLUMNS = ", ".join(_BOX)
_COLUMNS = (
    f"source_uri, drive, frame_index, timestamp, frame_height, frame_width, {_BOX_COLUMNS}, area, mask_rle, "
    "anomaly_score"
)
FrameKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class JudgedItem:
    """The part of a judged item that a dataset needs: without its pictures, so that a fleet's fit in memory."""

    item_id: str
    verdict: Verdict
    name: str | None
    reviewer: str
    decided_at: datetime
    suggested: str
    scan_id: str
    source_uri: str
    drive: str
    frame_index: int
    timestamp: datetime
    height: int
    width: int
    box: Box
    mask_rle: bytes
    score: float
    track_id: str | None
    track: tuple[tuple[int, Box], ...]
    cluster: str | None
    embedding: bytes | None
    repaired: RepairedMask | None
    vouched: bool

    @property
    def role(self) -> Role:
        return ROLES[self.verdict]


def judged_item(queued: QueuedItem) -> JudgedItem:
    """The part of a judged item that a dataset needs."""
    item, status = queued.item, queued.status
    assert status.verdict is not None and status.decided_by is not None and status.decided_at is not None
    return JudgedItem(
        item_id=item.item_id,
        verdict=status.verdict,
        name=status.name if ROLES[status.verdict] is not Role.BACKGROUND else None,
        reviewer=status.decided_by,
        decided_at=status.decided_at,
        suggested=item.name,
        scan_id=item.scan_id,
        source_uri=item.source_uri,
        drive=item.drive,
        frame_index=item.frame_index,
        timestamp=item.timestamp,
        height=item.frame_height,
        width=item.frame_width,
        box=item.box,
        mask_rle=item.mask_rle,
        score=item.score,
        track_id=item.track_id,
        track=_track_boxes(item),
        cluster=item.cluster,
        embedding=item.embedding,
        repaired=queued.repaired,
        vouched=queued.mask_state is not None and queued.mask_state.is_vouched,
    )


def _track_boxes(item: ReviewItem) -> tuple[tuple[int, Box], ...]:
    return tuple((seen.frame_index, seen.box) for seen in item.track)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which judged items a dataset takes; an empty tuple or None means no condition.

    ``names`` are the decided names; ``first_day`` and ``last_day`` are capture dates in UTC, both included;
    ``agreement`` is the smallest share of judged look-alikes with the same verdict. ``best`` is how many frames of a
    track are taken: those with the highest score, and always the judged one. ``vouched_masks`` takes only the judged
    frames whose mask a person called right or repaired.
    """

    names: tuple[str, ...] = ()
    drives: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    first_day: date | None = None
    last_day: date | None = None
    agreement: float = 0.0
    best: int | None = None
    known: bool = True
    background: bool = True
    fully_labelled: bool = False
    vouched_masks: bool = False


class Filters(TypedDict, total=False):
    """The fields of ``Wanted``; names in any order."""

    names: Iterable[str]
    drives: Iterable[str]
    reviewers: Iterable[str]
    first_day: date | None
    last_day: date | None
    agreement: float
    best: int | None
    known: bool
    background: bool
    fully_labelled: bool
    vouched_masks: bool


def make_wanted(**filters: Unpack[Filters]) -> Wanted:
    """The filters of a dataset; names, drives and reviewers are sorted, so that one selection has one record."""
    values: dict[str, Any] = dict(filters)
    for name in ("names", "drives", "reviewers"):
        values[name] = tuple(sorted(values.get(name, ())))
    return Wanted(**values)


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
