"""The mail of the lab, on disk: what is on its way, and what lies in the folders, with UIDs that survive a restart."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.lab.journal import Entry, Journal
from checks.lab.tenant import ACCOUNTS, FOLDERS


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a mailbox."""

    mailbox: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consignment:
    """One copy of a message on its way to one folder."""

    place: Place
    due: float
    """When it arrives, in seconds since 1970."""
    trace: dict[str, Any]
    """How it came, for the headers that are stamped on arrival."""
    content: bytes
    flags: tuple[str, ...] = ()
    key: str = field(default_factory=lambda: secrets.token_hex(12))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message in a folder."""

    content: bytes
    arrived: float
    """Seconds since 1970."""
    flags: tuple[str, ...] = ()
    ident: str = field(default_factory=lambda: secrets.token_hex(12))
    """Stays with the message when it moves to another folder of its mailbox."""


@dataclass(slots=True)
class FolderState:
    """What is known of a folder without looking into its messages."""

    uid_validity: int
    next_uid: int = 1
    mails: dict[int, Mail] = field(default_factory=dict)

    def entry(self) -> Entry:
        """Return what has to survive even when the last message is gone."""
        return Entry({"uid_validity": self.uid_validity, "next_uid": self.next_uid})


class MailStore:
    """All mail. Changes are durable when the method returns.

    Whoever adds or removes messages holds `order` until the IMAP server shows the change, so that UIDs appear in the
    order in which they were given.
    """

    def __init__(self, path: Path, now: datetime) -> None:
        self._journal = Journal(path)
        self.order = asyncio.Lock()
        self.on_the_way: dict[str, Consignment] = {}
        # RFC 9051 section 2.3.1.1: it may only grow, should a folder ever be made anew; seconds since 1970 do.
        validity = int(now.timestamp())
        places = [Place(account.mailbox, folder) for account in ACCOUNTS for folder in FOLDERS]
        self.folders = {place: FolderState(validity) for place in places}
        self._where: dict[tuple[str, str], tuple[Place, int]] = {}
        self._load()

    def _load(self) -> None:
        flags: list[tuple[Place, int, tuple[str, ...]]] = []
        for key, entry in self._journal.items():
            kind, _, rest = key.partition("/")
            if kind == "way":
                self.on_the_way[rest] = _consignment(rest, entry)
                continue
            mailbox, folder, *uid = rest.split("/")
            place = Place(mailbox, folder)
            if (state := self.folders.get(place)) is None:
                continue
            match kind:
                case "folder":
                    state.uid_validity, state.next_uid = entry.facts["uid_validity"], entry.facts["next_uid"]
                case "flags":
                    flags.append((place, int(uid[0]), tuple(entry.facts["flags"])))
                case _:
                    state.mails[int(uid[0])] = _mail(entry)
        for place, number, now_set in flags:
            self.folders[place].mails[number] = replace(self.folders[place].mails[number], flags=now_set)
        for place, state in self.folders.items():
            self._where.update({(place.mailbox, mail.ident): (place, uid) for uid, mail in state.mails.items()})

    def find(self, mailbox: str, ident: str) -> tuple[Place, int] | None:
        """Return the folder and the UID of a message, wherever in its mailbox it lies now."""
        return self._where.get((mailbox, ident))

    async def save_folders(self) -> None:
        """Make the UIDVALIDITY of new folders durable, before anybody sees it."""
        await self._journal.commit({_key("folder", place): state.entry() for place, state in self.folders.items()})

    async def accept(self, consignments: Sequence[Consignment]) -> None:
        """Take responsibility for messages.

        Raises:
            OSError: the disk did not take them.
        """
        await self._journal.commit({f"way/{one.key}": _way_entry(one) for one in consignments})
        self.on_the_way.update((one.key, one) for one in consignments)

    async def deliver(self, arrivals: Sequence[tuple[Consignment, Mail]]) -> list[int]:
        """Move messages from the way into their folders, in one step; return their UIDs."""
        put: dict[str, Entry] = {}
        uids = [self._place(one.place, mail, put) for one, mail in arrivals]
        await self._journal.commit(put, [f"way/{one.key}" for one, _ in arrivals])
        for (one, mail), uid in zip(arrivals, uids, strict=True):
            self.on_the_way.pop(one.key, None)
            self._show(one.place, uid, mail)
        return uids

    async def add(self, place: Place, mail: Mail) -> int:
        """Put a message into a folder (IMAP APPEND, COPY, MOVE); return its UID."""
        put: dict[str, Entry] = {}
        uid = self._place(place, mail, put)
        await self._journal.commit(put)
        self._show(place, uid, mail)
        return uid

    def _show(self, place: Place, uid: int, mail: Mail) -> None:
        self.folders[place].mails[uid] = mail
        self._where[place.mailbox, mail.ident] = place, uid

    def _place(self, place: Place, mail: Mail, put: dict[str, Entry]) -> int:
        # A UID is never given twice, not even when the disk refuses the message that was to have it.
        state = self.folders[place]
        uid, state.next_uid = state.next_uid, state.next_uid + 1
        facts = {"arrived": mail.arrived, "flags": mail.flags, "ident": mail.ident}
        put[_key("mail", place, uid)] = Entry(facts, mail.content)
        put[_key("folder", place)] = state.entry()
        return uid

    async def set_flags(self, place: Place, uid: int, flags: Collection[str]) -> None:
        """Change the flags of a message; nothing happens when it is gone."""
        if (mail := self.folders[place].mails.get(uid)) is None:
            return
        changed = replace(mail, flags=tuple(sorted(flags)))
        self.folders[place].mails[uid] = changed
        await self._journal.commit({_key("flags", place, uid): Entry({"flags": changed.flags})})

    async def expunge(self, place: Place, uids: Collection[int]) -> None:
        """Remove messages for good."""
        keys = [_key(kind, place, uid) for uid in uids for kind in ("mail", "flags")]
        await self._journal.commit(delete=keys)
        for uid in uids:
            mail = self.folders[place].mails.pop(uid, None)
            # A message that has moved is known by its new place already.
            if mail is not None and self._where.get((place.mailbox, mail.ident)) == (place, uid):
                del self._where[place.mailbox, mail.ident]

    async def close(self) -> None:
        """Finish what is being written."""
        await self._journal.close()


def _key(kind: str, place: Place, uid: int | None = None) -> str:
    return "/".join([kind, place.mailbox, place.folder, *([] if uid is None else [str(uid)])])


def _mail(entry: Entry) -> Mail:
    facts: Mapping[str, Any] = entry.facts
    known = {"ident": facts["ident"]} if "ident" in facts else {}  # mail of an older lab has none
    return Mail(content=entry.body, arrived=facts["arrived"], flags=tuple(facts["flags"]), **known)


def _way_entry(one: Consignment) -> Entry:
    place = [one.place.mailbox, one.place.folder]
    return Entry({"place": place, "due": one.due, "trace": one.trace, "flags": one.flags}, one.content)


def _consignment(key: str, entry: Entry) -> Consignment:
    facts: Mapping[str, Any] = entry.facts
    return Consignment(
        key=key,
        place=Place(*facts["place"]),
        due=facts["due"],
        trace=facts["trace"],
        flags=tuple(facts["flags"]),
        content=entry.body,
    )


def instant(seconds: float) -> datetime:
    """Turn seconds since 1970 into an aware time."""
    return datetime.fromtimestamp(seconds, UTC)
