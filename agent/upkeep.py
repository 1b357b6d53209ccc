"""What the ledger needs while the agent runs: what is old goes, and nobody else works with it."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agent.ledger import Ledger, LedgerError, LedgerInUse, Retention
from checks.ports import Clock

_log = structlog.get_logger("upkeep")
_PRUNE_EVERY = 300.0
_HOLD_EVERY = 5.0


async def prune(ledger: Ledger, clock: Clock, keeping: Callable[[], Retention | None]) -> None:
    """Let go of what is older than *keeping* says, a little at a time, for ever; None keeps all."""
    while True:
        await clock.sleep(_PRUNE_EVERY)
        keep = keeping()
        if keep is None:
            continue
        try:
            while await ledger.prune(now=clock.steady(), keep=keep):
                await clock.sleep(0.1)
        except LedgerError as error:
            _log.error("ledger.not_pruned", why=str(error))


async def watch_hold(ledger: Ledger, clock: Clock, *, lost: Callable[[], None]) -> None:
    """Call *lost*, once, when the ledger is no longer this agent's alone."""
    while True:
        await clock.sleep(_HOLD_EVERY)
        try:
            ledger.check_hold()
        except LedgerInUse as error:
            _log.error("ledger.not_held", why=str(error))
            lost()
            return
        except LedgerError:  # whoever writes says so
            continue
