"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "blind",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_blind")),
    )
    with op.batch_alter_table("blind", schema=None) as batch_op:
        batch_op.create_index("ix_blind_mailbox_ended_at", ["mailbox", "ended_at"], unique=False)

    op.create_table(
        "folders",
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("watched_at", sa.Double(), nullable=False),
        sa.Column("looked_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("mailbox", "folder", name=op.f("pk_folders")),
    )
    op.create_table(
        "histograms",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("sum", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "method", "family", name=op.f("pk_histograms")),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("began_wall", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_table(
        "specs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("check", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_specs")),
        sa.UniqueConstraint("digest", name=op.f("uq_specs_digest")),
    )
    op.create_table(
        "standings",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("canary", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("concluded_at", sa.Double(), nullable=False),
        sa.Column("since_at", sa.Double(), nullable=False),
        sa.Column("passed_at", sa.Double(), nullable=True),
        sa.Column("end_to_end", sa.Double(), nullable=True),
        sa.Column("observation_gap", sa.Double(), nullable=True),
        sa.Column("scl", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_standings")),
    )
    op.create_table(
        "totals",
        sa.Column("owner", sa.String(length=40), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "metric", "labels", name=op.f("pk_totals")),
    )
    op.create_table(
        "canaries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("started_wall", sa.Double(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("late_at", sa.Double(), nullable=False),
        sa.Column("deadline_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("facts", sa.Integer(), nullable=False),
        sa.Column("attempt_kind", sa.String(length=16), nullable=True),
        sa.Column("attempt", sa.Text(), nullable=True),
        sa.Column("online", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("verdict", sa.String(length=8), nullable=True),
        sa.Column("reasons", sa.Text(), nullable=True),
        sa.Column("concluded_at", sa.Double(), nullable=True),
        sa.Column("submission", sa.Double(), nullable=True),
        sa.Column("delivery", sa.Double(), nullable=True),
        sa.Column("end_to_end", sa.Double(), nullable=True),
        sa.Column("observation_gap", sa.Double(), nullable=True),
        sa.Column("recovered_at", sa.Double(), nullable=True),
        sa.Column("sightings", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name=op.f("fk_canaries_run")),
        sa.ForeignKeyConstraint(["spec"], ["specs.id"], name=op.f("fk_canaries_spec")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_canaries")),
        sa.UniqueConstraint("id", name=op.f("uq_canaries_id")),
    )
    with op.batch_alter_table("canaries", schema=None) as batch_op:
        batch_op.create_index("ix_canaries_concluded_at", ["concluded_at"], unique=False)
        batch_op.create_index(
            "ix_canaries_deadline",
            ["mailbox", "deadline_at"],
            unique=False,
            sqlite_where=sa.text("outcome IS NULL"),
            postgresql_where=sa.text("outcome IS NULL"),
        )
        batch_op.create_index(
            "ix_canaries_due",
            ["due_at"],
            unique=False,
            sqlite_where=sa.text("outcome IS NULL"),
            postgresql_where=sa.text("outcome IS NULL"),
        )
        batch_op.create_index("ix_canaries_name_seq", ["name", "seq"], unique=False)

    op.create_table(
        "bounces",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("canary", sa.String(length=16), nullable=False),
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("validity", sa.String(length=64), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("diagnostic", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["canary"], ["canaries.id"], name=op.f("fk_bounces_canary"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_bounces")),
        sa.UniqueConstraint(
            "mailbox", "folder", "validity", "uid", "canary", name=op.f("uq_bounces_mailbox_folder_validity_uid_canary")
        ),
    )
    with op.batch_alter_table("bounces", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_bounces_canary"), ["canary"], unique=False)

    op.create_table(
        "evidence",
        sa.Column("canary", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["canary"], ["canaries.id"], name=op.f("fk_evidence_canary"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("canary", "kind", name=op.f("pk_evidence")),
    )
    op.create_table(
        "sightings",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("canary", sa.String(length=16), nullable=False),
        sa.Column("mailbox", sa.String(length=40), nullable=False),
        sa.Column("folder", sa.String(length=255), nullable=False),
        sa.Column("validity", sa.String(length=64), nullable=False),
        sa.Column("uid", sa.String(length=255), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("after_at", sa.Double(), nullable=True),
        sa.Column("junk", sa.Boolean(), nullable=False),
        sa.Column("stored_wall", sa.Double(), nullable=True),
        sa.Column("findings", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["canary"], ["canaries.id"], name=op.f("fk_sightings_canary"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_sightings")),
        sa.UniqueConstraint(
            "mailbox", "folder", "validity", "uid", name=op.f("uq_sightings_mailbox_folder_validity_uid")
        ),
    )
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sightings_canary"), ["canary"], unique=False)
        batch_op.create_index(
            "ix_sightings_kept",
            ["mailbox", "seen_at"],
            unique=False,
            sqlite_where=sa.text("deleted_at IS NULL"),
            postgresql_where=sa.text("deleted_at IS NULL"),
        )
