"""How many requests one app may have under way for one mailbox, over all that use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from checks.ports import Credential

AT_ONCE = 4
"""Requests that Graph works on at a time (Microsoft Graph, "Throttling limits", Outlook: per app and mailbox)."""


class Places:
    """Lets `AT_ONCE` requests through at a time; a batch takes a place for each that is in it."""

    def __init__(self) -> None:
        self._free = AT_ONCE
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, number: int) -> AsyncIterator[None]:
        """Wait until *number* places are free, and hold them."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= number)
            self._free -= number
        try:
            yield
        finally:
            self._free += number
            async with self._changed:
                self._changed.notify_all()


_KNOWN: WeakKeyDictionary[Credential, dict[str, Places]] = WeakKeyDictionary()


def places_of(credential: Credential, mailbox: str) -> Places:
    """Return the places of one app at one mailbox, the same to all who ask."""
    return _KNOWN.setdefault(credential, {}).setdefault(mailbox.casefold(), Places())
