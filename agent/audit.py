"""Hold the books against the rows while the agent runs, as ``relaycanary ledger verify`` does from outside."""

from __future__ import annotations

import structlog

from agent.ledger import Ledger, LedgerError
from agent.status import Audited
from checks.ports import Clock

_log = structlog.get_logger("audit")
_EVERY = 300.0
_REST = 100.0  # times as long as the last audit took: a ledger of millions of rows is read for 1 % of the time,
_LONGEST_REST = 21600.0  # unless that would be for ever: an audit during which the machine slept took long, too


class Auditor:
    """Audits the ledger at the start and from time to time. `last` is None before the first audit is through."""

    def __init__(self, *, clock: Clock, ledger: Ledger) -> None:
        self._clock = clock
        self._ledger = ledger
        self._told: list[str] = []
        self.last: Audited | None = None

    async def run(self) -> None:
        """Audit for ever. What cannot be read now is read the next time; until then the old finding stands."""
        while True:
            began = self._clock.steady()
            try:
                await self._once(began)
            except LedgerError as error:
                _log.error("ledger.not_audited", why=str(error))
            took = self._clock.steady() - began
            await self._clock.sleep(max(_EVERY, min(_REST * took, _LONGEST_REST)))

    async def _once(self, now: float) -> None:
        problems = await self._ledger.verify()
        self.last = Audited(problems=len(problems), at=now)
        if problems and problems != self._told:
            _log.error("ledger.inconsistent", problems=problems)
        self._told = problems
