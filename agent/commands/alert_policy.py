"""What the commands make of the section `alerts`."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from agent.alerts.channels.build import build_channels
from agent.alerts.channels.port import Channel
from agent.alerts.heartbeat import Beat
from agent.alerts.maintenance import Window
from agent.alerts.policy import Policy, Route
from agent.config import calendar
from agent.config.pieces import is_loopback
from agent.config.secrets import SecretSource
from agent.config.settings import Settings
from checks.ports import Clock


def policy_of(settings: Settings) -> Policy:
    """Return what the settings say about who is told what, and when."""
    alerts = settings.alerts
    return Policy(
        after=alerts.after,
        recover_after=alerts.recover_after,
        group_wait=alerts.group_wait,
        routes=[
            Route(name=name, severity=one.severity, former=alerts.former_names.get(name, ""))
            for name, one in alerts.named.items()
        ],
        windows=[
            Window(
                name=one.name,
                beginnings=calendar.parse(one.schedule),
                lasts=one.lasts,
                zone=ZoneInfo(one.timezone),
                checks=frozenset(one.checks),
                paths=frozenset(one.paths),
            )
            for one in alerts.maintenance
        ],
        credentials={
            name: credential for name, path in settings.paths.items() if (credential := path.text("credential"))
        },
        status_url=status_url(settings),
        heartbeat=alerts.heartbeat is not None,
    )


def status_url(settings: Settings) -> str:
    """Tell where people find the status page; empty where nobody said, and it is not on this machine only."""
    web = settings.web
    if web.external_url is not None:
        return web.external_url
    if not is_loopback(web.host):
        return ""
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"http://{host}:{web.port}"


def alerts_of(settings: Settings, clock: Clock) -> tuple[Policy, Mapping[str, Channel], Beat | None]:
    """Make what `AlertService.apply` takes of what the settings say."""
    wanted = settings.alerts.heartbeat
    beat = None if wanted is None else Beat(url=SecretSource(wanted.url), every=wanted.every)
    return policy_of(settings), build_channels(settings.alerts, clock), beat
