"""Stage: alerts. Looks at how everything stands, decides, writes down incidents and pages, and wakes who sends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from agent.alerts import incident as incidents
from agent.alerts import page as pages
from agent.alerts.incident import Incident
from agent.alerts.observe import Observer, muted
from agent.alerts.policy import Policy
from agent.alerts.rules import Decision, decide
from agent.clock import news_or_time
from agent.ledger import LedgerError
from agent.ledger.alert_store import AlertStore
from agent.ledger.alerting import NewPage, StoredIncident
from agent.status import AgentView
from checks.core.model import Canary, Conclusion, Verdict
from checks.ports import Clock

_log = structlog.get_logger("alerts")
_REGULAR, _SHORTEST = 5.0, 1.0
"""Seconds between two decisions: at most, since time alone may change something, and at least."""


@dataclass(slots=True, kw_only=True)
class Alerts:
    """Decides what is wrong and who is told; an onlooker of the pipeline.

    `policy` is what the settings say now; `wake` is called when there may be something to send. Whoever holds
    `deciding` may change the policy: no page is written any more by the one before.
    """

    clock: Clock
    store: AlertStore
    view: Callable[[], AgentView]
    policy: Callable[[], Policy]
    wake: Callable[[], None]
    decided_at: float = float("-inf")
    deciding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _observer: Observer = field(default_factory=Observer)
    _open: tuple[Incident, ...] | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def sent(self, canary: Canary) -> None:
        """Nothing is to be told of a canary that is out."""

    def concluded(self, _canary: Canary, conclusion: Conclusion) -> None:
        """Decide soon: a canary did not pass, or one did while something is wrong."""
        if conclusion.verdict is not Verdict.PASS or self._open:
            self._news.set()

    async def run(self) -> None:
        """Decide for ever."""
        while True:
            self._news.clear()
            pause = _REGULAR
            try:
                pause = await self.once()
            except LedgerError as error:
                _log.error("alerts.ledger_failed", why=str(error))
            await self.clock.sleep(_SHORTEST)
            await news_or_time(self._news, pause - _SHORTEST)

    async def once(self) -> float:
        """Decide, and write it down; return for how many seconds nothing changes, unless news come."""
        async with self.deciding:
            return await self._once()

    async def _once(self) -> float:
        if not self.policy().wanted:
            self._open, self._observer = None, Observer()
            return _REGULAR
        view = self.view()
        if not view.applied:
            return _SHORTEST
        before = self._open
        if before is None:
            before = tuple(incidents.load(state) for state in await self.store.open_states())
        decision = await self._decide(view, before)
        if decision.changed or decision.pages:
            await self.store.write(
                [_stored(one) for one in decision.changed],
                [_new(one.incident, one.route, one.gist, one.page) for one in decision.pages],
                at=self.clock.steady(),
                wall=self.clock.now().timestamp(),
            )
        self._open = tuple(decision.open)
        self.decided_at = self.clock.steady()
        _tell(decision, before)
        if decision.pages:
            self.wake()
        return min(_REGULAR, decision.again_in) if decision.again_in is not None else _REGULAR

    async def muted(self) -> Collection[str]:
        """Name the checks about which nobody is to be woken now."""
        view, now = self.view(), self.clock.now()
        silences = await self.store.ledger.silences(ending_after=now.timestamp())
        return muted([one.check for one in view.checks], view.site, self.policy(), silences, now).keys()

    async def _decide(self, view: AgentView, before: tuple[Incident, ...]) -> Decision:
        policy, now = self.policy(), self.clock.now()
        reading = await self.store.read(
            troubled={member.check for one in before for member in one.ill},
            enough=policy.recover_after,
            now=now.timestamp(),
        )
        scene = self._observer.scene(view, reading, policy, now)
        return decide(scene, before, reading.told, policy, new_id=lambda: secrets.token_hex(6))


def _stored(one: Incident) -> StoredIncident:
    return StoredIncident(id=one.id, state=incidents.dump(one), opened_wall=one.opened, closed_wall=one.closed)


def _new(incident: str, route: str, gist: str, page: pages.Page) -> NewPage:
    return NewPage(
        incident=incident,
        channel=route,
        event=page.event.value,
        severity=page.severity,
        gist=gist,
        content=pages.dump(page),
    )


def _tell(decision: Decision, before: Collection[Incident]) -> None:
    """Log what opened and what closed."""
    known = {one.id for one in before}
    for one in decision.changed:
        if one.closed is not None:
            _log.info("incident.closed", incident=one.id, what=one.story.title)
        elif one.id not in known:
            _log.warning("incident.opened", incident=one.id, cause=one.cause, what=one.story.title)
