"""Stage: verdict. Turns facts in the ledger into final verdicts, each told exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from agent.ledger import Judgement, Ledger, LedgerError
from checks.core import verdict
from checks.core.model import Canary, Conclusion, Facts, Pending
from checks.ports import Clock

_log = structlog.get_logger("judge")
_LONGEST_NAP = 5.0
_RETRY_LEDGER = 2.0


class Judge:
    """Judges canaries when they fall due, or when `wake` says that there is something new.

    `concluded` is told of each canary once its verdict is in the ledger.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: Ledger,
        wants_look: Callable[[str], None],
        concluded: Callable[[Canary, Conclusion], None] | None = None,
    ) -> None:
        self._concluded = concluded
        self._clock = clock
        self._ledger = ledger
        self._wants_look = wants_look
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a new fact is in the ledger."""
        self._news.set()

    async def run(self) -> None:
        """Judge for ever."""
        while True:
            self._news.clear()
            try:
                pause = await self.once()
            except LedgerError as error:
                _log.error("judge.ledger_failed", why=str(error))
                pause = _RETRY_LEDGER
            if pause > 0:
                await self._nap(pause)

    async def once(self) -> float:
        """Judge what is due; return for how many seconds nothing will be, unless news come."""
        now = self._clock.steady()
        due = await self._ledger.due(now)
        if not due:
            upcoming = await self._ledger.next_due()
            return _LONGEST_NAP if upcoming is None else min(_LONGEST_NAP, upcoming - now)
        judgements = [Judgement(due=one, result=verdict.judge(one.facts, now)) for one in due]
        new = {conclusion.canary for conclusion in await self._ledger.judged(judgements, at=now)}
        self._ask_for_looks(judgements, now)
        for judgement in judgements:
            if isinstance(judgement.result, Conclusion) and judgement.result.canary in new:
                log_conclusion(judgement.result, judgement.due.facts)
                if self._concluded is not None:
                    self._concluded(judgement.due.facts.canary, judgement.result)
        return 0.0

    def _ask_for_looks(self, judgements: Sequence[Judgement], now: float) -> None:
        """A canary at its deadline is lost only after one more look: ask for it now.

        Not for one that is still being sent: whatever a look shows, nothing is decided before its attempt is known.
        """
        waiting = {
            judgement.due.facts.canary.check.mailbox
            for judgement in judgements
            if isinstance(judgement.result, Pending)
            and judgement.result.deadline_at <= now
            and not judgement.due.facts.being_sent
        }
        for mailbox in waiting:
            self._wants_look(mailbox)

    async def _nap(self, seconds: float) -> None:
        """Wait for news or for time to pass, whichever comes first."""
        news = asyncio.ensure_future(self._news.wait())
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({news, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
            alarm.cancel()


def log_conclusion(conclusion: Conclusion, facts: Facts) -> None:
    """Write the one canonical line of a canary."""
    check = facts.canary.check
    _log.info(
        "canary.concluded",
        check=check.name,
        path=check.path,
        canary=conclusion.canary,
        verdict=conclusion.verdict.value,
        outcome=conclusion.outcome.value,
        reasons=list(conclusion.reasons),
        submission=_rounded(conclusion.submission),
        delivery=_rounded(conclusion.delivery),
        end_to_end=_rounded(conclusion.end_to_end),
        observation_gap=_rounded(conclusion.observation_gap),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
