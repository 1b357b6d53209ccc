"""A page as plain text, for people: short lines, the worst first. Channels escape it for their own format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from agent.alerts.page import Event, Page
from agent.log import plain
from agent.words import age

_MOST_CHECKS = 12
_LONGEST_TITLE = 200
_MENTION = re.compile(r"([@<])(?=everyone|here\b|channel|all\b|at>|[!@#&])", re.IGNORECASE)
_HEADS = {
    Event.OPENED: "{severity}",
    Event.WORSE: "{severity}, worse than before",
    Event.CHANGED: "{severity}, more is affected now",
    Event.RESOLVED: "RESOLVED",
    Event.TEST: "TEST",
}


def subject(page: Page) -> str:
    """Write the one line that a lock screen shows."""
    head = _HEADS[page.event].format(severity=page.severity.upper())
    site = "" if page.title.endswith(f"site {page.site}") else f" [{page.site}]"
    return f"{head}: {harmless(page.title)}{site}"[:_LONGEST_TITLE]


def body(page: Page) -> str:
    """Write everything else: what is broken since when, the words, what they mean, what to do, what still works."""
    return "\n\n".join(part for part in _parts(page) if part)


def harmless(text: str) -> str:
    """Take away what text of others could do in a chat: control characters, and calling everybody by name."""
    return _MENTION.sub("\\1\u200b", plain(text))


def moment(at: float) -> str:
    """Write a moment so that it can be read at night and in any time zone."""
    return f"{datetime.fromtimestamp(at, UTC):%a %Y-%m-%d %H:%M:%S} UTC"


def _parts(page: Page) -> Iterator[str]:
    over = page.event is Event.RESOLVED
    yield _when(page)
    yield harmless(page.note)
    if page.said:
        yield f"{'It had been said' if over else 'In the words of the other side'}: {harmless(page.said)}"
    if page.meaning and not over:
        yield f"What it means: {harmless(page.meaning)}"
    if page.fix and not over:
        yield f"What to do: {harmless(page.fix)}"
    yield "\n".join(_checks(page))
    yield _working(page)
    yield "\n".join(_links(page))


def _when(page: Page) -> str:
    if page.event is Event.TEST:
        return f"Written on {moment(page.written)}."
    if page.closed is not None:
        return f"It lasted from {moment(page.began)} until {moment(page.closed)}, {age(page.closed - page.began)}."
    return f"Since {moment(page.began)}, for {age(page.written - page.began)}."


def _checks(page: Page) -> Iterator[str]:
    if not page.affected:
        return
    yield "Affected:" if page.event is not Event.RESOLVED else "How it is now:"
    for one in page.affected[:_MOST_CHECKS]:
        of = "" if one.check == one.path else f" (path {one.path})"
        yield f"- check {one.check}{of}: {harmless(one.state)}"
    if (more := len(page.affected) - _MOST_CHECKS) > 0:
        yield f"- and {more} more"


def _working(page: Page) -> str:
    if page.event is Event.TEST:
        return ""
    if not page.works:
        return "No path is known to deliver now."
    paths = ", ".join(page.works)
    return f"Delivering now: {'path' if len(page.works) == 1 else 'paths'} {paths}."


def _links(page: Page) -> Iterator[str]:
    if page.evidence:
        yield f"Evidence: {page.evidence}"
    if page.status:
        yield f"Status: {page.status}"
    if page.source and page.event is not Event.RESOLVED:
        yield f"Source: {harmless(page.source)}"
