"""Tell Sentry of defects: what went wrong in our own code, never what happened to mail.

Nothing leaves without a DSN in the settings. What leaves is a stack trace without variables, with mail addresses and
canary tokens blotted out, and the names of the check, path and canary concerned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from agent import __version__
from checks.core.token import PATTERN

Report = Callable[[BaseException, Mapping[str, Any]], None]
"""Tells of one defect, with the log event that speaks of it."""

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_BEARER = re.compile(r"(?i)\b(bearer|auth(?:enticate)?(?: xoauth2| plain| login)?)[ =:]+[A-Za-z0-9+/_=.~-]{8,}")
_TAGS = ("check", "path", "mailbox", "part", "canary")
_LONGEST = 2000


def start(dsn: str, *, site: str) -> Report:
    """Set the client up, and return what reports a defect.

    Raises:
        ValueError: *dsn* is no DSN.
    """
    import sentry_sdk  # noqa: PLC0415 - half of the agent's start-up time, for those who ask for it only
    from sentry_sdk.utils import BadDsn  # noqa: PLC0415

    try:
        sentry_sdk.init(
            dsn=dsn,
            release=f"relaycanary@{__version__}",
            environment=site,
            server_name="",
            default_integrations=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            before_send=lambda event, _hint: scrub(event),
        )
    except BadDsn:
        raise ValueError("it is not a DSN: Sentry shows it under the project's client keys") from None

    def report(defect: BaseException, event: Mapping[str, Any]) -> None:
        with sentry_sdk.new_scope() as scope:
            for name in _TAGS:
                if name in event:
                    scope.set_tag(name, str(event[name]))
            scope.set_tag("event", str(event.get("event", "")))
            scope.capture_exception(defect)

    return report


def scrub(value: Any) -> Any:
    """Blot out addresses, tokens and credentials in every string of an event, however deep."""
    if isinstance(value, str):
        return _BEARER.sub(r"\1 ***", _ADDRESS.sub("***@***", PATTERN.sub("rc1.***", value)))[:_LONGEST]
    if isinstance(value, dict):
        return {name: scrub(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    return value
