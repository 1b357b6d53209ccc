"""Fetch parts of messages, and find the one message that cannot be fetched among those that can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from checks.core.model import MessageRef
from checks.errors import MailboxUnreadable
from checks.ports import MailboxReader

_log = structlog.get_logger("watch")
_TRIES = 3  # of a header: one together with the others of its page, and two alone
# What a single message can bring about: an answer that breaks the grammar or the connection, takes too long, or is an
# error of the server's own. All else (throttled, login, connect) befalls the mailbox, whatever is asked of it.
_BLAMED = frozenset({"protocol", "closed", "timeout", "unavailable"})


@dataclass(slots=True)
class Fetches:
    """Remembers how often fetching each message failed: one that fails each time must not blind us for good.

    Messages that were part of a fetch that failed are fetched one by one from then on, so that only the one under way
    is blamed. What could be fetched is kept for the next round.
    """

    reader: MailboxReader
    _failures: Counter[MessageRef] = field(default_factory=Counter)
    _blocks: dict[MessageRef, bytes] = field(default_factory=dict)

    async def headers(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks; those of messages that are gone, or given up, are left out.

        Raises:
            MailboxUnreadable: some are lacking still; what was fetched need not be asked for again.
        """
        lacking = [ref for ref in refs if ref not in self._blocks and not self.given_up(ref)]
        together = [ref for ref in lacking if not self._failures[ref]]
        for some in [together, *([ref] for ref in lacking if self._failures[ref])]:
            if some:
                with self._blaming(some):
                    self._blocks.update(await self.reader.headers(some))
        return {ref: self._blocks[ref] for ref in refs if ref in self._blocks}

    async def headers_now(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks as they are now: none is kept from an earlier round, nor for a later one."""
        self._let_go(refs)
        try:
            return await self.headers(refs)
        finally:
            self._let_go(refs)

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        """Fetch the first *limit* bytes of a message; None if it is gone.

        Raises:
            MailboxUnreadable: it failed; once it is `given_up` it should not be tried again.
        """
        with self._blaming([ref]):
            return await self.reader.content(ref, limit)

    def given_up(self, ref: MessageRef) -> bool:
        """Tell whether fetching this message has failed too often."""
        return self._failures[ref] >= _TRIES

    def forget(self, refs: Iterable[MessageRef]) -> None:
        """Drop what is remembered of messages that are dealt with."""
        for ref in refs:
            self._failures.pop(ref, None)
            self._blocks.pop(ref, None)

    def _let_go(self, refs: Sequence[MessageRef]) -> None:
        for ref in refs:
            self._blocks.pop(ref, None)

    @contextmanager
    def _blaming(self, refs: Sequence[MessageRef]) -> Iterator[None]:
        try:
            yield
        except MailboxUnreadable as error:
            if error.reason in _BLAMED:
                self._failures.update(refs)
                for ref in filter(self.given_up, refs):
                    _log.warning("message.not_fetched", folder=ref.folder, uid=ref.uid, why=error.detail)
            raise
