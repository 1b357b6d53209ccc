"""Where copies of canaries lie that the sending mailbox keeps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "copies",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("canary", sa.String(length=16), nullable=False),
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("validity", sa.String(length=64), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["canary"], ["canaries.id"], name=op.f("fk_copies_canary"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_copies")),
        sa.UniqueConstraint("mailbox", "folder", "validity", "uid", name=op.f("uq_copies_mailbox_folder_validity_uid")),
    )
    op.create_index(op.f("ix_copies_canary"), "copies", ["canary"])
