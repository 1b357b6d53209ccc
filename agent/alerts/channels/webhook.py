"""A generic webhook: JSON, signed as Standard Webhooks has it, so that receivers verify it with a library they know."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.alerts import text
from agent.alerts.channels.http import Poster
from agent.alerts.channels.port import NotSent
from agent.alerts.page import Page
from checks.errors import LocalFault
from checks.ports import Clock

_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Posts each page to a URL.

    The headers are ``webhook-id`` (the same when a page is sent again), ``webhook-timestamp`` (Unix time) and, with a
    *secret*, ``webhook-signature``: "v1," and the Base64 of HMAC-SHA256 over ``id.timestamp.body``
    (https://www.standardwebhooks.com, version 1). URL and secret are read anew for each page.
    """

    name: str
    url: Callable[[], str]
    secret: Callable[[], str] | None
    clock: Clock
    poster: Poster

    async def send(self, page: Page, number: int) -> None:
        """Hand one page over."""
        try:
            url, key = self.url(), None if self.secret is None else signing_key(self.secret())
        except LocalFault as fault:
            raise NotSent(str(fault)) from None
        content = json.dumps(payload(page)).encode()
        identity, timestamp = f"{page.key}/{number}", str(int(self.clock.now().timestamp()))
        headers = {"Content-Type": "application/json", "webhook-id": identity, "webhook-timestamp": timestamp}
        if key is not None:
            headers["webhook-signature"] = sign(key, identity, timestamp, content)
        await self.poster.post(url, content, headers)


def sign(key: bytes, identity: str, timestamp: str, content: bytes) -> str:
    """Sign a message."""
    signed = b".".join((identity.encode(), timestamp.encode(), content))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def signing_key(secret: str) -> bytes:
    """Return the key that a secret stands for: ``whsec_`` and Base64, as Standard Webhooks has it, or any text.

    Raises:
        LocalFault: what follows ``whsec_`` is not Base64.
    """
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise LocalFault("the secret of the webhook begins with whsec_, but what follows is not Base64") from None


def payload(page: Page) -> dict[str, Any]:
    """Make the body: what a page says, part by part, and as text."""
    return {
        "version": 1,
        "event": page.event.value,
        "key": page.key,
        "severity": page.severity,
        "site": page.site,
        "title": text.harmless(page.title),
        "subject": text.subject(page),
        "text": text.body(page),
        "began": _iso(page.began),
        "written": _iso(page.written),
        "closed": None if page.closed is None else _iso(page.closed),
        "said": text.harmless(page.said) or None,
        "meaning": page.meaning or None,
        "fix": page.fix or None,
        "source": page.source or None,
        "note": page.note or None,
        "checks": [{"check": one.check, "path": one.path, "state": one.state} for one in page.affected],
        "delivering": list(page.works),
        "evidence": page.evidence or None,
        "status": page.status or None,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
