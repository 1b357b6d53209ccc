"""The rules of alerts: from how the checks stand and what was told before, to incidents and pages. Pure.

The same input gives the same answer, and the answer written down and asked for again gives nothing new: so an agent
that was killed between deciding and writing decides the same again, and tells nobody twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.alerts.correlation import correlate
from agent.alerts.grouping import Grouped, NewId, group
from agent.alerts.incident import Incident, Member
from agent.alerts.page import Affected, Event, Page
from agent.alerts.policy import Policy, Route, rank
from agent.alerts.scene import Scene
from agent.alerts.signs import KINDS, Ill, Signs, ills
from agent.ledger.alerting import Told
from agent.words import OUTCOMES
from checks.core.model import Verdict

_BETWEEN_CHANGES = 300.0
"""The least time between two pages about an incident that only grows, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressed:
    """A page and whom it is for. `gist` is what it is about: a page with the same gist is no news."""

    incident: str
    route: str
    gist: str
    page: Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be written down: incidents that are new or changed, and pages. `open` are those still open.

    `again_in` is in how many seconds time alone makes a page due that waits for what fails with it; None: in none.
    """

    changed: Sequence[Incident]
    pages: Sequence[Addressed]
    open: Sequence[Incident]
    again_in: float | None = None


def decide(
    scene: Scene, before: Sequence[Incident], told: Sequence[Told], policy: Policy, *, new_id: NewId
) -> Decision:
    """Decide what is wrong, and who is to be told.

    Args:
        scene: how everything stands.
        before: the open incidents, oldest first.
        told: the newest page of each of them, by channel.
        policy: what the settings say.
        new_id: makes the id of a new incident.
    """
    found = [ill for signs in scene.checks for ill in _ills(signs, before, policy)]
    known = {one.incident for one in told}
    grouped = group(correlate(found, scene), before, scene, told=known, new_id=new_id)
    earlier = {one.id: one for one in before}
    newest = {(one.incident, one.channel): one for one in told}
    pages = [
        addressed
        for incident in grouped.incidents
        for route in policy.routes
        if (addressed := _address(incident, route, newest.get((incident.id, route.name)), scene, grouped, policy))
    ]
    changed = [
        one for one in grouped.incidents if one != earlier.get(one.id) and (one.closed is None or one.id in earlier)
    ]
    still_open = [one for one in grouped.incidents if one.closed is None]
    waits = [
        one.opened + patience - scene.now
        for one in still_open
        if not _over(one.opened, patience := _patience(one, scene, policy), scene.now)
    ]
    return Decision(
        changed=changed,
        pages=pages,
        open=still_open,
        again_in=min(waits, default=None),
    )


def _ills(signs: Signs, before: Sequence[Incident], policy: Policy) -> list[Ill]:
    mine = [one for incident in before for one in incident.ill if one.concerns(signs.check)]
    kinds = {one.kind for one in mine}
    was = {kind: kind in kinds for kind in KINDS}
    was[Verdict.WARN] |= was[Verdict.FAIL]  # what fails is not as it should be
    return ills(signs, was, after=policy.after, recover_after=policy.recover_after)


def severity(incident: Incident) -> str:
    """Say how bad an incident is: as bad as the worst of what lasts."""
    return max((one.severity for one in incident.ill), key=rank, default="info")


def _address(
    incident: Incident, route: Route, last: Told | None, scene: Scene, grouped: Grouped, policy: Policy
) -> Addressed | None:
    """Make the page that *route* is owed, given the last one; None if it is owed none."""
    event = _event(incident, route, last, scene, policy)
    if event is None:
        return None
    bad = severity(incident) if event is not Event.RESOLVED or last is None else last.severity
    note = _note(incident, event, last, grouped)
    page = compose(incident, event, scene, policy, severity=bad, note=note)
    if event in {Event.OPENED, Event.WORSE, Event.CHANGED} and last is not None and not last.sent:
        page = replace(page, event=Event.OPENED)  # what was written before never got there
    return Addressed(incident=incident.id, route=route.name, gist=_gist(incident), page=page)


def _event(incident: Incident, route: Route, last: Told | None, scene: Scene, policy: Policy) -> Event | None:
    knows = last is not None and last.event != Event.RESOLVED
    wanted = incident.closed is None and rank(severity(incident)) >= rank(route.severity)
    if knows and not wanted:
        return Event.RESOLVED
    if not wanted or _quiet(incident, scene):
        return None
    patience = _patience(incident, scene, policy)
    if last is None or not knows:
        return Event.OPENED if _over(incident.opened, patience, scene.now) else None
    if rank(severity(incident)) > rank(last.severity):
        return Event.WORSE
    waited = _over(incident.grown, patience, scene.now) and _over(last.written_wall, _BETWEEN_CHANGES, scene.now)
    return Event.CHANGED if waited and last.gist != _gist(incident) else None


def _over(since: float, seconds: float, now: float) -> bool:
    """Tell whether a wait that began at *since* is over.

    What began later than now began before the clock was set back, nobody knows how long ago: a page is not held back by
    the step.
    """
    return not since <= now < since + seconds


def _quiet(incident: Incident, scene: Scene) -> bool:
    """Tell whether nobody is to be told: all that is ill is silenced or under maintenance."""
    return all(one.check in scene.muted for one in incident.ill)


def _patience(incident: Incident, scene: Scene, policy: Policy) -> float:
    """Say for how long to wait for what fails together with it: no longer than until its checks are run again."""
    mine = {one.check for one in incident.ill}
    every = [one.check.limits.every for one in scene.checks if one.check.name in mine]
    return min([policy.group_wait, *every])


def _gist(incident: Incident) -> str:
    members = sorted({f"{one.check}?" if one.unknown else one.check for one in incident.members})
    return f"{incident.cause} {incident.subject}: {' '.join(members)}"


def _note(incident: Incident, event: Event, last: Told | None, grouped: Grouped) -> str:
    if event is not Event.RESOLVED:
        return ""
    parts = []
    if incident.id in grouped.merged:
        other = next(one for one in grouped.incidents if one.id == grouped.merged[incident.id])
        parts.append(f"It turned out to be part of something larger, and goes on there: {other.story.title}.")
    elif incident.closed is None:
        parts.append(f"It does not fail any more, but is not well yet: {incident.story.title}.")
    elif all(one.gone for one in incident.members if one.recovered == incident.closed):
        parts.append("The settings do not have the check as it was any more: nothing has shown that it is well.")
    if last is not None and not last.sent:
        parts.append("This channel took no page while it lasted, so nobody was told here.")
    return " ".join(parts)


def compose(incident: Incident, event: Event, scene: Scene, policy: Policy, *, severity: str, note: str = "") -> Page:
    """Write a page about *incident*."""
    story = incident.story
    return Page(
        key=f"relaycanary/{scene.site}/{incident.id}",
        event=event,
        severity=severity,
        site=scene.site,
        title=story.title,
        began=incident.began,
        written=scene.now,
        closed=incident.closed,
        said=story.said,
        meaning=story.meaning,
        fix=story.fix,
        source=story.source,
        note=note,
        affected=_affected(incident, scene),
        works=tuple(scene.working()),
        evidence=_link(policy, f"canaries/{story.canary}") if story.canary else "",
        status=_link(policy, ""),
    )


def _affected(incident: Incident, scene: Scene) -> tuple[Affected, ...]:
    signs = {one.check.name: one for one in scene.checks}
    return tuple(
        Affected(check=one.check, path=one.path, state=_state(one, signs.get(one.check)))
        for one in sorted(incident.members, key=lambda member: (member.path, member.check))
    )


def _state(member: Member, signs: Signs | None) -> str:
    if signs is None or not member.concerns(signs.check):
        return "no longer configured"
    problem, in_a_row = signs.problems.get(signs.verdict), signs.streaks.get(signs.verdict, 0)
    if problem is not None and in_a_row:
        return f"{signs.verdict.value}, {OUTCOMES[problem.outcome]}{f', {in_a_row} in a row' if in_a_row > 1 else ''}"
    if member.recovered is not None and signs.verdict is not Verdict.PASS:
        return f"{signs.verdict.value} now"
    return signs.verdict.value


def _link(policy: Policy, path: str) -> str:
    return f"{policy.status_url.rstrip('/')}/{path}" if policy.status_url else ""
