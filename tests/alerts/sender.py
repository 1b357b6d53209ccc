"""A process that writes a page down and then sends it, to be killed in between: ``python sender.py LEDGER URL MODE``.

It says ``written`` when the page is on the disk. With the mode "hold" it sends nothing; with "send" it goes on.
"""

from __future__ import annotations

import asyncio
import sys

from support.make import T0

from agent.alerts import page as pages
from agent.alerts.channels.http import Poster
from agent.alerts.channels.webhook import Webhook
from agent.alerts.delivery import Delivery
from agent.alerts.page import Event, Page
from agent.clock import SystemClock
from agent.ledger import Ledger
from agent.ledger.alert_store import AlertStore
from agent.ledger.alerting import NewPage, StoredIncident


def a_page(event: Event = Event.OPENED, incident: str = "i1") -> Page:
    return Page(
        key=f"relaycanary/ams1/{incident}",
        event=event,
        severity="critical",
        site="ams1",
        title="Path relay takes no mail",
        began=T0,
        written=T0,
        closed=T0 + 60 if event is Event.RESOLVED else None,
    )


def new_page(page: Page, incident: str = "i1", channel: str = "hook", **more: str) -> NewPage:
    return NewPage(
        incident=incident,
        channel=channel,
        event=page.event.value,
        severity=more.get("severity", page.severity),
        gist=more.get("gist", ""),
        content=pages.dump(page),
    )


def a_hook(url: str, name: str = "hook") -> Webhook:
    return Webhook(name=name, url=lambda: url, secret=None, clock=SystemClock(), poster=Poster())


async def write(store: AlertStore, *new: NewPage, wall: float | None = None) -> None:
    clock = SystemClock()
    incidents = {one.incident: StoredIncident(id=one.incident, state="{}", opened_wall=T0) for one in new}
    now = clock.now().timestamp() if wall is None else wall
    await store.write(list(incidents.values()), new, at=clock.steady(), wall=now)


async def main(ledger: Ledger, url: str, mode: str) -> None:
    store, clock = AlertStore(ledger), SystemClock()
    await write(store, new_page(a_page()))
    print("written", flush=True)  # noqa: T201 - what the test waits for
    if mode == "hold":
        await asyncio.sleep(3600)
    await Delivery(store=store, clock=clock).apply({"hook": a_hook(url)})
    await asyncio.sleep(3600)


if __name__ == "__main__":
    with Ledger(sys.argv[1]) as opened:
        asyncio.run(main(opened, sys.argv[2], sys.argv[3]))
