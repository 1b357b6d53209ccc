"""Put the scene together from what the ledger has on record and what the agent knows of itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from agent.alerts.policy import Policy
from agent.alerts.scene import Place, Scene
from agent.alerts.signs import KINDS, UNKNOWN_AFTER, Signs
from agent.ledger import Silence, Snapshot
from agent.ledger.alerting import Reading
from agent.status import AgentView, MailboxView
from checks.core import verdict
from checks.core.model import Check, Verdict

_SLACK = 60.0
"""What a mailbox may be behind its time, beside three times its interval, in seconds: as the rules of Prometheus."""
_AWAY = 60.0
"""After how many seconds without a look of ours we were away: the machine slept, or nobody could read the ledger."""


@dataclass(slots=True)
class Observer:
    """Looks at the agent again and again, and remembers since when nobody knows. Moments on the steady timeline.

    `blind_at` is since when each mailbox cannot be read, `unknown_at` since when it is not known how each of `checks`
    stands, which are as they were at the last look. It looks since `began_at` without a break, last at `looked_at`.
    """

    blind_at: dict[str, float] = field(default_factory=dict)
    unknown_at: dict[str, float] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    began_at: float | None = None
    looked_at: float = 0.0

    def scene(self, view: AgentView, reading: Reading, policy: Policy, now: datetime) -> Scene:
        """Tell how everything stands now."""
        began_at = self._began_at(view)
        checks = [one.check for one in view.checks]
        _keep(self.blind_at, {one.name for one in view.mailboxes})
        known = {one.name: one for one in self.checks}
        _keep(self.unknown_at, {one.name for one in checks if verdict.proves(known.get(one.name, one), one)})
        self.checks = checks
        blind = {one.name: self._blind_for(one, view, reading.snapshot, began_at) for one in view.mailboxes}
        return Scene(
            site=view.site,
            now=now.timestamp(),
            checks=[self._signs(check, view, reading, blind) for check in checks],
            paths={one.name: Place(one.method, one.endpoint.host, one.endpoint.port) for one in view.paths},
            mailboxes={one.name: _mailbox(one) for one in view.mailboxes},
            credentials=policy.credentials,
            muted=frozenset(muted(checks, view.site, policy, reading.silences, now)),
        )

    def _began_at(self, view: AgentView) -> float:
        """Tell since when we look without a break. While we were away, nobody could see for how long anything lasts."""
        away = view.now_at - self.looked_at
        self.looked_at = view.now_at
        if self.began_at is None:
            self.began_at = view.now_at
        elif away > _AWAY:
            self.began_at = view.now_at
            for known in (self.blind_at, self.unknown_at):
                known.update({name: at + away for name, at in known.items()})
        return self.began_at

    def _blind_for(self, mailbox: MailboxView, view: AgentView, snapshot: Snapshot, began_at: float) -> float | None:
        """Tell for how long nobody has been able to look into a mailbox; None where somebody does.

        What is on record from before we began says nothing: the agent was away. A watcher that has not looked yet, as
        after a reload, is blind since we saw it first.
        """
        status, looked_at = mailbox.status, snapshot.looked_at.get(mailbox.name)
        if status.up:
            since_at = max(looked_at or began_at, began_at) + 3 * status.look_interval + _SLACK
        else:
            since_at = view.now_at if status.since_at is None else max(status.since_at, began_at)
        if status.up and since_at >= view.now_at:
            self.blind_at.pop(mailbox.name, None)
            return None
        known_at = self.blind_at.get(mailbox.name)
        if known_at is None or (looked_at is not None and looked_at > known_at):
            self.blind_at[mailbox.name] = since_at
        return max(0.0, view.now_at - self.blind_at[mailbox.name])

    def _unknown_for(self, check: Check, snapshot: Snapshot, view: AgentView, blind_for: float | None) -> float | None:
        """Tell for how long it is not known how a check stands; None where it is.

        Mail that is in time yet is no sign of anything: while it is waited for, it begins so late that it is not told
        before the mail is late. Once nothing is waited for any more it has begun, now at the latest. What has been told
        already goes on.
        """
        found, why = verdict.current(snapshot.standing_of(check), view.now_at)
        if found is not Verdict.UNKNOWN and blind_for is None:
            self.unknown_at.pop(check.name, None)
            return None
        since_at = min(self.unknown_at.get(check.name, view.now_at), view.now_at - (blind_for or 0.0))
        oldest_at = _in_time(check, snapshot, view.now_at) if blind_for is None and why != verdict.UNREAD else None
        if oldest_at is not None and view.now_at - since_at < UNKNOWN_AFTER:
            since_at = max(since_at, oldest_at + max(0.0, check.limits.late_after - UNKNOWN_AFTER))
        self.unknown_at[check.name] = since_at
        return max(0.0, view.now_at - since_at)

    def _signs(self, check: Check, view: AgentView, reading: Reading, blind: Mapping[str, float | None]) -> Signs:
        snapshot = reading.snapshot
        found, _ = verdict.current(snapshot.standing_of(check), view.now_at)
        blind_for = blind.get(check.mailbox)
        standing, in_flight = snapshot.newest_of(check), snapshot.in_flight_of(check)
        overdue = in_flight.overdue if found is not Verdict.UNKNOWN else 0
        oldest_at = in_flight.oldest_at
        signs = Signs(
            check=check,
            verdict=found,
            overdue=overdue,
            overdue_since=oldest_at + view.wall_offset if overdue and oldest_at is not None else None,
            blind_for=blind_for,
            unknown_for=self._unknown_for(check, snapshot, view, blind_for),
        )
        if standing is None:
            return signs  # what came of another check by the same name says nothing about this one
        return Signs(
            check=check,
            verdict=found,
            streaks=standing.streaks,
            better={kind: reading.better.get((check.name, kind), 0) for kind in KINDS},
            began={kind: reading.began[kind][check.name] for kind in KINDS if check.name in reading.began[kind]},
            problems=standing.problems,
            overdue=signs.overdue,
            overdue_since=signs.overdue_since,
            blind_for=signs.blind_for,
            unknown_for=signs.unknown_for,
            newest=standing.seq,
        )


def muted(
    checks: Sequence[Check], site: str, policy: Policy, silences: Sequence[Silence], now: datetime
) -> Mapping[str, str]:
    """Tell, by check, why nobody is to be woken for it now: under maintenance, or silenced."""
    windows = [(one, until) for one in policy.windows if (until := one.until(now)) is not None]
    held = [one for one in silences if one.holds(now.timestamp())]
    found: dict[str, str] = {}
    for check in checks:
        for window, until in windows:
            if window.fits(check=check.name, path=check.path):
                found.setdefault(check.name, f"maintenance {window.name} until {until:%a %H:%M %Z}")
        for silence in held:
            if silence.fits(check=check.name, path=check.path, site=site):
                found.setdefault(check.name, f"silenced by {silence.author}: {silence.reason}")
    return found


def _keep(known: dict[str, float], names: Collection[str]) -> None:
    for gone in known.keys() - names:
        del known[gone]


def _in_time(check: Check, snapshot: Snapshot, now_at: float) -> float | None:
    """Tell when the oldest canary of a check was started that is on its way; None where it is late, or there is none.

    None, too, where the newest that is concluded came to nothing: what is known is that nobody could know.
    """
    oldest_at = snapshot.in_flight_of(check).oldest_at
    if oldest_at is None or snapshot.standing_of(check).newest is Verdict.UNKNOWN:
        return None
    return oldest_at if now_at - oldest_at < check.limits.late_after else None


def _mailbox(one: MailboxView) -> Place:
    status = one.status
    words = "" if status.up else ": ".join(part for part in (status.reason, status.detail) if part)
    return Place(one.kind, one.endpoint.host, one.endpoint.port, words)
