"""How many canaries of a check were bad in a row, kept up as they are concluded.

A row runs in order of start, while conclusions come in any order: a refusal is known at once, a loss only after
`lost_after`. So each kind of streak remembers the newest-started canary that broke it, and counts those behind it.

Canaries of a check that tested something else, by the same name, neither count nor break: moved to another path, a
check begins with nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, ScalarSelect, bindparam, func, select, true

from agent.ledger import records
from agent.ledger.schema import canaries, specs, standings
from checks.core import verdict as rules
from checks.core.model import Check, Verdict

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

_OF_SPEC = specs.c.id == canaries.c.spec
_SINCE = (
    select(specs.c.check, func.count())
    .join_from(canaries, specs, _OF_SPEC)
    .where(
        canaries.c.name == bindparam("check"),
        canaries.c.seq > bindparam("after"),
        canaries.c.verdict.in_(bindparam("members", expanding=True)),
    )
    .group_by(canaries.c.spec)
)
_BETWEEN = (
    select(canaries.c.seq, specs.c.check)
    .join_from(canaries, specs, _OF_SPEC)
    .where(
        canaries.c.name == bindparam("name"),
        canaries.c.seq > bindparam("after"),
        canaries.c.seq < bindparam("before"),
    )
    .order_by(canaries.c.seq.desc())
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


def anew(connection: Connection, check: Check, *, after: int, before: int) -> dict[str, int]:
    """Make the columns with which *check* begins anew: its canary *before* is the first of it that concludes.

    The newest canary of the check that had its name is number *after* or, where a later one has not concluded yet, that
    one: what it comes to shall not count.
    """
    rows = connection.execute(_BETWEEN, {"name": check.name, "after": after, "before": before}).all()
    others = (seq for seq, then in rows if not _proves(then, check))
    newest = next(others, after)
    return {
        f"{kind}_{part}": value
        for kind in MEMBERS
        for part, value in (("streak", 0), ("after", newest), ("newest", newest))
    }


def move(connection: Connection, check: Check, seq: int, verdict: Verdict, known: Mapping[str, Any]) -> dict[str, int]:
    """Work out the columns that change in the standing of *check* when its canary *seq* is concluded.

    Args:
        connection: in the transaction that concluded it.
        check: as it was when the canary was started.
        seq: the canary's place in the order of start.
        verdict: of the canary.
        known: the columns of the standing as it was; none if there was none.
    """
    changed: dict[str, int] = {}
    for kind, members in MEMBERS.items():
        streak, after, newest = (known.get(f"{kind}_{part}", 0) for part in ("streak", "after", "newest"))
        if verdict is kind and seq > newest:
            changed[f"{kind}_newest"] = seq
        if seq <= after:
            continue
        if verdict in BREAKERS[kind]:
            changed[f"{kind}_after"] = seq
            changed[f"{kind}_streak"] = streak and _count(connection, check, seq, members)
        elif verdict in members:
            changed[f"{kind}_streak"] = streak + 1
    return changed


def _count(connection: Connection, check: Check, after: int, members: frozenset[Verdict]) -> int:
    values = {"check": check.name, "after": after, "members": sorted(members)}
    return sum(number for then, number in connection.execute(_SINCE, values) if _proves(then, check))


def _proves(then: str, check: Check) -> bool:
    return rules.proves(records.load_check(then), check)


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


def failing_since(connection: Connection, check: str, elsewhere: Collection[int], before: int) -> float | None:
    """Tell since when *check* had been failing on its path when its canary number *before* was started (Unix time).

    That is the start of the first failing canary of that run, whatever of the check was edited meanwhile; *elsewhere*
    are its specifications on other paths. None if it was not failing: unknown verdicts neither begin nor end a run.
    """
    mine = (canaries.c.name == check) & (canaries.c.seq < before)
    failing = canaries.c.verdict == Verdict.FAIL.value
    ends = canaries.c.verdict.in_(sorted(BREAKERS[Verdict.FAIL])) | (failing & canaries.c.spec.in_(elsewhere))
    # Nothing has ended the run since what its streak came after: a long one is not walked through.
    streak = (standings.c.name == check) & (standings.c.fail_streak > 0) & (standings.c.fail_after < before)
    after = connection.execute(select(standings.c.fail_after).where(streak)).scalar()
    earlier = true() if after is None else canaries.c.seq <= after
    last = select(canaries.c.seq).where(mine, earlier, ends).order_by(canaries.c.seq.desc()).limit(1)
    last_end = connection.execute(last).scalar()
    later = true() if last_end is None else canaries.c.seq > last_end
    first = select(canaries.c.started_wall).where(mine, later, failing).order_by(canaries.c.seq).limit(1)
    return connection.execute(first).scalar()


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
