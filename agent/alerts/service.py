"""The alerts of one agent: rules, outbox and heartbeat at work together, as the settings that are in force say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from agent.alerts.channels.port import Channel
from agent.alerts.delivery import Delivery
from agent.alerts.heartbeat import Beat, Heartbeat
from agent.alerts.observe import muted
from agent.alerts.policy import Policy
from agent.alerts.stage import Alerts
from agent.config.alerts import HEARTBEAT
from agent.ledger import Ledger
from agent.ledger.alert_store import AlertStore
from agent.status import AgentView
from agent.supervise import supervise
from checks.ports import Clock


class AlertService:
    """Decides, sends and beats. `apply` replaces what the settings decide; what is open goes on."""

    def __init__(self, *, clock: Clock, ledger: Ledger, view: Callable[[], AgentView]) -> None:
        store = AlertStore(ledger)
        self._clock = clock
        self._view = view
        self._beat: Beat | None = None
        self.policy = Policy()
        self._delivery = Delivery(store=store, clock=clock)
        self.alerts = Alerts(clock=clock, store=store, view=view, policy=lambda: self.policy, wake=self._delivery.wake)
        self._heartbeat = Heartbeat(
            clock=clock,
            store=store,
            view=view,
            beat=lambda: self._beat,
            decided_at=lambda: self.alerts.decided_at,
            muted=self.alerts.muted,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def apply(self, policy: Policy, channels: Mapping[str, Channel], beat: Beat | None) -> None:
        """Work by *policy*, tell *channels*, and beat for *beat* from now on."""
        async with self.alerts.deciding:
            self.policy, self._beat = policy, beat
            await self._delivery.apply(channels, policy.routes)

    @property
    def channels(self) -> list[str]:
        """The names of what is told: the channels, and the heartbeat where there is one."""
        return [*(route.name for route in self.policy.routes), *([HEARTBEAT] if self.policy.heartbeat else [])]

    def maintenance(self, now: datetime) -> Mapping[str, str]:
        """Tell of which checks nobody is told now, and why: because it is maintained."""
        view = self._view()
        return muted([one.check for one in view.checks], view.site, self.policy, (), now)

    def start(self) -> None:
        """Begin; each part is started again by itself if it fails."""
        parts = {"alerts": self.alerts.run, "heartbeat": self._heartbeat.run}
        self._tasks = [
            asyncio.create_task(supervise(name, part, self._clock), name=name) for name, part in parts.items()
        ]

    async def close(self) -> None:
        """Stop; what was not sent is sent by the next agent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._delivery.close()
