"""The heartbeat to a dead man's switch: it stops whenever the agent could not tell that mail has stopped.

A heart that goes on beating while nobody looks is the worst of all false greens. So before every beat stands the
question whether canaries are sent, mailboxes read, verdicts given, the ledger written, and pages taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

import structlog

from agent.alerts.channels.http import Poster
from agent.alerts.channels.port import NotSent
from agent.config.alerts import HEARTBEAT
from agent.ledger import LedgerError
from agent.ledger.alert_store import AlertStore
from agent.ledger.pulse import Pulse
from agent.status import AgentView, MailboxView
from agent.words import age
from checks.errors import LocalFault
from checks.ports import Clock

_log = structlog.get_logger("alerts")
_SLACK = 60.0
_LONGEST_UNTOLD = 300.0
_NAP = 30.0
WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """Where the heartbeat goes, and how often, in seconds. The address is read anew for each beat."""

    url: Callable[[], str]
    every: float


@dataclass(slots=True)
class Patience:
    """Holds nothing against an agent that a reload has brought only now.

    It remembers since when each check is known, by name and interval, and each mailbox, with the time between looks.
    """

    checks: dict[tuple[str, float], float] = field(default_factory=dict)
    mailboxes: dict[str, tuple[float, float]] = field(default_factory=dict)

    def fairly(self, view: AgentView, pulse: Pulse) -> tuple[AgentView, Pulse]:
        """Return what there is to object to.

        A check that is new, or runs at other times, counts from when it was first seen, and so does a mailbox. One that
        has a new watcher has the time that it had, until that has looked.
        """
        wanted = [(one.check.name, one.check.limits.every) for one in view.checks]
        self.checks = {key: self.checks.get(key, view.now_at) for key in wanted}
        self.mailboxes = {one.name: self._mailbox(one, view.now_at) for one in view.mailboxes}
        started_at = {name: max(at, pulse.started_at.get(name) or at) for (name, _), at in self.checks.items()}
        looked_at = {name: max(at, pulse.looked_at.get(name) or at) for name, (at, _) in self.mailboxes.items()}
        mailboxes = [
            replace(one, status=replace(one.status, look_interval=self.mailboxes[one.name][1]))
            for one in view.mailboxes
        ]
        return replace(view, mailboxes=mailboxes), replace(pulse, started_at=started_at, looked_at=looked_at)

    def _mailbox(self, one: MailboxView, now_at: float) -> tuple[float, float]:
        known_at, interval = self.mailboxes.get(one.name, (now_at, 0.0))
        return known_at, one.status.look_interval if one.status.up else max(interval, one.status.look_interval)


@dataclass(slots=True, kw_only=True)
class Heartbeat:
    """Beats for as long as nothing speaks against it.

    `beat` tells where to, None while the settings want none. `decided_at` is when the rules of alerts were last gone
    through (steady timeline), `muted` names the checks about which nobody is to be woken now.
    """

    clock: Clock
    store: AlertStore
    view: Callable[[], AgentView]
    beat: Callable[[], Beat | None]
    decided_at: Callable[[], float]
    muted: Callable[[], Awaitable[Collection[str]]]
    poster: Poster = field(default_factory=Poster)
    _silent: tuple[str, ...] = ()
    _since_at: float | None = None
    _patience: Patience = field(default_factory=Patience)

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            beat = self.beat()
            if beat is None or not self.view().applied:
                await self.clock.sleep(_NAP if beat is None else 1.0)
                continue
            began = self.clock.steady()
            try:
                await self.once(beat)
            except LedgerError as error:  # no beat: that is what it is for
                self._tell((str(error),))
            await self.clock.sleep(max(1.0, began + beat.every - self.clock.steady()))

    async def once(self, beat: Beat) -> None:
        """Beat, unless something speaks against it; what came of it is counted, which proves that the ledger writes."""
        view = self.view()
        if self._since_at is None:
            self._since_at = view.now_at
        view, pulse = self._patience.fairly(view, await self.store.pulse([one.check.name for one in view.checks]))
        against = tuple(
            objections(
                view,
                pulse,
                since_at=self._since_at,
                decided_at=self.decided_at(),
                muted=await self.muted(),
                now=self.clock.now().timestamp(),
            )
        )
        self._tell(against)
        now = self.clock.now().timestamp()
        if against:
            await self.store.beaten(HEARTBEAT, WITHHELD, wall=now)
            return
        await self.store.heartbeat()  # on the disk before the beat: a ledger that fails has none
        try:
            await self.poster.get(beat.url())
        except (NotSent, LocalFault) as problem:
            _log.warning("heartbeat.not_sent", why=str(problem))
            await self.store.beaten(HEARTBEAT, "failed", wall=now)
        else:
            await self.store.beaten(HEARTBEAT, "sent", wall=now)

    def _tell(self, against: tuple[str, ...]) -> None:
        if against and against != self._silent:
            _log.error("heartbeat.withheld", why=list(against))
        elif self._silent and not against:
            _log.info("heartbeat.goes_on")
        self._silent = against


def objections(
    view: AgentView, pulse: Pulse, *, since_at: float, decided_at: float, muted: Collection[str], now: float
) -> Iterator[str]:
    """Say what speaks against a beat; nothing where the agent would notice that mail has stopped.

    Args:
        view: the agent as it is now.
        pulse: its signs of life in the ledger.
        since_at: since when we look; what is older than that was before our time.
        decided_at: when the rules of alerts were last gone through.
        muted: checks about which nobody is to be woken: that their mailbox cannot be read is no news.
        now: Unix time.
    """
    if not view.applied or not view.checks:
        yield "no settings are in force"
    yield from _standing_still(view, pulse, since_at)
    yield from _not_looking(view, pulse, since_at, muted)
    if pulse.judging_at is not None and view.now_at - max(pulse.judging_at, since_at) > _SLACK:
        yield f"a verdict has been due for {age(view.now_at - pulse.judging_at)}"
    if view.now_at - max(decided_at, since_at) > _SLACK:
        yield "the rules of alerts are not gone through"
    if pulse.untold_wall is not None:
        yield from _untold(now - pulse.untold_wall)


def _untold(seconds: float) -> Iterator[str]:
    if seconds > _LONGEST_UNTOLD:
        yield f"no channel has taken a page for {age(seconds)}"
    elif seconds < -_SLACK:
        yield "no channel has taken a page since before the clock was set back"


def _standing_still(view: AgentView, pulse: Pulse, since_at: float) -> Iterator[str]:
    for one in view.checks:
        name, every = one.check.name, one.check.limits.every
        newest_at = max(pulse.started_at.get(name) or since_at, since_at)
        if view.now_at - newest_at > 2 * every + _SLACK:
            yield f"check {name} has sent nothing for {age(view.now_at - newest_at)}, and is to run every {age(every)}"
        elif one.next_due is None:
            yield f"check {name} is not scheduled"


def _not_looking(view: AgentView, pulse: Pulse, since_at: float, muted: Collection[str]) -> Iterator[str]:
    heard = {one.check.mailbox for one in view.checks if one.check.name not in muted}
    for mailbox in view.mailboxes:
        if mailbox.name not in heard:
            continue
        looked_at = max(pulse.looked_at.get(mailbox.name) or since_at, since_at)
        if view.now_at - looked_at > 3 * mailbox.status.look_interval + _SLACK:
            yield f"mailbox {mailbox.name} has not been read for {age(view.now_at - looked_at)}"
