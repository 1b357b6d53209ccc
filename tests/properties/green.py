"""What the agent shows now, held against the truth: never a false green, never a false page."""

from __future__ import annotations

import sqlite3

from properties.lives import Agent

from agent.metrics.picture import Picture
from checks.core.model import Check


async def complaints(agent: Agent) -> list[str]:
    """Say what the current verdicts have wrong."""
    assert agent.pipeline is not None
    assert agent.books is not None
    view = agent.pipeline.view()
    if not view.applied:
        return []
    picture = Picture(view, await agent.books.snapshot())
    return [wrong for check in picture.checks for wrong in _check(agent, check, picture.verdict(check).value)]


def _check(agent: Agent, check: Check, shown: str) -> list[str]:
    newest = _newest(agent, check.name)
    wrong = []
    if shown == "fail" and (newest is None or newest[0] != "fail"):
        wrong.append(f"{check.name}: shown as fail, the newest canary is {newest}")
    if shown != "pass":
        return wrong
    witness, now = agent.witness, agent.witness.clock.steady()
    allowed = max(3 * check.limits.every, check.limits.late_after + check.limits.every)
    places = [(check.mailbox, folder) for folder in agent.setup.folders[check.mailbox]]
    last = [witness.looks[place][-1][1] if witness.looks[place] else None for place in places]
    if newest is None or newest[0] != "pass":
        wrong.append(f"{check.name}: shown as pass, the newest canary is {newest}")
    elif now - newest[1] > allowed:
        wrong.append(f"{check.name}: shown as pass, nothing has concluded for {now - newest[1]:.0f} s")
    if any(at is None or now - at > allowed for at in last):
        wrong.append(f"{check.name}: shown as pass, the last looks were at {last}, now {now}")
    else:
        oldest = min(at for at in last if at is not None)
        since = max(witness.watched_since[place] for place in places)  # an earlier mailbox by its name was another one
        overdue = [
            one.id
            for one in witness.canaries.values()
            if one.check.name == check.name
            and one.id not in witness.done
            and one.started_at + one.check.limits.late_after <= oldest
            and one.check.mailbox == check.mailbox
            and witness.began[one.id] >= since
        ]
        if overdue:
            wrong.append(f"{check.name}: shown as pass while {len(overdue)} canaries are overdue")
    return wrong


def _newest(agent: Agent, name: str) -> tuple[str, float] | None:
    """Tell the verdict of the newest-started concluded canary, and when it came, by SQL of our own."""
    connection = sqlite3.connect(f"file:{agent.file}?mode=ro", uri=True)
    try:
        row = connection.execute(
            "select verdict, concluded_at from canaries where name = ? and outcome is not null order by seq desc",
            (name,),
        ).fetchone()
    finally:
        connection.close()
    return None if row is None else (row[0], row[1])
