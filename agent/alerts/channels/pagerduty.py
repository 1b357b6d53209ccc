"""PagerDuty by its Events API v2: one alert for each incident, which resolves when the incident is over.

Apprise knows PagerDuty too, but makes the key of an alert from the title, or one for all: two incidents at once would
be one alert, and the first that is over would resolve it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.alerts import text
from agent.alerts.channels.http import Poster
from agent.alerts.channels.port import NotSent
from agent.alerts.page import Event, Page
from checks.errors import LocalFault

_LONGEST_SUMMARY = 1024
_LONGEST_DETAIL = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDuty:
    """Sends events to a service's integration. *url* is that of the service region; the key is read for each page."""

    name: str
    url: str
    routing_key: Callable[[], str]
    poster: Poster

    async def send(self, page: Page, number: int) -> None:  # noqa: ARG002 - PagerDuty knows an alert by its key
        """Hand one page over; a test raises an alert and resolves it."""
        try:
            key = self.routing_key()
        except LocalFault as fault:
            raise NotSent(str(fault)) from None
        actions = {Event.RESOLVED: ("resolve",), Event.TEST: ("trigger", "resolve")}.get(page.event, ("trigger",))
        for action in actions:
            content = json.dumps(event(page, action, key)).encode()
            await self.poster.post(f"{self.url}/v2/enqueue", content, {"Content-Type": "application/json"}, quote=True)


def event(page: Page, action: str, routing_key: str) -> dict[str, Any]:
    """Make one event (https://developer.pagerduty.com/docs/send-alert-event)."""
    known = {"routing_key": routing_key, "event_action": action, "dedup_key": page.key}
    if action == "resolve":
        return known
    links = [
        {"href": href, "text": words}
        for href, words in ((page.evidence, "Evidence"), (page.status, "Status page"))
        if href
    ]
    details = {
        "what it is": text.body(page),
        "in the words of the other side": text.harmless(page.said),
        "what it means": page.meaning,
        "what to do": page.fix,
        "delivering now": ", ".join(page.works) or "no path is known to",
    }
    return {
        **known,
        "client": "relaycanary",
        **({"client_url": page.status} if page.status else {}),
        **({"links": links} if links else {}),
        "payload": {
            "summary": text.subject(page)[:_LONGEST_SUMMARY],
            "source": page.site,
            "severity": page.severity,
            "timestamp": datetime.fromtimestamp(page.began, UTC).isoformat(timespec="seconds"),
            "component": ", ".join(sorted({one.path for one in page.affected})) or "relaycanary",
            "group": page.site,
            "class": "mail flow",
            "custom_details": {name: words[:_LONGEST_DETAIL] for name, words in details.items() if words},
        },
    }
