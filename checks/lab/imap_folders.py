"""Folders for pymap's dict backend that keep their mail on disk.

pymap does the protocol and the bookkeeping of sessions. What is replaced here is where messages come from and go to,
and three habits of the dict backend that a monitoring agent would notice: an IDLE that misses mail which arrives while
it is writing, a log of changes that grows for ever, and a MIME parse of every message on arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from pymap.backend.dict.mailbox import LoadedMessage, MailboxData, MailboxSet, Message
from pymap.backend.dict.mailbox import _ModSequenceMapping as ModSequences  # the seam it offers has no public name
from pymap.concurrent import Event
from pymap.flags import FlagOp
from pymap.interfaces.message import CachedMessage
from pymap.mime import MessageContent
from pymap.parsing.message import AppendMessage
from pymap.parsing.specials import FetchRequirement, Flag, ObjectId
from pymap.selected import SelectedMailbox

from checks.lab.store import Mail, MailStore, Place, instant
from checks.lab.tenant import FOLDERS, INBOX

_EXPUNGED_KEPT = 10_000  # UIDs; a session further behind than this finds out when it asks for the message
_SEEN = "\\Seen"


class LazyMessage(Message):
    """A message that is parsed when somebody reads it: parsing takes a millisecond and 60 KiB for 4 KiB of mail."""

    __slots__ = ["raw"]

    def __init__(self, uid: int, mail: Mail) -> None:
        super().__init__(uid, instant(mail.arrived), [Flag(flag.encode("ascii")) for flag in mail.flags])
        self.raw = mail.content

    async def load_content(self, requirement: FetchRequirement) -> LoadedMessage:
        """Parse the message, where more than its metadata is asked for."""
        metadata_only = requirement.has_none(FetchRequirement.CONTENT)
        return LoadedMessage(self, requirement, None if metadata_only else _parsed(self.raw))


@lru_cache(maxsize=128)
def _parsed(raw: bytes) -> MessageContent:
    return MessageContent.parse(raw)


class RecentChanges(ModSequences):
    """Which UIDs changed since when, in constant time for each change and without a history that grows."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0
        self._changed: dict[int, int] = {}
        self._gone: dict[int, int] = {}
        self.forgotten = 0
        """Up to this sequence number, messages may have gone without a trace."""

    @property
    def highest(self) -> int:
        """The sequence number of the latest change."""
        return self._now

    def update(self, uids: Iterable[int]) -> None:
        """Note that messages are new or have other flags."""
        self._now += 1
        for uid in uids:
            self._changed.pop(uid, None)
            self._changed[uid] = self._now

    def expunge(self, uids: Iterable[int]) -> None:
        """Note that messages are gone."""
        self._now += 1
        for uid in uids:
            self._changed.pop(uid, None)
            self._gone[uid] = self._now
        while len(self._gone) > _EXPUNGED_KEPT:
            self.forgotten = self._gone.pop(next(iter(self._gone)))

    def find_updated(self, mod_seq: int) -> tuple[frozenset[int], frozenset[int]]:
        """Return the UIDs that were changed, and those that were expunged, after *mod_seq*."""
        changed, gone = _since(self._changed, mod_seq), _since(self._gone, mod_seq)
        return frozenset(uid for _, uid in changed), frozenset(uid for _, uid in gone)

    def after(self, mod_seq: int) -> list[tuple[int, int]]:
        """Return the changes after *mod_seq* in their order, each as its sequence number and a UID."""
        return sorted([*_since(self._changed, mod_seq), *_since(self._gone, mod_seq)])


def _since(changes: dict[int, int], mod_seq: int) -> list[tuple[int, int]]:
    """Walk back from the newest change; the dict is in order of change."""
    found = []
    for uid in reversed(changes):
        if changes[uid] <= mod_seq:
            break
        found.append((changes[uid], uid))
    return found


class DurableFolder(MailboxData):
    """A folder whose messages, flags, UIDs and UIDVALIDITY are in the mail store."""

    def __init__(self, owner: MailboxSet, store: MailStore, place: Place) -> None:
        super().__init__(owner._content_cache, owner._thread_cache)  # noqa: SLF001  what MailboxSet itself does
        self._store = store
        self.place = place
        state = store.folders[place]
        self._uid_validity = state.uid_validity
        self._max_uid = state.next_uid - 1
        self._mod_sequences = self.changes = RecentChanges()
        self._messages = {uid: LazyMessage(uid, mail) for uid, mail in state.mails.items()}
        self._mod_sequences.update(self._messages)
        self._idents_gone: dict[int, str] = {}

    @property
    def mails(self) -> Mapping[int, Mail]:
        """What lies in it, by UID."""
        return self._store.folders[self.place].mails

    def ident_of(self, uid: int) -> str | None:
        """Return the identity of a message that is here, or has been."""
        mail = self.mails.get(uid)
        return mail.ident if mail else self._idents_gone.get(uid)

    async def show(self, uid: int, mail: Mail) -> LazyMessage:
        """Make a stored message visible to the sessions; the caller holds the store's `order`."""
        message = LazyMessage(uid, mail)
        async with self.messages_lock.write_lock():
            self._max_uid = uid
            self._messages[uid] = message
            self._mod_sequences.update([uid])
            self._updated.set()
        return message

    async def update_selected(self, selected: SelectedMailbox, *, wait_on: Event | None = None) -> SelectedMailbox:
        """Bring a session up to date; wait for a change only where it has missed none."""
        seen = selected.mod_sequence
        behind = seen is not None and seen < self._mod_sequences.highest
        return await super().update_selected(selected, wait_on=None if behind else wait_on)

    async def append(self, append_msg: AppendMessage, *, recent: bool = False) -> Message:  # noqa: ARG002  see below
        r"""Add a message of a client. ``\Recent`` is not kept: RFC 9051 has dropped it, and nobody here needs it."""
        when = append_msg.when or datetime.now(UTC)
        flags = tuple(sorted(bytes(flag).decode("ascii") for flag in append_msg.flag_set))
        mail = Mail(content=bytes(append_msg.literal), arrived=when.timestamp(), flags=flags)
        return await self._add(mail)

    async def _add(self, mail: Mail) -> LazyMessage:
        async with self._store.order:
            uid = await self._store.add(self.place, mail)
            return await self.show(uid, mail)

    async def copy(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:  # noqa: ARG002
        """Copy a message into another folder; return its UID there."""
        mail = self.mails.get(uid)
        if mail is None or not isinstance(destination, DurableFolder):
            return None
        twin = Mail(content=mail.content, arrived=mail.arrived, flags=mail.flags)
        return (await destination._add(twin)).uid  # noqa: SLF001  of this class

    async def move(self, uid: int, destination: MailboxData, *, recent: bool = False) -> int | None:  # noqa: ARG002
        """Move a message into another folder; return its UID there."""
        mail = self.mails.get(uid)
        if mail is None or not isinstance(destination, DurableFolder):
            return None
        new_uid = (await destination._add(mail)).uid  # noqa: SLF001  of this class
        await self.delete([uid])
        return new_uid

    async def set_read(self, uid: int, *, read: bool) -> None:
        """Mark a message as read or unread; nothing happens when it is gone."""
        mail, message = self.mails.get(uid), self._messages.get(uid)
        if mail is None or message is None:
            return
        flags = {*mail.flags, _SEEN} if read else {*mail.flags} - {_SEEN}
        message.permanent_flags = frozenset(Flag(flag.encode("ascii")) for flag in flags)
        self._mod_sequences.update([uid])
        self._updated.set()
        await self._store.set_flags(self.place, uid, flags)

    async def update(self, uid: int, cached_msg: CachedMessage, flag_set: frozenset[Flag], mode: FlagOp) -> Message:
        """Change the flags of a message."""
        before = cached_msg.permanent_flags
        message = await super().update(uid, cached_msg, flag_set, mode)
        if message.permanent_flags != before or mode is FlagOp.REPLACE:
            flags = [bytes(flag).decode("ascii") for flag in message.permanent_flags]
            await self._store.set_flags(self.place, uid, flags)
        return message

    async def delete(self, uids: Iterable[int]) -> None:
        """Remove messages for good."""
        gone = [uid for uid in uids if uid in self._messages]
        if gone:
            async with self._store.order:
                self._idents_gone.update((uid, self.mails[uid].ident) for uid in gone if uid in self.mails)
                while len(self._idents_gone) > _EXPUNGED_KEPT:
                    del self._idents_gone[next(iter(self._idents_gone))]
                await self._store.expunge(self.place, gone)
                await super().delete(gone)


class DurableFolders(MailboxSet):
    """The folders of one mailbox. They are fixed, as in the tenant: clients cannot make, rename or delete any."""

    def __init__(self, store: MailStore, mailbox: str) -> None:
        super().__init__()
        self.by_place = {Place(mailbox, name): DurableFolder(self, store, Place(mailbox, name)) for name in FOLDERS}
        self._inbox = self.by_place[Place(mailbox, INBOX)]
        self._set = {place.folder: folder for place, folder in self.by_place.items() if place.folder != INBOX}

    async def add_mailbox(self, name: str) -> ObjectId:
        """Refuse CREATE."""
        raise ValueError(name)

    async def delete_mailbox(self, name: str) -> None:
        """Refuse DELETE."""
        raise KeyError(name)

    async def rename_mailbox(self, before: str, after: str) -> None:  # noqa: ARG002  the interface has it
        """Refuse RENAME."""
        raise KeyError(before)
