"""The open and the recent incidents, from the failures that are on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.ledger.pages import Failure
from agent.report.incidents import Found, Incident, Judged, find
from agent.status import AgentView
from agent.words import told
from checks.core.model import Outcome
from checks.knowledge import diagnose_outcome

SPAN = 7 * 86400.0
"""How far back is looked, in seconds."""
MOST = 1000
"""How many failures are looked through, the newest ones."""


def recent(failures: Sequence[Failure], failing_since: Mapping[str, float], view: AgentView) -> Found:
    """Put incidents together, each with what it means and what to do.

    Args:
        failures: oldest first.
        failing_since: for each check that is failing, when that began; it may be before the oldest of *failures*.
        view: it knows the checks of the settings, and how many failures in a row make an incident.
    """
    lives: dict[str, list[Judged]] = {}
    paths: dict[str, str] = {}
    told_of: dict[str, Failure] = {}
    for one in failures:
        life = lives.setdefault(one.check, [])
        paths.setdefault(one.check, one.path)
        words = "; ".join(told(one.reasons))
        life.append(Judged(one.canary, one.started, one.concluded, "fail", one.outcome, words, simulated=one.seq < 0))
        told_of[one.canary] = one
        if one.after is not None and one.after.verdict != "fail":
            turn = one.after
            life.append(Judged(turn.canary, turn.started, turn.concluded, turn.verdict, turn.outcome, ""))
    cut = {
        check: failing_since[check]
        for check, life in lives.items()
        if check in failing_since and failing_since[check] < life[0].started and _one_run(life)
    }
    known = {one.check.name for one in view.checks} if view.applied else lives
    found = find(lives, paths, after=view.alert_after, failing_since=cut, known=known)
    return replace(found, incidents=[_explained(one, told_of[one.canary]) for one in found.incidents])


def _one_run(life: Sequence[Judged]) -> bool:
    return all(one.verdict == "fail" for one in life)


def _explained(incident: Incident, of: Failure) -> Incident:
    known = diagnose_outcome(Outcome(of.outcome), of.reasons, method=of.method)
    return replace(incident, meaning=known.meaning, fix=known.fix) if known else incident
