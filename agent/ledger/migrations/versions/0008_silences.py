"""Silences: times in which nobody is told of what fails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "silences",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=100), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("created_wall", sa.Double(), nullable=False),
        sa.Column("starts_wall", sa.Double(), nullable=False),
        sa.Column("ends_wall", sa.Double(), nullable=False),
        sa.Column("ended_by", sa.String(length=100), nullable=True),
        sa.Column("check", sa.String(length=40), nullable=True),
        sa.Column("path", sa.String(length=40), nullable=True),
        sa.Column("site", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silences")),
    )
    op.create_index("ix_silences_ends_wall", "silences", ["ends_wall"])
