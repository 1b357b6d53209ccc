"""What tells people: whether each channel and the heartbeat can be reached. No page is sent, and nothing is called."""

from __future__ import annotations

import asyncio

from agent.alerts.channels.apprise_url import problem_of
from agent.alerts.channels.http import Poster
from agent.alerts.channels.port import NotSent
from agent.config.secrets import SecretSource
from agent.doctor.finding import Finding, failure, not_tested, ok
from agent.doctor.kit import Kit

_OF_CHANNEL = "While that is so, no page gets through this channel."
_OF_HEARTBEAT = "The watchdog hears nothing, and takes this agent for gone."


async def of_channel(kit: Kit, name: str) -> list[Finding]:
    """Reach the receiver of a channel; of a service of Apprise, only whether its URL is one."""
    channel = kit.settings.alerts.named[name]
    untold = not_tested(
        "alerts.page", f"a page would have to be sent: relaycanary alerts test --channel {name} sends one that says so"
    )
    url = channel.events_url if channel.url is None else SecretSource(channel.url)()
    if channel.kind == "apprise":
        return [await _known(url), untold]
    return [await _reached(Poster(channel.ca_file), url, _OF_CHANNEL), untold]


async def of_heartbeat(kit: Kit) -> list[Finding]:
    """Reach the watchdog, without the call that says that the agent is well."""
    heartbeat = kit.settings.alerts.heartbeat
    if heartbeat is None:
        return []
    untold = not_tested("alerts.heartbeat", "only an agent that works may call: a call says that it does")
    return [await _reached(Poster(), SecretSource(heartbeat.url)(), _OF_HEARTBEAT), untold]


async def _known(url: str) -> Finding:
    problem = await asyncio.to_thread(problem_of, url)
    if not problem:
        return ok("alerts.url", "Apprise knows the service that the URL names")
    return failure(
        "alerts.url",
        problem,
        meaning=_OF_CHANNEL,
        fix="Write it as the page of the service says.",
        source="https://appriseit.com/services/",
    )


async def _reached(poster: Poster, url: str, meaning: str) -> Finding:
    try:
        host = await poster.reach(url)
    except NotSent as problem:
        fix = (
            "Let this machine reach the receiver over HTTPS, and trust its certificate (ca_file for a CA of your own)."
        )
        return failure("alerts.reach", str(problem), meaning=meaning, fix=fix, source="RFC 9110 section 4.2.2")
    return ok("alerts.reach", f"{host} answers")
