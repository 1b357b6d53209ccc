"""How many canaries of a check were bad in a row: columns of the standing, filled in from the rows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ENDED_BY = {"warn": "'pass'", "fail": "'pass', 'warn'", "unknown": "'pass', 'warn', 'fail'"}
_MADE_OF = {"warn": "'warn', 'fail'", "fail": "'fail'", "unknown": "'unknown'"}


def upgrade() -> None:
    """Apply."""
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("standings", schema=None) as batch_op:
        for kind in _ENDED_BY:
            batch_op.add_column(sa.Column(f"{kind}_streak", sa.Integer(), server_default="0", nullable=False))
            batch_op.add_column(sa.Column(f"{kind}_after", whole, server_default="0", nullable=False))
            batch_op.add_column(sa.Column(f"{kind}_newest", whole, server_default="0", nullable=False))
    for kind, enders in _ENDED_BY.items():
        op.execute(
            f"UPDATE standings SET {kind}_after = COALESCE((SELECT MAX(seq) FROM canaries"  # noqa: S608
            f" WHERE canaries.name = standings.name AND canaries.verdict IN ({enders})), 0)"
        )
        op.execute(
            f"UPDATE standings SET {kind}_streak = (SELECT COUNT(*) FROM canaries"  # noqa: S608
            f" WHERE canaries.name = standings.name AND canaries.seq > standings.{kind}_after"
            f" AND canaries.verdict IN ({_MADE_OF[kind]}))"
        )
        op.execute(
            f"UPDATE standings SET {kind}_newest = COALESCE((SELECT MAX(seq) FROM canaries"  # noqa: S608
            f" WHERE canaries.name = standings.name AND canaries.verdict = '{kind}'), 0)"
        )
