"""Delete our own canaries, their copies and bounces, after their time; nothing else, ever."""

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
        """Clean up a little, if it is time; the rest waits for the next round so that looks are not held up.

        Raises:
            checks.errors.MailboxUnreadable: something could not be read or deleted; it waits for the next round too.
            LedgerError: the ledger could not be asked, or told.
        """
        now = self.clock.steady()
        if now < self._again_at:
            return
        self._again_at = now + min(_EVERY, max(1.0, self.keep / 4))
        old = await self.ledger.deletable(self.mailbox, before=now - self.keep, limit=_AT_ONCE)
        if old and await self._delete(old) and len(old) >= _AT_ONCE:
            self._again_at = now + 1.0

    async def _delete(self, old: list[Stored]) -> bool:
        """Look at each message once more before it goes: the ledger's memory of a place is no proof.

        Tell whether any of *old* is dealt with. What lies there no more, or never did, is.
        """
        lying = dict(await self.interpreter.canaries_at([stored.ref for stored in old if stored.kind != "bounce"]))
        for stored in old:
            if stored.kind == "bounce" and (bounced := await self.interpreter.bounced_at(stored.ref)) is not None:
                lying[stored.ref] = bounced
        ours = [stored for stored in old if lying.get(stored.ref) == stored.canary]
        gone = set(await self.reader.delete([stored.ref for stored in ours])) if ours else set()
        settled = [stored for stored in old if stored.ref in gone or stored not in ours]
        await self.ledger.deleted(settled, at=self.clock.steady())
        return bool(settled)
