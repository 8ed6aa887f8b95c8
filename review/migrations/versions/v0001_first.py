"""The first queue: items, their contents, events, names and reviewers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "items",
        sa.Column("item_id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rank", sa.Float, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("drive", sa.Text, nullable=False),
        sa.Column("timestamp", Moment, nullable=False),
        sa.Column("cluster", sa.Text),
        sa.Column("drawn_at_random", sa.Boolean, nullable=False),
        sa.Column("enqueued_at", Moment, nullable=False),
        sa.Column("night", sa.String(10), nullable=False),
        sa.Column("holder", sa.String(100)),
        sa.Column("until", Moment),
        sa.Column("verdict", sa.String(16)),
        sa.Column("decided_name", sa.String(100)),
        sa.Column("decided_by", sa.String(100)),
        sa.Column("decided_at", Moment),
        sa.Column("duplicate_of", sa.String(64), sa.ForeignKey("items.item_id")),
    )
    by_rank: list[str | sa.TextClause] = [sa.text("rank DESC"), "item_id"]
    op.create_index("items_by_rank", "items", ["state", *by_rank])
    op.create_index("items_by_name", "items", ["state", "name", *by_rank])
    op.create_index("items_by_drive", "items", ["state", "drive", *by_rank])
    op.create_index("items_by_cluster", "items", ["state", "cluster", *by_rank])
    op.create_index("items_by_until", "items", ["state", "until"])
    op.create_index("items_by_night", "items", ["night", "state"])
    op.create_index("items_by_reviewer", "items", ["decided_by", "decided_at"])
    op.create_table(
        "contents",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.item_id"), primary_key=True),
        sa.Column("scan_id", sa.Text, nullable=False),
        sa.Column("source_uri", sa.Text, nullable=False),
        sa.Column("frame_index", sa.BigInteger, nullable=False),
        sa.Column("frame_height", sa.Integer, nullable=False),
        sa.Column("frame_width", sa.Integer, nullable=False),
        sa.Column("box", sa.JSON, nullable=False),
        sa.Column("crop_box", sa.JSON, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.Column("track_id", sa.Text),
        sa.Column("track", sa.JSON, nullable=False),
        sa.Column("latitude", sa.Float),
        sa.Column("longitude", sa.Float),
        sa.Column("mask_rle", sa.LargeBinary, nullable=False),
        sa.Column("crop_jpeg", sa.LargeBinary, nullable=False),
        sa.Column("embedding", sa.LargeBinary),
    )
    op.create_table(
        "events",
        sa.Column(
            "event_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("action_id", sa.String(64), nullable=False),
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.item_id"), nullable=False),
        sa.Column("at", Moment, nullable=False),
        sa.Column("actor", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON, nullable=False),
        sa.Column("undoes", sa.BigInteger, sa.ForeignKey("events.event_id"), unique=True),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_item", "events", ["item_id", "event_id"])
    op.create_index("events_by_action", "events", ["action_id"])
    op.create_index("events_by_actor", "events", ["actor", "event_id"])
    op.create_table(
        "names",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("known", sa.Boolean, nullable=False),
    )
    op.create_table(
        "reviewers",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("token_hash", sa.Text, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
    )
    _make_events_append_only()


def _make_events_append_only() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER events_no_{change.lower()} BEFORE {change} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()"
    )
