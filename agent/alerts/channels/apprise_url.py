"""The hundred and more services that Apprise knows, each by a URL: chat, SMS, push, mail, on-call."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agent.alerts import text
from agent.alerts.channels.port import NotSent
from agent.alerts.page import Event, Page
from checks.errors import LocalFault
from checks.wire.threads import in_own_thread

_KINDS = {"critical": "failure", "warning": "warning", "info": "info"}
_CODE = re.compile(r"\berror=([0-9]{3})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseUrl:
    """Sends pages to an Apprise URL, which is read anew for each of them."""

    name: str
    url: Callable[[], str]

    async def send(self, page: Page, number: int) -> None:  # noqa: ARG002 - Apprise has no way to tell it
        """Hand one page over."""
        try:
            await in_own_thread(self._send, page)
        except LocalFault as fault:
            raise NotSent(str(fault)) from None

    def _send(self, page: Page) -> None:
        # Apprise escapes plain text for the format that each service takes, so what servers said stays text
        service = _service(self.url())
        kind = "success" if page.event is Event.RESOLVED else "info" if page.event is Event.TEST else None
        done = service.notify(
            title=text.subject(page),
            body=text.body(page),
            notify_type=kind or _KINDS[page.severity],
            body_format="text",
        )
        if not done:
            raise NotSent(_why(done))


def problem_of(url: str) -> str:
    """Say why Apprise does not know what to do with *url*; empty where it does."""
    try:
        _service(url)
    except NotSent as problem:
        return str(problem)
    return ""


def _service(url: str) -> Any:
    import apprise  # noqa: PLC0415 - a second and 30 MB, for those who use it only

    # what it logs may hold parts of a URL; what went wrong is told in our own words
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    asset = apprise.AppriseAsset(app_id="relaycanary", app_desc="relaycanary", app_url="", async_mode=False)
    service = apprise.Apprise(asset=asset)
    if not service.add(url):
        raise NotSent("the URL of this channel is none that Apprise knows, or it lacks a part")
    return service


def _why(done: Any) -> str:
    """Say why Apprise did not send: by the status of HTTP, if there was one; its own words may hold parts of a URL."""
    for result in getattr(done, "results", ()):
        for attempt in getattr(result, "attempts", ()):
            for entry in attempt.logs:
                if found := _CODE.search(entry.message):
                    return f"{result.name} answered {found[1]}"
            if attempt.status.name == "TIMEOUT":
                return f"{result.name} did not answer in time"
        return f"{result.name} could not be reached, or said no without saying why"
    return "Apprise did not send it"
