"""Looking into a folder, reading messages as evidence, and deleting our own.

State is kept by UID, never by counting EXISTS: what the server says about sequence numbers may cross our commands.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from imapclient import DELETED
from imapclient.datetime_util import format_criteria_date

from checks.core.model import MessageRef
from checks.errors import MailboxUnreadable
from checks.ports import Look
from checks.wire.imap.client import Client
from checks.wire.imap.cursor import Cursor, in_seconds
from checks.wire.imap.exchange import SMALL
from checks.wire.imap.fetch import (
    FIELDS_LIMIT,
    HEADER_LIMIT,
    RECOGNITION,
    STORED,
    WHOLE_HEADER,
    Answer,
    as_set,
    first_bytes,
    message,
    section,
    stored,
)
from checks.wire.imap.session import HIGHEST, Folder, Session

PAGE = 500
"""Messages that one look returns at most."""

_BATCH = 50  # messages whose whole headers are fetched, or which are deleted, by one command
_OVERLAP = 100  # UIDs below the newest with which the first look begins where the server dates nothing late enough
_OVERHEAD = 4096  # bytes of an answer around the data of one message


def look(folder: str, cursor: str | None, since: datetime, session: Session) -> Look:
    """Return the messages of *folder* above *cursor*, at most `PAGE` of them.

    Without a usable cursor it begins with the first message that the server dates no earlier than the day before
    *since*: SEARCH knows only days, in the server's time zone. So it may begin two days too early, but never too late.
    Where the server dates nothing so late, as one does whose clock is slow, it begins with the newest messages, and
    marks them as overlap: where the folder is only quiet they are old mail.
    """
    opened = session.current(folder)
    session.overheard = False
    start = _position(cursor, opened)
    if start is not None and cursor != opened.cursor and _is_another(session, opened, start):
        opened.unsteady, start = start.uid, None
    found = _page(session, opened, start) if start else _beginning(session, opened, since)
    opened.cursor = found.cursor
    return found


def headers(folder: str, refs: Sequence[MessageRef], session: Session) -> Mapping[MessageRef, bytes]:
    """Fetch whole header blocks, of `HEADER_LIMIT` bytes at most; messages that are gone are left out.

    A header with nothing in it is how a server may tell that another client has just expunged a message (RFC 2180
    4.1.3).
    """
    mine = _mine(session.current(folder), refs)
    found = {}
    for batch in _batches(mine):
        allowance = SMALL + len(batch) * (HEADER_LIMIT + _OVERHEAD)
        ask = partial(session.client.fetch_set, as_set(batch), WHOLE_HEADER)
        answers = session.dialogue.exchange(f"read headers in {folder}", ask, allowance=allowance)
        blocks = {uid: section(answers.get(uid, {}), HEADER_LIMIT) for uid in batch}
        found.update({mine[uid]: block for uid, block in blocks.items() if block})
    return found


def content(ref: MessageRef, limit: int, session: Session) -> bytes | None:
    """Fetch the first *limit* bytes of a message; None if it is gone."""
    for uid in _mine(session.current(ref.folder), [ref]):
        ask = partial(session.client.fetch_set, str(uid), first_bytes(limit))
        answers = session.dialogue.exchange(f"read a message in {ref.folder}", ask, allowance=SMALL + limit)
        return section(answers.get(uid, {}), limit)
    return None


def delete(folder: str, refs: Sequence[MessageRef], session: Session) -> Sequence[MessageRef]:
    """Delete exactly *refs*; return those that are not there any more.

    A reference of another UIDVALIDITY names nothing that could be found, so it is left alone. Only UID EXPUNGE
    (RFC 4315) removes no more than it is told. Where the server does not have it the messages stay, marked as
    deleted: EXPUNGE would also remove what other people have marked.
    """
    mine = _mine(session.current(folder), refs)
    gone: list[MessageRef] = []
    for batch in _batches(mine):
        erase = partial(_erase, session.client, batch)
        left = session.dialogue.exchange(f"delete messages in {folder}", erase, refused="folder")
        gone += [mine[uid] for uid in batch if uid not in left]
    return gone


def _erase(client: Client, uids: Sequence[int]) -> Sequence[int]:
    """Delete *uids*; return those that are still there."""
    client.add_flags(uids, [DELETED], silent=True)
    if client.has_capability("UIDPLUS"):
        client.uid_expunge(uids)
    return client.find("UID", as_set(uids))


def _position(cursor: str | None, folder: Folder) -> Cursor | None:
    """Read a cursor; None if there is none, it is of another UIDVALIDITY, or above all that has ever been there.

    The last is so where a server was set back to an earlier day and kept its UIDVALIDITY, though it must not: what
    arrives then gets UIDs below the cursor, and would never be seen.
    """
    read = Cursor.read(cursor)
    return read if read is not None and read.validity == folder.validity and read.uid <= folder.top else None


def _is_another(session: Session, folder: Folder, cursor: Cursor) -> bool:
    """Tell whether another message lies at *cursor* than did when it was written.

    That is so where a server was set back, and so much has arrived since that its UIDs have passed the cursor. A
    message that is gone tells nothing: they are moved and deleted every day. A server may refuse to speak of one that
    another client has expunged (RFC 2180 4.1.2).
    """
    if cursor.stored is None:
        return False
    ask = partial(session.client.fetch_set, str(cursor.uid), STORED)
    answers = session.dialogue.unless_refused(f"look into {folder.name}", ask) or {}
    found = in_seconds(stored(answers.get(cursor.uid, {})))
    return found is not None and found != cursor.stored


def _beginning(session: Session, folder: Folder, since: datetime) -> Look:
    """Return the first page, which begins so that nothing is missed that came at *since* or later."""
    day = format_criteria_date(since - timedelta(days=1)).decode()
    uids = session.dialogue.exchange(f"search {folder.name}", partial(session.client.find, "SINCE", day))
    if uids:
        return _page(session, folder, Cursor(folder.validity, uids[0] - 1))
    # What has come after SELECT, and what will, is above the floor that SELECT told. What came just before is below
    # it, and dated too early where the server's clock is days slow.
    start = Cursor(folder.validity, max(0, folder.floor - _OVERLAP))
    return _page(session, folder, start, overlap=folder.floor)


def _page(session: Session, folder: Folder, start: Cursor, *, overlap: int = 0) -> Look:
    """Return the messages after *start*; what lies at UID *overlap* or below is shown to be safe only."""
    after = start.uid
    # "*" is the last message, whatever its UID, so the same answer shows whether anything lies beyond the page.
    first, last = min(after + 1, HIGHEST), min(after + PAGE, HIGHEST)
    answers = _recognisable(session, folder, f"{first}:{last},*")
    above = sorted(uid for uid in answers if uid > after)
    page = [uid for uid in above if uid <= last]
    bare = [uid for uid in page if section(answers[uid], FIELDS_LIMIT) is None]
    if bare:
        # They arrived while the server answered: it has told their flags only. To pass over them would lose them.
        answers = {**answers, **_recognisable(session, folder, as_set(bare))}
        page = list(itertools.takewhile(lambda uid: section(answers[uid], FIELDS_LIMIT) is not None, page))
        if not page:
            raise MailboxUnreadable("protocol", f"the server does not tell the header of a message in {folder.name}")
    complete, end = page == above, start
    if page:
        witness = None if page[-1] == folder.unsteady else in_seconds(stored(answers[page[-1]]))
        end = Cursor(folder.validity, page[-1], witness)
    elif not complete:
        after, complete = _across_gap(session, folder, last)
        end = Cursor(folder.validity, after)
    folder.top = max(folder.top, end.uid)
    messages = [message(folder.name, folder.validity, uid, answers[uid], overlap=uid <= overlap) for uid in page]
    return Look(messages=messages, cursor=str(end), complete=complete)


def _recognisable(session: Session, folder: Folder, uids: str) -> Mapping[int, Answer]:
    ask = partial(session.client.fetch_set, uids, RECOGNITION)
    allowance = SMALL + PAGE * (FIELDS_LIMIT + _OVERHEAD)
    answers = session.dialogue.exchange(f"look into {folder.name}", ask, allowance=allowance)
    if session.is_void(folder):
        raise MailboxUnreadable("protocol", f"the UIDVALIDITY of {folder.name} changed during a look")
    return answers


def _across_gap(session: Session, folder: Folder, after: int) -> tuple[int, bool]:
    """Find where to go on when no UID up to *after* is in use; and whether nothing is left to go on to."""
    ask = partial(session.client.find, "UID", f"{after + 1}:*")
    uids = [uid for uid in session.dialogue.exchange(f"search {folder.name}", ask) if uid > after]
    return (uids[0] - 1, False) if uids else (after, True)


def _mine(folder: Folder, refs: Sequence[MessageRef]) -> dict[int, MessageRef]:
    return {int(ref.uid): ref for ref in refs if ref.validity == folder.validity}


def _batches(uids: Mapping[int, MessageRef]) -> Iterator[list[int]]:
    ordered = iter(sorted(uids))
    while batch := list(itertools.islice(ordered, _BATCH)):
        yield batch
