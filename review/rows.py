"""Records of the queue ↔ rows of its tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping

from schemas.review import (
    Box,
    Decision,
    Event,
    EventKind,
    ItemStatus,
    MaskState,
    NameScore,
    Opinion,
    QueuedItem,
    RepairedMask,
    ReviewItem,
    Second,
    State,
    TrackFrame,
    Unclear,
    Verdict,
)

Row = Mapping[str, Any] | RowMapping


def item_columns(item: ReviewItem, status: ItemStatus, now: datetime) -> dict[str, Any]:
    """The row of ``items`` for a new item."""
    return {
        "item_id": item.item_id,
        "rank": item.rank,
        "score": item.score,
        "name": item.name,
        "drive": item.drive,
        "timestamp": item.timestamp,
        "cluster": item.cluster,
        "drawn_at_random": item.drawn_at_random,
        "enqueued_at": now,
        "night": now.astimezone(UTC).date().isoformat(),
    } | status_columns(status)


def content_columns(item: ReviewItem) -> dict[str, Any]:
    """The row of ``contents`` for a new item."""
    return {
        "item_id": item.item_id,
        "scan_id": item.scan_id,
        "source_uri": item.source_uri,
        "frame_index": item.frame_index,
        "frame_height": item.frame_height,
        "frame_width": item.frame_width,
        "box": _numbers(item.box),
        "crop_box": _numbers(item.crop_box),
        "names": [[name.name, name.score] for name in item.names],
        "track_id": item.track_id,
        "track": [
            [frame.frame_index, frame.timestamp.astimezone(UTC).isoformat(), _numbers(frame.box)]
            for frame in item.track
        ],
        "latitude": item.latitude,
        "longitude": item.longitude,
        "embedding": item.embedding,
        "timestamp_source": item.timestamp_source,
        "unclear": item.unclear.value if item.unclear else None,
        "anomaly_percentile": item.anomaly_percentile,
        "anomaly_of": item.anomaly_of,
    }


def picture_columns(item: ReviewItem) -> dict[str, Any]:
    """The row of ``pictures`` for a new item."""
    return {"item_id": item.item_id, "mask_rle": item.mask_rle, "crop_jpeg": item.crop_jpeg}


def status_columns(status: ItemStatus) -> dict[str, Any]:
    """The columns of ``items`` that change."""
    return {
        "state": status.state.value,
        "holder": status.holder,
        "until": status.until,
        "verdict": status.verdict.value if status.verdict else None,
        "decided_name": status.name,
        "decided_by": status.decided_by,
        "decided_at": status.decided_at,
        "duplicate_of": status.duplicate_of,
    }


def status_of(row: Row) -> ItemStatus:
    """The status in a row of ``items``."""
    return ItemStatus(
        State(row["state"]),
        row["holder"],
        row["until"],
        Verdict(row["verdict"]) if row["verdict"] else None,
        row["decided_name"],
        row["decided_by"],
        row["decided_at"],
        row["duplicate_of"],
    )


def decision_of(row: Row) -> Decision:
    """The decision in a row of ``items`` that is decided or exported."""
    return Decision(row["item_id"], Verdict(row["verdict"]), row["decided_name"], row["decided_by"], row["decided_at"])


def queued_item(row: Row) -> QueuedItem:
    """A row of ``items`` joined with ``contents``, and with ``pictures`` unless these are to stay empty."""
    item = ReviewItem(
        item_id=row["item_id"],
        scan_id=row["scan_id"],
        source_uri=row["source_uri"],
        drive=row["drive"],
        frame_index=row["frame_index"],
        timestamp=row["timestamp"],
        frame_height=row["frame_height"],
        frame_width=row["frame_width"],
        box=Box(*row["box"]),
        mask_rle=bytes(row.get("mask_rle", b"")),
        crop_jpeg=bytes(row.get("crop_jpeg", b"")),
        crop_box=Box(*row["crop_box"]),
        name=row["name"],
        names=tuple(NameScore(name, score) for name, score in row["names"]),
        score=row["score"],
        rank=row["rank"],
        track_id=row["track_id"],
        track=tuple(
            TrackFrame(index, datetime.fromisoformat(moment), Box(*box)) for index, moment, box in row["track"]
        ),
        latitude=row["latitude"],
        longitude=row["longitude"],
        embedding=bytes(row["embedding"]) if row["embedding"] is not None else None,
        cluster=row["cluster"],
        drawn_at_random=row["drawn_at_random"],
        duplicate_of=row["duplicate_of"],
        unclear=Unclear(row["unclear"]) if row["unclear"] else None,
        anomaly_percentile=row["anomaly_percentile"],
        anomaly_of=row["anomaly_of"],
        timestamp_source=row["timestamp_source"],
    )
    return QueuedItem(
        item,
        status_of(row),
        MaskState(row["mask_state"]) if row["mask_state"] else None,
        second=Second(row["second"]) if row["second"] else None,
    )


def repaired_mask(row: Row) -> RepairedMask:
    """A row of ``repaired_masks``."""
    return RepairedMask(bytes(row["mask_rle"]), tuple(row["edits"]), row["repaired_by"], row["repaired_at"])


def opinion_of(row: Row) -> Opinion:
    """A row of ``opinions``."""
    return Opinion(row["item_id"], row["reviewer"], Verdict(row["verdict"]), row["name"], row["at"])


def status_json(status: ItemStatus) -> dict[str, str]:
    """A status as the events keep it; what is None is left out."""
    columns = status_columns(status)
    return {
        column: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for column, value in columns.items()
        if value is not None
    }


def _status_from_json(kept: Mapping[str, str]) -> ItemStatus:
    moments = {key: datetime.fromisoformat(kept[key]) for key in ("until", "decided_at") if key in kept}
    blank = dict.fromkeys(("holder", "until", "verdict", "decided_name", "decided_by", "decided_at", "duplicate_of"))
    return status_of({**blank, **kept, **moments})


def event_of(row: Row) -> Event:
    """A row of ``events``."""
    return Event(
        row["event_id"],
        row["action_id"],
        row["item_id"],
        row["at"],
        row["actor"],
        EventKind(row["kind"]),
        _status_from_json(row["before"]) if row["before"] is not None else None,
        _status_from_json(row["after"]),
        row["undoes"],
        row["note"],
    )


def _numbers(box: Box) -> list[int]:
    return [box.x, box.y, box.width, box.height]
