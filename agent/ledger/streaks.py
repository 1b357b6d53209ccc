"""How many canaries of a check were bad in a row, kept up as they are concluded.

A row runs in order of start, while conclusions come in any order: a refusal is known at once, a loss only after
`lost_after`. So each kind of streak remembers the newest-started canary that broke it, and counts those behind it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from agent.ledger.schema import canaries
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
