"""How long a reader waits for the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from agent.ledger import LedgerError

_T = TypeVar("_T")
_SECONDS = 5.0


async def in_time(work: Awaitable[_T]) -> _T:
    """Wait for what the ledger answers.

    Raises:
        LedgerError: it says no, or nothing for five seconds.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            return await work
    except TimeoutError:
        raise LedgerError("the ledger does not answer") from None
