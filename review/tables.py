"""The tables of the queue as SQLAlchemy sees them, and the records in their rows.

What changes in a table needs a migration beside it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
)

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


class Utc(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC. SQLite has no time zones: there the naive text is UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

# The columns that lists, filters and leases read: short rows, so that 100,000 of them need few pages.
items = Table(
    "items",
    metadata,
    Column("item_id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("rank", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("name", String(100), nullable=False),
    Column("drive", Text, nullable=False),
    Column("timestamp", Utc, nullable=False),
    Column("cluster", Text),
    Column("drawn_at_random", Boolean, nullable=False),
    Column("enqueued_at", Utc, nullable=False),
    Column("night", String(10), nullable=False),  # YYYY-MM-DD, the UTC date of enqueueing
    Column("holder", String(100)),
    Column("until", Utc),
    Column("verdict", String(16)),
    Column("decided_name", String(100)),
    Column("decided_by", String(100)),
    Column("decided_at", Utc),
    Column("duplicate_of", String(64), ForeignKey("items.item_id")),
    Column("mask_state", String(16)),
    Column("second", String(16)),
)
Index("items_by_rank", items.c.state, items.c.rank.desc(), items.c.item_id)
Index("items_by_name", items.c.state, items.c.name, items.c.rank.desc(), items.c.item_id)
Index("items_by_drive", items.c.state, items.c.drive, items.c.rank.desc(), items.c.item_id)
Index("items_by_cluster", items.c.state, items.c.cluster, items.c.rank.desc(), items.c.item_id)
Index("items_by_until", items.c.state, items.c.until)
Index("items_by_night", items.c.night, items.c.state)
Index("items_by_reviewer", items.c.decided_by, items.c.decided_at)
Index("items_by_second", items.c.second, items.c.state)

# The columns that are only read to show or export an item.
contents = Table(
    "contents",
    metadata,
    Column("item_id", String(64), ForeignKey("items.item_id"), primary_key=True),
    Column("scan_id", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("frame_index", BigInteger, nullable=False),
    Column("frame_height", Integer, nullable=False),
    Column("frame_width", Integer, nullable=False),
    Column("box", JSON, nullable=False),
    Column("crop_box", JSON, nullable=False),
    Column("names", JSON, nullable=False),
    Column("track_id", Text),
    Column("track", JSON, nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("embedding", LargeBinary),
    Column("timestamp_source", String(16)),
    Column("unclear", String(16)),
    Column("anomaly_percentile", Float),
    Column("anomaly_of", Integer),
)

# Most of the bytes of a queue. Code that goes through all items does not read them.
pictures = Table(
    "pictures",
    metadata,
    Column("item_id", String(64), ForeignKey("items.item_id"), primary_key=True),
    Column("mask_rle", LargeBinary, nullable=False),
    Column("crop_jpeg", LargeBinary, nullable=False),
)

# Masks that a person repaired; those of the scan stay in ``pictures``.
repaired_masks = Table(
    "repaired_masks",
    metadata,
    Column("item_id", String(64), ForeignKey("items.item_id"), primary_key=True),
    Column("mask_rle", LargeBinary, nullable=False),
    Column("edits", JSON, nullable=False),
    Column("repaired_by", String(100), nullable=False),
    Column("repaired_at", Utc, nullable=False),
)

# What second reviewers said; the decision that stands is in ``items``.
opinions = Table(
    "opinions",
    metadata,
    Column("item_id", String(64), ForeignKey("items.item_id"), primary_key=True),
    Column("reviewer", String(100), primary_key=True),
    Column("verdict", String(16), nullable=False),
    Column("name", String(100)),
    Column("at", Utc, nullable=False),
)

# Where items lie on the map of finds, as mining drew it last, and the weights whose embeddings it drew.
places = Table(
    "places",
    metadata,
    Column("item_id", String(64), ForeignKey("items.item_id"), primary_key=True),
    Column("weights", String(64), nullable=False),
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
)

# Append-only: triggers refuse UPDATE, and DELETE for all items that are not in ``forgotten_items``.
events = Table(
    "events",
    metadata,
    Column("event_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("action_id", String(64), nullable=False),
    Column("item_id", String(64), ForeignKey("items.item_id"), nullable=False),
    Column("at", Utc, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON, nullable=False),
    Column("undoes", BigInteger, ForeignKey("events.event_id"), unique=True),
    Column("note", Text),
    sqlite_autoincrement=True,
)
Index("events_by_item", events.c.item_id, events.c.event_id)
Index("events_by_action", events.c.action_id)
Index("events_by_actor", events.c.actor, events.c.event_id)

# The names offered while typing; ``known`` are the classes of the known vocabulary.
names = Table(
    "names",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("known", Boolean, nullable=False),
)

reviewers = Table(
    "reviewers",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("token_hash", Text, nullable=False),
    Column("created_at", Utc, nullable=False),
)

# Sessions that were signed out before their cookies end, by a hash of their token.
ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("ended_at", Utc, nullable=False),
)

# What was removed on request. Mining does not bring it back.
forgotten_items = Table(
    "forgotten_items",
    metadata,
    Column("item_id", String(64), primary_key=True),
    Column("forgotten_by", String(100), nullable=False),
    Column("forgotten_at", Utc, nullable=False),
)


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
