"""Post to a receiver over HTTPS: verified, without redirects, and with failures that give no secret away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from agent import USER_AGENT
from agent.alerts.channels.port import NotSent
from agent.clock import SystemClock
from agent.config.pieces import is_loopback
from checks.core.reply import clean_text
from checks.errors import LocalFault
from checks.wire.http import failure_of
from checks.wire.tls import TlsClient

_PATIENCE = httpx.Timeout(10.0)
_MOST_WORDS = 200
_LARGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Poster:
    """Sends requests to one receiver. *ca_file* (PEM) is trusted instead of the system's CAs."""

    ca_file: Path | None = None
    tls: TlsClient = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tls", TlsClient(self.ca_file))

    async def post(self, url: str, content: bytes, headers: Mapping[str, str], *, quote: bool = False) -> None:
        """Post *content*; with *quote*, a refusal is told in the receiver's words.

        Raises:
            NotSent: the answer was no success, or there was none.
        """
        await self._ask("POST", url, content, headers, quote=quote)

    async def get(self, url: str) -> None:
        """Ask for *url*, whose answer nobody reads.

        Raises:
            NotSent: as `post`.
        """
        await self._ask("GET", url, None, {}, quote=False)

    async def reach(self, url: str) -> str:
        """Ask the receiver for the head of its root, and return its host: any answer will do, and nothing is sent.

        The rest of *url*, which may hold a secret, is not shown to anybody.

        Raises:
            NotSent: there was no answer, or from somebody whose certificate is not trusted.
        """
        host, parts = check_url(url), urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"
        async with self._answer("HEAD", root, None, {}):
            return host

    async def _ask(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], *, quote: bool
    ) -> None:
        async with self._answer(method, url, content, headers) as response:
            if response.is_success:
                return
            words = await _words(response) if quote else ""
        said = f"{check_url(url)} answered {response.status_code}{f': {words}' if words else ''}"
        raise NotSent(said, retry_after=_retry_after(response))

    @asynccontextmanager
    async def _answer(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Yield the answer, whatever it is; what goes wrong on the way, or while it is read, is NotSent."""
        host = check_url(url)
        try:
            context = await self.tls.context()
            async with (
                httpx.AsyncClient(verify=context, timeout=_PATIENCE, follow_redirects=False) as client,
                client.stream(method, url, content=content, headers={"User-Agent": USER_AGENT, **headers}) as response,
            ):
                yield response
        except (httpx.HTTPError, OSError) as error:
            try:
                why = failure_of(error, host).detail
            except LocalFault as fault:
                why = str(fault)
            raise NotSent(why) from None
        except LocalFault as fault:
            raise NotSent(str(fault)) from None


def check_url(url: str) -> str:
    """Return the host of a receiver's URL.

    Raises:
        NotSent: it is no https URL; plain HTTP is for receivers on this machine only.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in {"https", "http"}:
        raise NotSent("the URL of this channel is not an https:// address")
    if parts.scheme == "http" and not is_loopback(host):
        raise NotSent("the URL of this channel is not https://: what a page says is nobody else's business")
    return host


async def _words(response: httpx.Response) -> str:
    found = b""
    async for block in response.aiter_bytes():
        found += block
        if len(found) > _LARGEST:
            break
    return clean_text(found[:_LARGEST].decode("utf-8", "replace"))[:_MOST_WORDS]


def _retry_after(response: httpx.Response) -> float | None:
    """Read when the receiver wants to be asked again (RFC 9110 10.2.3), in seconds from now."""
    wish = response.headers.get("retry-after", "")
    if wish.isdecimal():
        return float(wish)
    try:
        seconds = (parsedate_to_datetime(wish) - SystemClock().now()).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(0.0, seconds)
