"""Answers over HTTP, taken apart: the error in the body, the wish in Retry-After, the roles in a token. Pure.

Everything here reads what a server sent: any input gives a value, and texts come out clean and bounded.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from checks.core.model import Reply
from checks.core.reply import clean_text

LONGEST_WISH = 3600.0
"""Longest time that a server's Retry-After is believed, in seconds."""

_DEEPEST = 4
_AADSTS = re.compile(r"AADSTS[0-9]{3,9}")
_CODE = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def read_json(body: str | bytes) -> Any:
    """Read JSON; None where it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def error_reply(status: int, body: str | bytes) -> Reply:
    """Make a reply of an error answer of Graph or Entra.

    Graph has ``{"error": {"code", "message", "innerError": {…}}}``, Entra ``{"error", "error_description"}`` with the
    AADSTS code in front of the description (RFC 6749 5.2). An answer in another form (a proxy's page) is kept as text.
    """
    document = read_json(body)
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        code, message = _graph(error)
        return Reply(code=status, enhanced=code, text=clean_text(message))
    if isinstance(document, dict) and isinstance(error, str):
        description = document.get("error_description")
        text = description if isinstance(description, str) else ""
        found = _AADSTS.search(text)
        code = found[0] if found else _word(error)
        return Reply(code=status, enhanced=code, text=clean_text(text.removeprefix(f"{code}:") or error))
    return Reply(code=status, enhanced=None, text=clean_text(body, 300))


def error_codes(body: str | bytes) -> frozenset[str]:
    """List the codes of a Graph error, those of the nested inner errors too: the exact one may be any of them."""
    document = read_json(body)
    error = document.get("error") if isinstance(document, dict) else None
    return frozenset(code for level in _levels(error) if (code := _word(level.get("code"))))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Tell for how many seconds the server wants to be left alone (RFC 9110 10.2.3), as a number or a date.

    None where it says nothing that can be understood; a date in the past is 0.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return min(float(value), LONGEST_WISH)
    moment = http_date(value)
    return None if moment is None else min(max(0.0, (moment - now).total_seconds()), LONGEST_WISH)


def http_date(text: str) -> datetime | None:
    """Read a date of HTTP (RFC 9110 5.6.7), in UTC; None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def roles_of(token: str) -> frozenset[str] | None:
    """Read the application permissions in an access token, unverified: it is for the service to trust, not for us.

    None where the token is not a readable JWT (RFC 7519); a token without roles has an empty set.
    """
    parts = token.split(".")
    try:
        payload = parts[1] if len(parts) == 3 else ""  # noqa: PLR2004 - RFC 7515 3.1: header, payload, signature
        claims = read_json(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(claims, dict):
        return None
    roles = claims.get("roles", [])
    return frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset()


def _graph(error: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the code and the message of an error, the outermost that there are."""
    levels = list(_levels(error))
    code = next((found for level in levels if (found := _word(level.get("code")))), None)
    messages = [level["message"] for level in levels if isinstance(level.get("message"), str) and level["message"]]
    return code, messages[0] if messages else ""


def _levels(error: Any) -> Iterator[Mapping[str, Any]]:
    for _ in range(_DEEPEST):
        if not isinstance(error, dict):
            return
        yield error
        error = error.get("innerError", error.get("innererror"))


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None
