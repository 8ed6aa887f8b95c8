"""What makes decisions trustworthy: reasons for no name, repaired masks, second opinions, comments, ended sessions."""

import sqlalchemy as sa
from alembic import op

from review.tables import Utc

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Moment = Utc()


def upgrade() -> None:
    for column in (
        sa.Column("timestamp_source", sa.String(16)),
        sa.Column("unclear", sa.String(16)),
        sa.Column("anomaly_percentile", sa.Float),
    ):
        op.add_column("contents", column)
    op.add_column("items", sa.Column("mask_state", sa.String(16)))
    op.add_column("items", sa.Column("second", sa.String(16)))
    op.create_index("items_by_second", "items", ["second", "state"])
    op.add_column("events", sa.Column("note", sa.Text))
    op.create_table(
        "repaired_masks",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.item_id"), primary_key=True),
        sa.Column("mask_rle", sa.LargeBinary, nullable=False),
        sa.Column("edits", sa.JSON, nullable=False),
        sa.Column("repaired_by", sa.String(100), nullable=False),
        sa.Column("repaired_at", Moment, nullable=False),
    )
    op.create_table(
        "opinions",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.item_id"), primary_key=True),
        sa.Column("reviewer", sa.String(100), primary_key=True),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("at", Moment, nullable=False),
    )
    op.create_table(
        "ended_sessions",
        sa.Column("session", sa.String(64), primary_key=True),
        sa.Column("ended_at", Moment, nullable=False),
    )
