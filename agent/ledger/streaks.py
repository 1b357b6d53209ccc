"""How many canaries of a check were bad in a row, kept up as they are concluded.

A row runs in order of start, while conclusions come in any order: a refusal is known at once, a loss only after
`lost_after`. So each kind of streak remembers the newest-started canary that broke it, and counts those behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, bindparam, func, select

from agent.ledger.schema import canaries, standings
from checks.core.model import Verdict

MEMBERS: dict[Verdict, frozenset[Verdict]] = {
    Verdict.WARN: frozenset({Verdict.WARN, Verdict.FAIL}),
    Verdict.FAIL: frozenset({Verdict.FAIL}),
    Verdict.UNKNOWN: frozenset({Verdict.UNKNOWN}),
}
"""What counts towards each kind of streak: `warn` is "did not pass", so it goes on through failures."""

BREAKERS: dict[Verdict, frozenset[Verdict]] = {
    Verdict.WARN: frozenset({Verdict.PASS}),
    Verdict.FAIL: frozenset({Verdict.PASS, Verdict.WARN}),
    Verdict.UNKNOWN: frozenset({Verdict.PASS, Verdict.WARN, Verdict.FAIL}),
}
"""What ends each kind of streak. Not knowing ends none but its own beginning: it never hides a failure."""

_SINCE = select(func.count()).where(
    canaries.c.name == bindparam("check"),
    canaries.c.seq > bindparam("after"),
    canaries.c.verdict.in_(bindparam("members", expanding=True)),
)


def next_decided() -> ScalarSelect[int]:
    """Find, for each row of canaries, the next one of its check that is decided: its number, or NULL."""
    later = canaries.alias()
    return (
        select(later.c.seq)
        .where(later.c.name == canaries.c.name, later.c.seq > canaries.c.seq, later.c.verdict != Verdict.UNKNOWN.value)
        .order_by(later.c.seq)
        .limit(1)
        .scalar_subquery()
    )


def move(connection: Connection, name: str, seq: int, verdict: Verdict, before: Row[Any] | None) -> dict[str, int]:
    """Work out the columns that change in the standing of check *name* when its canary *seq* is concluded.

    Args:
        connection: in the transaction that concluded it.
        name: of the check.
        seq: the canary's place in the order of start.
        verdict: of the canary.
        before: the standing as it was, None if there was none.
    """
    changed: dict[str, int] = {}
    for kind, members in MEMBERS.items():
        streak = 0 if before is None else getattr(before, f"{kind}_streak")
        after = 0 if before is None else getattr(before, f"{kind}_after")
        if verdict is kind and (before is None or seq > getattr(before, f"{kind}_newest")):
            changed[f"{kind}_newest"] = seq
        if seq <= after:
            continue
        if verdict in BREAKERS[kind]:
            changed[f"{kind}_after"] = seq
            changed[f"{kind}_streak"] = streak and _count(connection, name, seq, members)
        elif verdict in members:
            changed[f"{kind}_streak"] = streak + 1
    return changed


def _count(connection: Connection, name: str, after: int, members: frozenset[Verdict]) -> int:
    values = {"check": name, "after": after, "members": sorted(members)}
    return int(connection.execute(_SINCE, values).scalar_one())


def began(connection: Connection, kind: Verdict) -> Mapping[str, float]:
    """Tell, for each check that has a streak of *kind*, when the first canary of it was started (Unix time)."""
    inner = canaries.alias()
    first = (
        select(inner.c.seq)
        .where(
            inner.c.name == standings.c.name,
            inner.c.seq > standings.c[f"{kind}_after"],
            inner.c.verdict.in_(sorted(MEMBERS[kind])),
        )
        .order_by(inner.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(standings.c.name, canaries.c.started_wall)
        .select_from(standings.join(canaries, canaries.c.seq == first))
        .where(standings.c[f"{kind}_streak"] > 0)
    )
    return {row.name: row.started_wall for row in rows}


def better(connection: Connection, name: str, kind: Verdict, most: int) -> int:
    """Count the canaries of check *name*, up to *most*, that were better than *kind* since the newest that was not.

    As for a streak, the order is that of their start, and those of which nothing is known count for nothing.
    """
    newest = [standings.c[f"{one}_newest"] for one in MEMBERS[kind]]
    row = connection.execute(select(*newest).where(standings.c.name == name)).one_or_none()
    if row is None:
        return 0
    found = (
        select(canaries.c.seq)
        .where(canaries.c.name == name, canaries.c.seq > max(row), canaries.c.verdict.in_(sorted(BREAKERS[kind])))
        .limit(most)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(found)).scalar_one())
