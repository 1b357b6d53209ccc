"""Pages find the newest failures, however long the history is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    failed = sa.text("verdict = 'fail'")
    op.create_index("ix_canaries_failed", "canaries", ["started_wall"], sqlite_where=failed, postgresql_where=failed)
