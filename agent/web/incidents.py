"""The open and the recent incidents, from the failures that are on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.ledger.pages import Failure
from agent.report.incidents import Found, Incident, Judged, OnPath, find
from agent.status import AgentView
from agent.words import told
from checks.core.model import Outcome
from checks.knowledge import diagnose_outcome

SPAN = 7 * 86400.0
"""How far back is looked, in seconds."""
MOST = 1000
"""How many failures are looked through, the newest ones."""


def recent(failures: Sequence[Failure], failing_since: Mapping[tuple[str, str], float], view: AgentView) -> Found:
    """Put incidents together, each with what it means and what to do.

    Args:
        failures: oldest first.
        failing_since: for each check and path of which the oldest of *failures* goes on with a run, when that began.
        view: it knows the checks of the settings, and how many failures in a row make an incident.
    """
    lives: dict[OnPath, list[Judged]] = {}
    told_of: dict[str, Failure] = {}
    for one in failures:
        life = lives.setdefault(OnPath(one.check, one.path), [])
        words = "; ".join(told(one.reasons))
        life.append(Judged(one.canary, one.started, one.concluded, "fail", one.outcome, words, simulated=one.seq < 0))
        told_of[one.canary] = one
        turn = one.after
        if turn is not None and ((moved := turn.path != one.path) or turn.verdict != "fail"):
            life.append(Judged(turn.canary, turn.started, turn.concluded, turn.verdict, turn.outcome, "", moved=moved))
    cut = {OnPath(check, path): since for (check, path), since in failing_since.items()}
    known = {OnPath(one.check.name, one.check.path) for one in view.checks} if view.applied else lives
    found = find(lives, after=view.alert_after, failing_since=cut, known=known)
    return replace(found, incidents=[_explained(one, told_of[one.canary]) for one in found.incidents])


def _explained(incident: Incident, of: Failure) -> Incident:
    known = diagnose_outcome(Outcome(of.outcome), of.reasons, method=of.method)
    return replace(incident, meaning=known.meaning, fix=known.fix) if known else incident
