"""HTTPS as a client: what Graph and Entra have in common. No redirects, bounded bodies, failures in one language."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from checks.core.model import Cause
from checks.errors import LocalFault
from checks.wire.tcp import OURS
from checks.wire.tls import tls_failure

HTTPS = 443
AGENT = "relaycanary"

_MOST_CAUSES = 30
_CUT_OFF = re.compile("disconnected|peer closed")  # httpx has no class of its own for it


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """Why there is no answer. `connected` tells whether there was a TCP connection."""

    cause: Cause
    detail: str
    connected: bool


def endpoint_of(url: str) -> tuple[str, int]:
    """Return host and port of an https URL."""
    parts = httpx.URL(url)
    return parts.host, parts.port or HTTPS


def failure_of(error: Exception, host: str) -> HttpFailure:
    """Say what *error* of httpx means.

    Raises:
        LocalFault: it is our own doing: no route, no sockets left.
    """
    roots = list(_chain(error))
    for root in roots:
        if isinstance(root, ssl.SSLError):
            return HttpFailure(Cause.TLS, tls_failure(root, host), connected=True)
        if isinstance(root, socket.gaierror):
            return HttpFailure(Cause.NAME, f"{host} could not be resolved: {root.strerror}", connected=False)
    match error:
        case httpx.ConnectTimeout():
            return HttpFailure(Cause.CONNECT, f"no TCP connection to {host} in time", connected=False)
        case httpx.ConnectError() | httpx.ProxyError():
            return _not_connected(roots, host)
        case httpx.TimeoutException():
            return HttpFailure(Cause.TIMEOUT, f"{host} did not answer in time", connected=True)
        case httpx.RemoteProtocolError() if not _CUT_OFF.search(str(error)):
            return HttpFailure(Cause.GARBAGE, f"the answer of {host} is not HTTP", connected=True)
        case _:
            return HttpFailure(Cause.DROPPED, f"{host} closed the connection instead of an answer", connected=True)


def _not_connected(roots: list[BaseException], host: str) -> HttpFailure:
    numbers = [root.errno for root in roots if isinstance(root, OSError) and root.errno]
    theirs = [number for number in numbers if number not in OURS]
    if numbers and not theirs:
        raise LocalFault(f"this machine cannot connect to {host}: {os.strerror(numbers[0])}")
    why = f": {os.strerror(theirs[0])}" if theirs else ""
    return HttpFailure(Cause.CONNECT, f"no TCP connection to {host}{why}", connected=False)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk through *error* and all that caused it; several addresses fail as a group."""
    waiting: list[BaseException | None] = [error]
    for _ in range(_MOST_CAUSES):
        if not waiting:
            return
        one = waiting.pop(0)
        if one is None:
            continue
        yield one
        waiting += [*(one.exceptions if isinstance(one, BaseExceptionGroup) else ()), one.__cause__, one.__context__]
