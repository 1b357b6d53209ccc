"""``relaycanary alerts``: prove that paging works, before it has to."""

from __future__ import annotations

import asyncio
import json as encoding
from collections.abc import Mapping
from pathlib import Path

from agent import loop
from agent.alerts.channels.build import build_channels
from agent.alerts.channels.port import Channel, NotSent
from agent.alerts.page import Event, Page
from agent.clock import SystemClock
from agent.commands import output
from agent.commands.alert_policy import status_url
from agent.config.load import find, load
from agent.config.problems import SettingsError
from agent.config.settings import Settings
from agent.log import plain

_PATIENCE = 30.0


def try_channels(config: Path | None = None, *, channel: str | None = None, json: bool = False) -> int:
    """Send a page that says that it is a test, and say of each channel whether it took it.

    It goes past the outbox and needs no running agent. PagerDuty gets an alert that resolves at once.

    Args:
        config: the settings file; without it the usual places are looked through.
        channel: the name of the only channel to try; all without it.
        json: print one JSON object instead of a line for each channel.

    Returns:
        The exit code: 0 if every channel took it, else 1, also if there is no channel to try.
    """
    try:
        settings = load(find(config))
    except SettingsError as error:
        output.complain(error.problems)
        return 1
    clock = SystemClock()
    channels = build_channels(settings.alerts, clock)
    if channel is not None and channel not in channels:
        output.say(f"there is no channel {channel}; there is {', '.join(channels) or 'none'}")
        return 1
    if not channels:
        output.say("alerts.channels is empty: nobody is told of anything by the agent itself")
        return 1
    tried = {name: one for name, one in channels.items() if channel in {None, name}}
    problems = loop.run(_send(tried, _page(settings, clock.now().timestamp())))
    kinds = {name: one.kind for name, one in settings.alerts.named.items()}
    if json:
        tested = [
            {"channel": name, "kind": kinds[name], "sent": why is None, "problem": why}
            for name, why in problems.items()
        ]
        print(encoding.dumps({"channels": tested}))
    else:
        for name, why in problems.items():
            print(f"{name} ({kinds[name]}): {'sent' if why is None else f'NOT SENT: {plain(why)}'}")
    return 1 if any(problem is not None for problem in problems.values()) else 0


async def _send(channels: Mapping[str, Channel], page: Page) -> dict[str, str | None]:
    return dict(zip(channels, await asyncio.gather(*(_try(one, page) for one in channels.values())), strict=True))


async def _try(channel: Channel, page: Page) -> str | None:
    """Send a page; return why it was not taken, None if it was."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await channel.send(page, 0)
    except NotSent as problem:
        return str(problem)
    except TimeoutError:
        return f"no answer within {_PATIENCE:.0f} s"
    except Exception as defect:  # noqa: BLE001 - a library for a hundred services: the other channels are tried too
        return f"the channel failed: {type(defect).__name__}"
    return None


def _page(settings: Settings, now: float) -> Page:
    site = settings.agent.site
    return Page(
        key=f"relaycanary/{site}/test/{now:.0f}",
        event=Event.TEST,
        severity="info",
        site=site,
        title="This is a test of relaycanary's alerts",
        began=now,
        written=now,
        meaning="Somebody asked for it with `relaycanary alerts test`. Nothing is wrong, and there is nothing to do.",
        status=status_url(settings),
    )
