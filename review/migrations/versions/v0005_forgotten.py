"""Items of sources that were forgotten on request may be removed, with their events; their ids are kept."""

import sqlalchemy as sa
from alembic import op

from review.tables import Utc

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Moment = Utc()


def upgrade() -> None:
    op.create_table(
        "forgotten_items",
        sa.Column("item_id", sa.String(64), primary_key=True),
        sa.Column("forgotten_by", sa.String(100), nullable=False),
        sa.Column("forgotten_at", Moment, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER events_no_delete")
        op.execute(
            "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
            "WHEN OLD.item_id NOT IN (SELECT item_id FROM forgotten_items) "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )
        return
    op.execute("DROP TRIGGER events_append_only ON events")
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()"
    )
    op.execute(
        "CREATE FUNCTION events_keep_unless_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.item_id IN (SELECT item_id FROM forgotten_items) THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION 'events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_keep_unless_forgotten()"
    )
