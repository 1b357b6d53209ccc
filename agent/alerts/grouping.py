"""From troubles to incidents: which one a trouble belongs to, when it is over. Pure.

A check stays in its incident until it has recovered: what was told as one is not told again in parts. Incidents that
turn out to have one cause become one, the oldest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.alerts.correlation import ROWS, Finding
from agent.alerts.incident import Incident, Member
from agent.alerts.policy import rank
from agent.alerts.scene import Scene
from agent.alerts.signs import Ill
from agent.alerts.story import tell
from checks.core.model import Outcome, Verdict

_BLIND_FOR_LONG = 3600.0
_MINUTE = 60.0
_PLACES = {row.name: place for place, row in enumerate(ROWS)}
_EVERYWHERE = {row.name for row in ROWS if row.everywhere}

Key = tuple[str, bool]
"""A trouble: the name of the check, and whether it is that nobody knows."""
NewId = Callable[[], str]
"""Makes the id of a new incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """All incidents after the grouping, those that are over included. `merged` tells into which one others went."""

    incidents: Sequence[Incident]
    merged: Mapping[str, str]


def group(
    found: Sequence[Finding], before: Sequence[Incident], scene: Scene, *, told: Collection[str], new_id: NewId
) -> Grouped:
    """Give every lasting trouble its incident.

    Args:
        found: the troubles by their cause, lasting or not.
        before: the open incidents, oldest first.
        scene: the moment.
        told: the ids of those of which somebody has been told.
        new_id: makes the id of a new incident.
    """
    lasting = {key_of(ill): ill for finding in found for ill in finding.ills if ill.lasting}
    incidents = {one.id: _refreshed(one, lasting, scene) for one in before}
    known = {one.id: one for one in before}
    well = _newest_well(found, scene)
    merged: dict[str, str] = {}
    for finding in found:
        mine = [ill for ill in finding.ills if ill.lasting]
        if not mine:
            continue
        keys = {key_of(ill) for ill in mine}
        owners = [one for one in incidents.values() if keys & {_key(member) for member in one.ill}]
        first = owners[0] if owners else _new(finding, mine, scene, new_id)
        grown = _grow(first, mine, owners, scene)
        was = known.get(first.id, first)
        if _may_rename(grown, finding, mine, was, well=well if first.id in told else None):
            grown = replace(grown, cause=finding.row.name, subject=finding.subject, story=tell(finding, scene))
        incidents[first.id] = grown
        for other in owners[1:]:
            merged[other.id] = first.id
            del incidents[other.id]
    weighed = [_weighed(one, lasting) for one in incidents.values()]
    closed = [one if one.ill else replace(one, closed=scene.now) for one in weighed]
    gone = [replace(one, closed=scene.now) for one in before if one.id in merged]
    return Grouped(incidents=[*closed, *gone], merged=merged)


def _newest_well(found: Sequence[Finding], scene: Scene) -> int:
    """Tell the place of the newest canary of all checks that are in no trouble, in the order of start."""
    ill = {one.check.name for finding in found for one in finding.ills}
    return max((one.newest for one in scene.checks if one.check.name not in ill), default=0)


def key_of(ill: Ill) -> Key:
    """Tell which trouble it is."""
    return ill.check.name, ill.kind is Verdict.UNKNOWN


def severity_of(ill: Ill, lasted: float) -> str:
    """Say how bad a trouble is. That nobody knows has *lasted* for so many seconds, over restarts of the agent.

    What fails is as bad as its check says, and so is what is in doubt, and what the agent cannot try. What arrives late
    or not as it should is a warning at most. Not seeing is a warning for an hour; then nothing would tell of mail that
    vanishes.
    """
    own = ill.check.severity
    if ill.kind is Verdict.FAIL or (ill.kind is Verdict.UNKNOWN and ill.outcome is Outcome.INDETERMINATE):
        return own
    if ill.kind is Verdict.UNKNOWN and lasted >= _BLIND_FOR_LONG:
        return own
    return min(own, "warning", key=rank)


def _weighed(incident: Incident, lasting: Mapping[Key, Ill]) -> Incident:
    """Say how bad each of its troubles is: together they may be worse than each by itself."""
    everywhere = incident.cause in _EVERYWHERE
    members = tuple(
        replace(one, severity=ill.check.severity if everywhere else severity_of(ill, one.lasted or 0.0))
        if one.recovered is None and (ill := lasting.get(_key(one))) is not None
        else one
        for one in incident.members
    )
    return replace(incident, members=members)


def _key(member: Member) -> Key:
    return member.check, member.unknown


def _member(ill: Ill, scene: Scene) -> Member:
    signs = ill.signs
    since = signs.began.get(ill.kind)
    if since is None and ill.kind is Verdict.WARN:
        since = signs.overdue_since
    if since is None:
        since = scene.now - signs.dark_for
    lasted = _minutes(signs.dark_for)
    return Member(
        check=ill.check.name,
        path=ill.check.path,
        kind=ill.kind,
        severity=severity_of(ill, lasted),
        since=min(since, scene.now),
        lasted=lasted,
        counted=lasted,
        of=ill.check,
    )


def _minutes(seconds: float) -> float:
    return seconds // _MINUTE * _MINUTE


def _counted(member: Member, ill: Ill) -> Member:
    """Go on counting for how long nobody knows. An agent that was started anew begins at 0, and what it adds counts.

    The time in which no agent ran does not: nobody has seen then that nobody could look. Of what an earlier version
    wrote, the severity tells.
    """
    if not member.unknown:
        return member
    seconds = _minutes(ill.signs.dark_for)
    if ill.signs.unknown_for is None and ill.signs.blind_for is None:
        return replace(member, lasted=0.0, counted=0.0)
    before = member.lasted
    if before is None:
        before = _BLIND_FOR_LONG if rank(member.severity) > rank("warning") else 0.0
    more = seconds - member.counted if seconds >= member.counted else seconds
    return replace(member, lasted=before + more, counted=seconds)


def _refreshed(incident: Incident, lasting: Mapping[Key, Ill], scene: Scene) -> Incident:
    """Bring the members up to date: how bad they are now, and which of them are over."""
    now = {one.check.name: one for one in scene.checks}
    mended, members = incident.mended, []
    for member in incident.members:
        signs, ill = now.get(member.check), lasting.get(_key(member))
        if member.recovered is not None:
            members.append(member)
        elif signs is None or not member.concerns(signs.check):
            members.append(replace(member, recovered=scene.now, gone=True))
        elif ill is not None:
            members.append(_counted(replace(member, kind=ill.kind), ill))
        else:
            mended = max(mended, signs.newest)
            members.append(replace(member, recovered=scene.now))
    return replace(incident, members=tuple(members), mended=mended)


def _new(finding: Finding, mine: Sequence[Ill], scene: Scene, new_id: NewId) -> Incident:
    return Incident(
        id=new_id(),
        cause=finding.row.name,
        subject=finding.subject,
        story=tell(finding, scene),
        opened=scene.now,
        grown=scene.now,
        members=tuple(_member(ill, scene) for ill in mine),
    )


def _grow(incident: Incident, mine: Sequence[Ill], owners: Sequence[Incident], scene: Scene) -> Incident:
    """Take the troubles *mine* into *incident*, and all of the other *owners*."""
    others = [one for owner in owners[1:] for one in owner.members]
    joined = [one for one in others if one.recovered is None]
    known = {_key(one) for one in (*incident.ill, *joined)}
    joined += [_member(ill, scene) for ill in mine if key_of(ill) not in known]
    again = {_key(one) for one in joined}
    over = [one for one in others if one.recovered is not None]
    kept = [one for one in (*incident.members, *over) if one.recovered is None or _key(one) not in again]
    return replace(incident, members=(*kept, *joined), grown=scene.now if joined else incident.grown)


def _may_rename(incident: Incident, finding: Finding, mine: Sequence[Ill], before: Incident, well: int | None) -> bool:
    """Tell whether the cause that is found now is a better name for the incident than the one it has.

    While nobody has been told of it (*well* is None), it is called by what it is now. Later it is where the incident
    has grown or become worse; and where a part of it is over, once everything that is left has been bad again after the
    newest canary that was well: sooner, it may be about to recover too.
    """
    whole = {key_of(ill) for ill in mine} == {_key(one) for one in incident.ill}
    if well is None:
        return whole
    place, was = _PLACES[finding.row.name], _PLACES.get(incident.cause, len(_PLACES))
    if place < was:
        fails = sum(one.kind is Verdict.FAIL for one in incident.ill)
        failed = sum(one.kind is Verdict.FAIL for one in before.ill)
        return len(incident.ill) > len(before.ill) or fails > failed
    return whole and place > was and all(ill.newest > max(well, incident.mended) for ill in mine)
