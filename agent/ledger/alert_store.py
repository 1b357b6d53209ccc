"""The ledger as alerts see it: one method per fact that is written and per question that is asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from agent.ledger import alerting, outbox
from agent.ledger.alerting import NewPage, Reading, StoredIncident
from agent.ledger.notified import count, succeeded
from agent.ledger.outbox import WaitingPage
from agent.ledger.pulse import Pulse, feel
from agent.ledger.store import Ledger
from agent.ledger.writer import Transaction


@dataclass(frozen=True, slots=True)
class AlertStore:
    """Incidents and the outbox, in the one ledger. Everything raises LedgerError where the database says no."""

    ledger: Ledger

    async def read(self, *, troubled: Collection[str], enough: int, now: float) -> Reading:
        """Read what alerts rest on, from one transaction."""
        return await self.ledger.read(
            lambda connection: alerting.read(connection, troubled=troubled, enough=enough, now=now)
        )

    async def open_states(self) -> Sequence[str]:
        """Read the states of the open incidents, oldest first."""
        return await self.ledger.read(alerting.open_states)

    async def write(self, changed: Sequence[StoredIncident], new: Sequence[NewPage], *, at: float, wall: float) -> None:
        """Write down how incidents changed, together with the pages that tell of it."""
        await self.ledger.write(lambda transaction: alerting.write(transaction, changed, new, at=at, wall=wall))

    async def next_page(
        self, channel: str, now: float, *, but: Collection[int] = ()
    ) -> tuple[WaitingPage | None, float | None]:
        """Return the page for *channel* that is due, none of those in *but*; or else when the next one will be."""
        return await self.ledger.read(lambda connection: outbox.next_page(connection, channel, now, but=but))

    async def retry_all(self, channel: str, *, at: float) -> None:
        """Make everything that waits for *channel* due."""
        await self.ledger.write(lambda transaction: outbox.retry_all(transaction, channel, at=at))

    async def sent(self, page: WaitingPage, *, wall: float) -> None:
        """Write down that a channel took a page."""
        await self.ledger.write(lambda transaction: outbox.sent(transaction, page, wall=wall))

    async def not_sent(self, page: WaitingPage, why: str, *, due_at: float | None) -> None:
        """Write down that a channel did not take a page, and when it is tried again; None: never."""
        await self.ledger.write(lambda transaction: outbox.not_sent(transaction, page, why, due_at=due_at))

    async def abandon(self, kept: Collection[str]) -> dict[str, int]:
        """Give up what waits for channels that are not among those *kept*; return how many pages, by channel."""
        return await self.ledger.write(lambda transaction: outbox.abandon(transaction, kept))

    async def take_back(self, channel: str, severities: Collection[str], *, end: str) -> int:
        """Take back what waits for a channel and has one of these severities; return how many pages."""
        return await self.ledger.write(lambda transaction: outbox.take_back(transaction, channel, severities, end=end))

    async def rename(self, names: Mapping[str, str]) -> None:
        """Call channels by their new names, once in the life of a ledger."""
        await self.ledger.write(lambda transaction: outbox.rename(transaction, names))

    async def pulse(self, checks: Collection[str]) -> Pulse:
        """Read the signs of life of *checks*."""
        return await self.ledger.read(lambda connection: feel(connection, checks))

    async def heartbeat(self) -> None:
        """Note that a beat is due. It is on the disk when this returns, which proves that the ledger is written."""
        await self.ledger.write(lambda transaction: transaction.changes.count("heartbeat", "heartbeats"))

    async def beaten(self, channel: str, result: str, *, wall: float) -> None:
        """Count a beat by what became of it."""

        def work(transaction: Transaction) -> None:
            if result == "sent":
                succeeded(transaction, channel, wall)
            else:
                count(transaction, channel, result)

        await self.ledger.write(work)
