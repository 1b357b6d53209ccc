"""Reports ask for spans of time, and a made-up past is marked."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # no copy of the table: the rows of canaries refer to its own
    op.add_column("runs", sa.Column("simulated", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_canaries_started_wall", "canaries", ["started_wall"])
