"""Makers of what alerts look at, so that a test names only what it is about."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.alerts.incident import Incident
from agent.alerts.policy import Policy, Route
from agent.alerts.rules import Addressed, Decision, decide
from agent.alerts.scene import Place, Scene
from agent.alerts.signs import Signs
from agent.ledger import Problem
from agent.ledger.alerting import Told
from checks.core.model import Cause, Outcome, Refused, Reply, Stage, Untried, Verdict
from support.make import T0, a_check, a_transcript

_numbers = itertools.count(1)
VERDICTS = {
    Outcome.DELIVERED: Verdict.PASS,
    Outcome.LATE: Verdict.WARN,
    Outcome.DEGRADED: Verdict.WARN,
    Outcome.INDETERMINATE: Verdict.UNKNOWN,
    Outcome.UNOBSERVED: Verdict.UNKNOWN,
    Outcome.LOCAL_FAULT: Verdict.UNKNOWN,
}


def a_refusal(code: int, enhanced: str | None, *, stage: Stage = Stage.RCPT, text: str = "said the server") -> Refused:
    reply = Reply(code=code, enhanced=enhanced, text=text)
    return Refused(stage=stage, cause=Cause.REPLY, reply=reply, transcript=a_transcript())


def a_problem(outcome: Outcome, attempt: Refused | Untried | None = None, *, seq: int | None = None) -> Problem:
    reasons = (str(attempt.reply),) if isinstance(attempt, Refused) and attempt.reply else (outcome.value,)
    number = next(_numbers) if seq is None else seq
    return Problem(
        canary=f"canary{number}", seq=number, outcome=outcome, reasons=reasons, concluded_at=T0, attempt=attempt
    )


def ill(
    name: str = "relay",
    outcome: Outcome = Outcome.REJECTED,
    attempt: Refused | Untried | None = None,
    *,
    times: int = 2,
    verdict: Verdict | None = None,
    **check: Any,
) -> Signs:
    """Make the signs of a check whose newest canaries ended so, *times* in a row."""
    kind = VERDICTS.get(outcome, Verdict.FAIL)
    problem = a_problem(outcome, attempt)
    streaks = {kind: times}
    if kind is Verdict.FAIL:
        streaks[Verdict.WARN] = times
    return Signs(
        check=a_check(name, severity="critical", **check),
        verdict=verdict or kind,
        streaks=streaks,
        began=dict.fromkeys(streaks, T0 - 60.0),
        problems={kind: problem},
        newest=problem.seq,
    )


def well(name: str = "relay", *, times: int = 9, after: Signs | None = None, **check: Any) -> Signs:
    """Make the signs of a check whose newest canaries passed, *times* in a row, *after* it was ill."""
    made = after.check if after is not None else a_check(name, severity="critical", **check)
    problems = after.problems if after is not None else {}
    better = dict.fromkeys((Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN), times)
    return Signs(check=made, verdict=Verdict.PASS, better=better, problems=problems, newest=next(_numbers))


def a_scene(*checks: Signs, now: float = T0, **more: Any) -> Scene:
    known: dict[str, Any] = {
        "paths": {one.check.path: Place(one.check.method, f"{one.check.path}.example", 25) for one in checks},
        "mailboxes": {one.check.mailbox: Place("imap", "imap.example", 993) for one in checks},
    }
    return Scene(site="ams1", now=now, checks=checks, **{**known, **more})


ONCALL = Route(name="oncall", severity="critical")
TEAM = Route(name="team", severity="warning")


@dataclass
class Desk:
    """The rules with a memory, as the ledger gives them one."""

    policy: Policy = field(default_factory=lambda: Policy(routes=(ONCALL, TEAM), group_wait=0.0))
    open: Sequence[Incident] = ()
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    sends: bool = True
    pages: list[Addressed] = field(default_factory=list)
    last: Decision | None = None
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def see(self, scene: Scene) -> list[tuple[str, str, str]]:
        """Decide, remember, and return what was told: event, channel, title."""
        known = {one.id for one in self.open}
        told = [one for one in self.told.values() if one.incident in known]
        decision = decide(scene, self.open, told, self.policy, new_id=lambda: f"i{next(iter(self.ids))}")
        self.open, self.last = decision.open, decision
        for one in decision.pages:
            earlier = self.told.get((one.incident, one.route))
            self.told[one.incident, one.route] = Told(
                incident=one.incident,
                channel=one.route,
                event=one.page.event.value,
                severity=one.page.severity,
                gist=one.gist,
                written_wall=scene.now,
                sent=self.sends or (earlier is not None and earlier.sent),
            )
        self.pages += decision.pages
        return [(one.page.event.value, one.route, one.page.title) for one in decision.pages]


def quiet(scene: Scene, *names: str) -> Scene:
    """Mute checks."""
    return replace(scene, muted=frozenset(names))
