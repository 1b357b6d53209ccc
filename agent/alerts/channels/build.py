"""Make the channels that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from agent.alerts.channels.apprise_url import AppriseUrl
from agent.alerts.channels.http import Poster
from agent.alerts.channels.pagerduty import PagerDuty
from agent.alerts.channels.port import Channel
from agent.alerts.channels.webhook import Webhook
from agent.config.alerts import Alerts
from agent.config.alerts import Channel as Wanted
from agent.config.secrets import SecretSource
from checks.ports import Clock


def build_channels(alerts: Alerts, clock: Clock) -> Mapping[str, Channel]:
    """Make every channel, by its name."""
    return {name: _build(name, one, clock) for name, one in alerts.named.items()}


def _build(name: str, one: Wanted, clock: Clock) -> Channel:
    poster = Poster(one.ca_file)
    if one.routing_key is not None:
        return PagerDuty(name=name, url=one.events_url, routing_key=SecretSource(one.routing_key), poster=poster)
    if one.url is None:
        raise AssertionError(one.kind)  # the settings demand it
    url = SecretSource(one.url)
    if one.kind == "webhook":
        secret = None if one.secret is None else SecretSource(one.secret)
        return Webhook(name=name, url=url, secret=secret, clock=clock, poster=poster)
    return AppriseUrl(name=name, url=url)
