"""When each run was stopped, and which key signed each canary's token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("runs", sa.Column("ended_at", sa.Double(), nullable=True))
    op.add_column("canaries", sa.Column("key", sa.String(16), nullable=True))
