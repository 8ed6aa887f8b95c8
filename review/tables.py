"""The tables of the queue as SQLAlchemy sees them. What changes here needs a migration beside it."""

from datetime import UTC, datetime

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
    String,
    Table,
    Text,
    TypeDecorator,
)


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
