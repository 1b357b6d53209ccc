"""How many requests one app may have under way for one mailbox, over all that use it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from checks.ports import Credential

AT_ONCE = 4
"""Requests that Graph works on at a time (Microsoft Graph, "Throttling limits", Outlook: per app and mailbox)."""


class Places:
    """Lets `AT_ONCE` requests through at a time, in the order of asking; a batch takes a place for each part of it."""

    def __init__(self) -> None:
        self._free = AT_ONCE
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, number: int) -> AsyncIterator[None]:
        """Wait for *number* places, and hold them."""
        await self._take(number)
        try:
            yield
        finally:
            self._give_back(number)

    async def _take(self, number: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((number, turn))
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it had its turn, and does not want it any more
                self._give_back(number)
            raise

    def _give_back(self, number: int) -> None:
        self._free += number
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            number, turn = self._waiting[0]
            if not turn.cancelled():
                if number > self._free:
                    return
                self._free -= number
                turn.set_result(None)
            self._waiting.popleft()


_KNOWN: WeakKeyDictionary[Credential, dict[str, Places]] = WeakKeyDictionary()


def places_of(credential: Credential, mailbox: str) -> Places:
    """Return the places of one app at one mailbox, the same to all who ask."""
    return _KNOWN.setdefault(credential, {}).setdefault(mailbox.casefold(), Places())
