"""Delete our own canaries, and bounces of them, after their time; nothing else, ever."""

from __future__ import annotations

from dataclasses import dataclass

from agent.ledger import Ledger, Stored
from agent.watch.interpret import Interpreter
from checks.ports import Clock, MailboxReader

_EVERY = 600.0
_AT_ONCE = 100


@dataclass(slots=True, kw_only=True)
class Cleaner:
    """Cleans one mailbox. `keep` is how long canaries stay, in seconds."""

    mailbox: str
    reader: MailboxReader
    ledger: Ledger
    clock: Clock
    interpreter: Interpreter
    keep: float
    _again_at: float = 0.0

    async def now_and_then(self) -> None:
        """Clean up a little, if it is time; the rest waits for the next round so that looks are not held up."""
        now = self.clock.steady()
        if now < self._again_at:
            return
        old = await self.ledger.deletable(self.mailbox, before=now - self.keep, limit=_AT_ONCE)
        if old:
            await self._delete(old)
        self._again_at = now + (1.0 if len(old) >= _AT_ONCE else min(_EVERY, max(1.0, self.keep / 4)))

    async def _delete(self, old: list[Stored]) -> None:
        """Look at each message once more before it goes: the ledger's memory of a place is no proof."""
        ours: list[Stored] = []
        for stored in old:
            verify = self.interpreter.own if stored.kind == "sighting" else self.interpreter.own_bounce
            if await verify(stored.ref):
                ours.append(stored)
        gone = set(await self.reader.delete([stored.ref for stored in ours])) if ours else set()
        settled = [stored for stored in old if stored.ref in gone or stored not in ours]
        await self.ledger.deleted(settled, at=self.clock.steady())
