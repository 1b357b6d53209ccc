"""Which account a mailbox is, and how each canary was signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("canaries", sa.Column("signature", sa.String(length=43), nullable=True))
    op.add_column("folders", sa.Column("account", sa.String(length=1000), nullable=True))
    op.add_column("folders", sa.Column("since_at", sa.Double(), server_default="0", nullable=False))
