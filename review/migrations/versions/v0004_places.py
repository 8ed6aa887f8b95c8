"""Of how many finds an anomaly percentile is, so that a find can be called the third of 32."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contents", sa.Column("anomaly_of", sa.Integer))
