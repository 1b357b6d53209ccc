"""Signs of life of an agent, as far as its ledger shows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select

from agent.ledger.facts import next_due
from agent.ledger.outbox import untold_since
from agent.ledger.schema import canaries
from agent.ledger.snapshot import looked_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """When each check last started a canary and each mailbox was last looked into completely; None: never.

    `judging_at` is when the next verdict is due, all on the steady timeline; `untold_wall` is since when (Unix time)
    there is an open incident of which nobody could be told.
    """

    started_at: Mapping[str, float | None]
    looked_at: Mapping[str, float | None]
    judging_at: float | None
    untold_wall: float | None


def feel(connection: Connection, checks: Collection[str]) -> Pulse:
    """Read the signs of life of *checks*."""
    newest = {
        name: connection.execute(
            select(canaries.c.started_at).where(canaries.c.name == name).order_by(canaries.c.seq.desc()).limit(1)
        ).scalar()
        for name in checks
    }
    return Pulse(
        started_at=newest,
        looked_at=looked_at(connection),
        judging_at=next_due(connection),
        untold_wall=untold_since(connection),
    )
