"""Is the agent itself online? Asked before a failure of DNS or TCP is blamed on anybody."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

from checks.errors import LocalFault
from checks.ports import Clock, Endpoint
from checks.wire.dns import Resolver, Unresolvable
from checks.wire.tcp import ConnectFailed, connect

_PATIENCE = 3.0
_NEVER = float("-inf")


class Online:
    """Remembers when a TCP connection to any configured host last succeeded, and tries for itself when in doubt.

    It tries as the paths and readers do, so that what they reach counts as reached. A connection that has been open
    for long says nothing about name servers; so which names could be looked up is remembered by itself.
    """

    def __init__(self, clock: Clock, endpoints: Sequence[Endpoint]) -> None:
        self._clock = clock
        self._resolver = Resolver()
        self._endpoints = sorted({(endpoint.host, endpoint.port) for endpoint in endpoints})
        self._names = {host for host, _ in self._endpoints if not _is_address(host)}
        self._connected_at = _NEVER
        self._resolved_at: dict[str, float] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = _NEVER

    def connected(self, at: float) -> None:
        """Take note that a connection succeeded."""
        self._connected_at = max(self._connected_at, at)

    async def since(self, moment: float, *, unresolved: str | None = None) -> bool:
        """Tell whether any connection has succeeded since *moment*, trying all configured hosts if none is known.

        Where the name *unresolved* could not be looked up, another one must have been, if others are configured.
        """
        tried_at = _NEVER
        while not self._proven(moment, unresolved) and tried_at < moment:
            if self._asking is None or self._asking.done():
                self._asking, self._asked_at = asyncio.ensure_future(self._try_all()), self._clock.steady()
            tried_at = self._asked_at  # others may have begun to try before *moment*: that proves nothing about it
            await asyncio.shield(self._asking)
        return self._proven(moment, unresolved)

    def _proven(self, moment: float, unresolved: str | None) -> bool:
        others = self._names - {unresolved} if unresolved is not None else set()
        resolved = not others or any(self._resolved_at.get(name, _NEVER) >= moment for name in others)
        return resolved and self._connected_at >= moment

    async def _try_all(self) -> None:
        await asyncio.gather(*(self._try(host, port) for host, port in self._endpoints))

    async def _try(self, host: str, port: int) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                addresses = await self._resolver.addresses(host, port)
                self._resolved_at[host] = self._clock.steady()
                connection = await connect(addresses, None)
        except (Unresolvable, ConnectFailed, LocalFault, TimeoutError):
            return
        self.connected(self._clock.steady())
        connection.close()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
