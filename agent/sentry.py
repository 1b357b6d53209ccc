"""Tell Sentry of defects in our own code, and check in for every check (Sentry Crons).

Nothing leaves without a DSN in the settings. Of a defect leaves a stack trace without variables, with mail addresses,
canary tokens, credentials and every secret that the settings refer to blotted out, and the names of the check, path and
canary concerned. Of mail leaves the name of the check, whether its canary passed, and how long it took: no server's
words.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from agent import __version__
from agent.sampling import first_of_its_minute
from checks.core.model import Canary, Conclusion, Verdict
from checks.core.token import PATTERN

Report = Callable[[BaseException, Mapping[str, Any]], None]
"""Tells of one defect, with the log event that speaks of it."""

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,255}")
_BLOTTED = (
    (_ADDRESS, "***@***"),
    (
        re.compile(r"(?i)\b(bearer|basic|auth(?:enticate)?(?: xoauth2| plain| login)?)[ =:]+[A-Za-z0-9+/_=.~-]{8,}"),
        r"\1 ***",
    ),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"), "***"),  # a JSON Web Token (RFC 7519)
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), "***"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@"), r"\1***@"),
    (
        re.compile(
            r"(?i)\b((?:client_|api_?|access_|refresh_|id_)?(?:secret|password|passwd|pwd|token|key|assertion|sig|code_verifier))"
            r"(\\*[\"']?\s*[=:]\s*\\*[\"']?)[^\s\"'&,;}\])]+"
        ),
        r"\1\2***",
    ),
)
_TAGS = ("check", "path", "mailbox", "part", "canary")
_OF_THE_CLIENT = frozenset({"event_id", "timestamp", "level", "platform", "release", "environment", "sdk", "modules"})
_LONGEST, _SHORTEST = 2000, 4
_MINUTE = 60.0
_LAST_MOMENT = 2.0
_LONGEST_SLUG = 50
_NAMESPACE = uuid.UUID("5f0c2b4e-6d0b-5a6e-9f0a-3f6f1c1f2d10")  # ours alone: ids of check-ins are made in it
_STATUS = {Verdict.PASS: "ok", Verdict.WARN: "ok", Verdict.FAIL: "error"}


def start(dsn: str, *, site: str, secrets: Callable[[], Iterable[str]] = tuple) -> Report:
    """Set the client up, and return what reports a defect.

    Args:
        dsn: where Sentry is.
        site: where this agent stands; Sentry calls it the environment.
        secrets: lists what must not leave, as it is at that moment.

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
            before_send=lambda event, _hint: _without_secrets(event, _worth_hiding(secrets())),
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

    def __init__(self, *, site: str, alert_after: Callable[[], int]) -> None:
        self._site = site
        self._alert_after = alert_after

    def sent(self, canary: Canary) -> None:
        """Open the check-in of a canary; the monitor is made, or follows the settings, by the way."""
        if first_of_its_minute(canary):
            self._capture(canary, "in_progress")

    def concluded(self, canary: Canary, conclusion: Conclusion) -> None:
        """Close it, if anybody knows what became of the canary."""
        status = _STATUS.get(conclusion.verdict)
        if status is not None and first_of_its_minute(canary):
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
            "failure_issue_threshold": self._alert_after(),
            "recovery_threshold": 1,
        }


def slug(site: str, check: str) -> str:
    """Name the monitor of a check: lower case, at most 50 characters, as Sentry demands."""
    whole = re.sub(r"[^a-z0-9_-]+", "-", f"{site}-{check}".lower())
    if len(whole) <= _LONGEST_SLUG:
        return whole
    return f"{whole[: _LONGEST_SLUG - 9]}-{uuid.uuid5(_NAMESPACE, whole).hex[:8]}"


def flush() -> None:
    """Give what is still to be sent a moment; nothing happens where Sentry was never set up."""
    import sentry_sdk  # noqa: PLC0415 - as above

    sentry_sdk.flush(_LAST_MOMENT)


def _without_secrets(event: Any, secrets: Sequence[str]) -> Any:
    return {name: value if name in _OF_THE_CLIENT else scrub(value, secrets) for name, value in event.items()}


def scrub(value: Any, secrets: Sequence[str] = ()) -> Any:
    """Blot out *secrets*, addresses, tokens and credentials in every string of an event, however deep."""
    if isinstance(value, str):
        return _blotted(value, secrets)[:_LONGEST]
    if isinstance(value, dict):
        return {scrub(name, secrets): scrub(item, secrets) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item, secrets) for item in value]
    return value


def _blotted(text: str, secrets: Sequence[str]) -> str:
    text = text[: 10 * _LONGEST]
    for secret in secrets:
        text = text.replace(secret, "***")
    text = PATTERN.sub("rc1.***", text)
    for pattern, instead in _BLOTTED:
        text = pattern.sub(instead, text)
    return text


def _quoted(secret: str) -> Iterator[str]:
    """Yield a secret as Python and JSON write it between quotes."""
    yield repr(secret)[1:-1]
    yield repr(f"{secret}'\"")[1:-4]  # with both kinds of quotes in it, the single ones are escaped
    yield json.dumps(secret)[1:-1]


def _worth_hiding(secrets: Iterable[str]) -> Sequence[str]:
    """Return secrets in the forms in which they travel, the longest first; very short ones would blot out words."""
    forms = {form for secret in secrets for form in (secret, quote(secret), *_quoted(secret))}
    return sorted((form for form in forms if len(form) >= _SHORTEST), key=len, reverse=True)
