"""The HTTP client that msal speaks through: ours, so that whom to trust, how long and how much is ours to say.

msal's own (requests) takes ``REQUESTS_CA_BUNDLE`` from the environment over what it is told, and waits without limit
while an answer trickles in.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote_plus

import httpx

from checks.wire.http import AGENT

_MOST = 1024 * 1024
_ONE_STEP = 10.0
_SECRETS = ("client_secret", "client_assertion")


class TookTooLong(httpx.TimeoutException):
    """The answer is not there, or not all of it, when the time is up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in the form that msal reads. The text may be a token."""

    status_code: int
    text: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        """Keep tokens out of logs and tracebacks."""
        return f"Answer(status_code={self.status_code})"

    def raise_for_status(self) -> None:
        """Raise if it is an error; msal asks for it where it has nothing better to do."""
        if self.status_code >= httpx.codes.BAD_REQUEST:
            raise ValueError(f"HTTP status {self.status_code}")


class Transport:
    """One exchange of msal with the identity provider, of *limit* seconds in all. `last` is the last answer."""

    def __init__(self, context: ssl.SSLContext, limit: float, steady: Callable[[], float]) -> None:
        self.last: Answer | None = None
        self._steady = steady
        self._until = steady() + limit
        self._secrets: set[str] = set()
        self._client = httpx.Client(
            verify=context, timeout=min(_ONE_STEP, limit), follow_redirects=False, headers={"user-agent": AGENT}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, **options: Any) -> Answer:
        """Send GET."""
        return self._send("GET", url, options)

    def post(self, url: str, **options: Any) -> Answer:
        """Send POST; what proves the app in its body is concealed in `redacted`."""
        form = {name: _text(value) for name, value in (options.get("data") or {}).items()}
        self._secrets |= {form[name] for name in _SECRETS if form.get(name)}
        return self._send("POST", url, {**options, "data": form})

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def redacted(self, text: str) -> str:
        """Return *text* without the secrets that were sent: some servers echo what they refuse."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            for form in (secret, json.dumps(secret)[1:-1], quote_plus(secret)):
                text = text.replace(form, "***")
        return text

    def _send(self, method: str, url: str, options: Mapping[str, Any]) -> Answer:
        if not url.lower().startswith("https://"):
            raise httpx.UnsupportedProtocol(f"{url[:200]} is not https")
        sent = {name: options[name] for name in ("params", "data", "headers") if options.get(name)}
        with self._client.stream(method, url, **sent) as response:
            body = self._read(response)
            self.last = Answer(response.status_code, body.decode("utf-8", "replace"), dict(response.headers))
        return self.last

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if self._steady() > self._until:
                raise TookTooLong("the time is up", request=response.request)
            if len(body) > _MOST:
                raise httpx.RemoteProtocolError("the answer is too large", request=response.request)
        return bytes(body)


def _text(value: Any) -> str:
    """Write a value of a form as text: msal has the assertion in bytes, which httpx would write as Python does."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
