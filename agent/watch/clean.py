"""Delete our own canaries, their copies and bounces, after their time; nothing else, ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from agent.ledger import Ledger, Stored
from agent.watch.interpret import Interpreter
from checks.errors import MailboxUnreadable
from checks.ports import Clock, MailboxReader

_log = structlog.get_logger("watch")
_EVERY = 600.0
_AT_ONCE = 100  # of each folder
_OF_THE_MAILBOX = frozenset({"connect", "tls", "token", "login", "local", "throttled"})  # what no folder is spared


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
        old = _by_folder(await self.ledger.deletable(self.mailbox, before=now - self.keep, limit=_AT_ONCE))
        failure: MailboxUnreadable | None = None
        for folder, stored in old.items():
            try:
                if await self._clean(folder, stored) and len(stored) >= _AT_ONCE:
                    self._again_at = now + 1.0
            except MailboxUnreadable as error:
                if error.reason in _OF_THE_MAILBOX:
                    raise
                failure = failure or error
        if failure is not None:
            raise failure

    async def _clean(self, folder: str, old: Sequence[Stored]) -> bool:
        """Delete what is old in one folder; tell whether any of it is dealt with.

        A folder that is not watched any more and cannot be opened was renamed or deleted: what lay there is given up.
        """
        try:
            settled = await self._delete(old)
        except MailboxUnreadable as error:
            if error.reason != "folder" or folder in self.reader.folders:
                raise
            _log.warning("folder.given_up", mailbox=self.mailbox, folder=folder, messages=len(old), why=error.detail)
            settled = old
        await self.ledger.deleted(settled, at=self.clock.steady())
        return bool(settled)

    async def _delete(self, old: Sequence[Stored]) -> Sequence[Stored]:
        """Look at each message once more before it goes: the ledger's memory of a place is no proof.

        Return those of *old* that are dealt with. What lies there no more, or never did, is.
        """
        lying = dict(await self.interpreter.canaries_at([stored.ref for stored in old if stored.kind != "bounce"]))
        for stored in old:
            if stored.kind == "bounce" and (bounced := await self.interpreter.bounced_at(stored.ref)) is not None:
                lying[stored.ref] = bounced
        ours = [stored for stored in old if lying.get(stored.ref) == stored.canary]
        gone = set(await self.reader.delete([stored.ref for stored in ours])) if ours else set()
        left = [stored for stored in ours if stored.ref not in gone]
        return [stored for stored in old if stored not in left and not self.interpreter.given_up(stored.ref)]


def _by_folder(stored: Sequence[Stored]) -> Mapping[str, Sequence[Stored]]:
    folders: dict[str, list[Stored]] = {}
    for one in stored:
        folders.setdefault(one.ref.folder, []).append(one)
    return folders
