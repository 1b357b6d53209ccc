"""Channels of alerts that fail together with what they are to tell of, or that do less than they could."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from agent.config.advice.rule import Advice, Context, Rule, domain_of, host_of
from agent.config.alerts import Channel
from agent.config.secrets import SecretSource
from checks.errors import LocalFault

_SMTP = frozenset({"mailto", "mailtos"})
_MAIL_SERVICES = frozenset(
    {"azure", "o365", "acs", "brevo", "mailersend", "mailgun", "postmark", "resend", "sendgrid", "sendpulse", "ses",
     "smtp2go", "sparkpost"}
)  # fmt: skip
_OF_THE_TENANT = frozenset({"azure", "o365"})
"""Apprise's ways to send mail, and among them those by Microsoft Graph."""


def mail_about_mail(context: Context) -> Iterator[Advice]:
    """Advise on channels that are mail themselves: what is to be told of may keep the page from coming."""
    for place, scheme, url in _apprise_urls(context):
        if scheme not in _SMTP | _MAIL_SERVICES:
            continue
        shared = _path_by(scheme, url, context)
        why = f"by what path {shared} tests" if shared else "and mail is what is tested"
        yield Advice(
            ("alerts", "channels", place, "url"),
            f"this channel sends mail, {why}: a page about failing mail may never come; have another channel that is no"
            " mail (chat, SMS, on-call), and a heartbeat",
        )


def pagerduty_by_apprise(context: Context) -> Iterator[Advice]:
    """Advise on PagerDuty by Apprise, which cannot tell two incidents apart."""
    for place, scheme, _ in _apprise_urls(context):
        if scheme == "pagerduty":
            yield Advice(
                ("alerts", "channels", place, "url"),
                "PagerDuty by Apprise gets no key for each incident, so its alerts are not resolved one by one: use"
                " kind: pagerduty with routing_key",
            )


def _apprise_urls(context: Context) -> Iterator[tuple[int, str, str]]:
    """Yield place, scheme and URL of each channel by Apprise whose URL can be read now."""
    alerts = context.sections.alerts
    for place, channel in enumerate(alerts.channels if alerts is not None else ()):
        url = _url(channel)
        if url:
            yield place, url.partition("://")[0].lower(), url


def _url(channel: Channel) -> str:
    if channel.kind != "apprise" or channel.url is None:
        return ""
    try:
        return SecretSource(channel.url)()
    except LocalFault:
        return ""  # said where the reference itself is looked at


def _path_by(scheme: str, url: str, context: Context) -> str:
    """Name a path that goes where the channel goes: the same server, or the domain or tenant that it sends from."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        servers = {one.lower() for one in parse_qs(parts.query).get("smtp", [])} | {host}
    except ValueError:
        return ""
    for name, path in context.sections.paths.items():
        if scheme in _OF_THE_TENANT and path.kind in {"graph_send", "submission", "relay", "direct_send"}:
            return name
        if scheme in _SMTP and (host_of(path) in servers or domain_of(path.text("sender")) == host):
            return name
    return ""


PAGING_RULES: tuple[Rule, ...] = (mail_about_mail, pagerduty_by_apprise)
