"""Incidents as they are told, and the outbox of their pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_wall", sa.Double(), nullable=False),
        sa.Column("closed_wall", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    still_open = sa.text("closed_wall IS NULL")
    op.create_index(
        "ix_incidents_open", "incidents", ["opened_wall"], sqlite_where=still_open, postgresql_where=still_open
    )
    op.create_table(
        "pages",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("incident", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("gist", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("written_wall", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("sent_wall", sa.Double(), nullable=True),
        sa.Column("problem", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name=op.f("fk_pages_incident"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_pages")),
    )
    op.create_index("ix_pages_incident_channel", "pages", ["incident", "channel"])
    waiting = sa.text("state = 'waiting'")
    op.create_index("ix_pages_waiting", "pages", ["channel", "due_at"], sqlite_where=waiting, postgresql_where=waiting)
    op.create_table(
        "channels",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("success_wall", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_channels")),
    )
