"""Tell Sentry of defects in our own code, and check in for every check (Sentry Crons).

Nothing leaves without a DSN in the settings. Of a defect leaves a stack trace without variables, with mail addresses
and canary tokens blotted out, and the names of the check, path and canary concerned. Of mail leaves the name of the
check, whether its canary passed, and how long it took: no server's words.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from agent import __version__
from checks.core.model import Canary, Conclusion, Verdict
from checks.core.token import PATTERN

Report = Callable[[BaseException, Mapping[str, Any]], None]
"""Tells of one defect, with the log event that speaks of it."""

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_BEARER = re.compile(r"(?i)\b(bearer|auth(?:enticate)?(?: xoauth2| plain| login)?)[ =:]+[A-Za-z0-9+/_=.~-]{8,}")
_TAGS = ("check", "path", "mailbox", "part", "canary")
_LONGEST = 2000
_MINUTE = 60.0
_LAST_MOMENT = 2.0
_LONGEST_SLUG = 50
_NAMESPACE = uuid.UUID("5f0c2b4e-6d0b-5a6e-9f0a-3f6f1c1f2d10")  # ours alone: ids of check-ins are made in it
_STATUS = {Verdict.PASS: "ok", Verdict.WARN: "ok", Verdict.FAIL: "error"}


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


class CheckIns:
    """One monitor a check: a check-in opens when a canary is out, and closes when it is concluded.

    Canaries overlap, so each check-in has an id of its own, made from the canary's: an agent that was started anew
    closes what the one before it opened. Where nobody knows what became of a canary, it is left open, and Sentry calls
    it timed out, which is neither ok nor error. Sentry counts in minutes; of a check that runs more often, the first
    canary of each minute checks in.
    """

    def __init__(self, *, site: str, alert_after: int) -> None:
        self._site = site
        self._alert_after = alert_after

    def sent(self, canary: Canary) -> None:
        """Open the check-in of a canary; the monitor is made, or follows the settings, by the way."""
        if _checks_in(canary):
            self._capture(canary, "in_progress")

    def concluded(self, canary: Canary, conclusion: Conclusion) -> None:
        """Close it, if anybody knows what became of the canary."""
        status = _STATUS.get(conclusion.verdict)
        if status is not None and _checks_in(canary):
            self._capture(canary, status, duration=conclusion.end_to_end)

    def _capture(self, canary: Canary, status: str, duration: float | None = None) -> None:
        from sentry_sdk.crons import capture_checkin  # noqa: PLC0415 - as above

        capture_checkin(
            monitor_slug=slug(self._site, canary.check.name),
            check_in_id=uuid.uuid5(_NAMESPACE, canary.id).hex,
            status=status,
            duration=duration,
            monitor_config=self._monitor(canary),
        )

    def _monitor(self, canary: Canary) -> Any:
        limits = canary.check.limits
        every = math.ceil(limits.every / _MINUTE)
        return {
            "schedule": {"type": "interval", "value": every, "unit": "minute"},
            "timezone": "UTC",
            "checkin_margin": every,
            "max_runtime": math.ceil((limits.lost_after + limits.every) / _MINUTE) + 1,
            "failure_issue_threshold": self._alert_after,
            "recovery_threshold": 1,
        }


def slug(site: str, check: str) -> str:
    """Name the monitor of a check: lower case, at most 50 characters, as Sentry demands."""
    whole = re.sub(r"[^a-z0-9_-]+", "-", f"{site}-{check}".lower())
    if len(whole) <= _LONGEST_SLUG:
        return whole
    return f"{whole[: _LONGEST_SLUG - 9]}-{uuid.uuid5(_NAMESPACE, whole).hex[:8]}"


def _checks_in(canary: Canary) -> bool:
    every = canary.check.limits.every
    return math.floor(canary.slot * every / _MINUTE) != math.floor((canary.slot - 1) * every / _MINUTE)


def flush() -> None:
    """Give what is still to be sent a moment; nothing happens where Sentry was never set up."""
    import sentry_sdk  # noqa: PLC0415 - as above

    sentry_sdk.flush(_LAST_MOMENT)


def scrub(value: Any) -> Any:
    """Blot out addresses, tokens and credentials in every string of an event, however deep."""
    if isinstance(value, str):
        return _BEARER.sub(r"\1 ***", _ADDRESS.sub("***@***", PATTERN.sub("rc1.***", value)))[:_LONGEST]
    if isinstance(value, dict):
        return {name: scrub(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item) for item in value]
    return value
