"""What the servers' clocks say of the canary that was seen last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("standings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("servers", sa.Text(), nullable=True))
