"""Is the agent itself online? Asked before a failure of DNS or TCP is blamed on anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from checks.ports import Clock, Endpoint

_PATIENCE = 3.0


class Online:
    """Remembers when a TCP connection to any configured host last succeeded, and tries for itself when in doubt."""

    def __init__(self, clock: Clock, endpoints: Sequence[Endpoint]) -> None:
        self._clock = clock
        self._endpoints = sorted({(endpoint.host, endpoint.port) for endpoint in endpoints})
        self._connected_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    def connected(self, at: float) -> None:
        """Take note that a connection succeeded."""
        self._connected_at = max(self._connected_at, at)

    async def since(self, moment: float) -> bool:
        """Tell whether any connection has succeeded since *moment*, trying all configured hosts if none is known."""
        if self._connected_at < moment:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.ensure_future(self._try_all())
            await asyncio.shield(self._asking)
        return self._connected_at >= moment

    async def _try_all(self) -> None:
        await asyncio.gather(*(self._try(host, port) for host, port in self._endpoints))

    async def _try(self, host: str, port: int) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return
        self.connected(self._clock.steady())
        writer.close()
