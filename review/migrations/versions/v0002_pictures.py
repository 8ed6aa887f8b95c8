"""Masks and crops in a table of their own: who goes through a whole queue need not read them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("item_id", sa.String(64), sa.ForeignKey("items.item_id"), primary_key=True),
        sa.Column("mask_rle", sa.LargeBinary, nullable=False),
        sa.Column("crop_jpeg", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO pictures SELECT item_id, mask_rle, crop_jpeg FROM contents")
    op.drop_column("contents", "mask_rle")
    op.drop_column("contents", "crop_jpeg")
