"""Looking around in a mailbox over IMAP: its folders, its quota, the server's certificates."""

from __future__ import annotations

import imaplib
from collections.abc import Sequence
from functools import partial
from typing import Any

from imapclient.response_parser import parse_response

from checks.core.reply import clean_text
from checks.errors import MailboxUnreadable
from checks.wire.imap.session import Session
from checks.wire.imap.uses import attribute
from checks.wire.survey import FolderEntry, Quota, Survey

_MAX_FOLDERS = 1000
_MAX_NAME = 200
_KIB = 1024


def survey(watched: Sequence[str], session: Session) -> Survey:
    """Look around in the mailbox; nothing in it is changed, no message becomes read.

    Raises:
        MailboxUnreadable: the connection failed, or the server does not list the folders.
    """
    entries = session.dialogue.exchange("list the folders", session.client.list_folders)
    folders = [
        FolderEntry(clean_text(str(name), _MAX_NAME), frozenset(attribute(flag) for flag in flags))
        for flags, _, name in entries[:_MAX_FOLDERS]
    ]
    return Survey(
        folders=folders,
        unopened=_unopened(watched, session),
        quota=_quota(session) if session.client.has_capability("QUOTA") else None,
        chain=session.transport.sent_chain(),
    )


def _unopened(watched: Sequence[str], session: Session) -> dict[str, str]:
    """Open every watched folder as a look would, and keep what the server says against it."""
    failed = {}
    for name in watched:
        try:
            session.selected(name)
        except MailboxUnreadable as error:
            if error.reason != "folder":
                raise
            failed[name] = error.detail
    return failed


def _quota(session: Session) -> Quota | None:
    """Ask for the quota of INBOX; None where there is none on storage, or the server will not tell."""
    try:
        lines = session.dialogue.exchange("ask for the quota", partial(_ask, session.client.wire), refused="quota")
    except MailboxUnreadable as error:
        if error.reason != "quota":
            raise
        return None
    return next((quota for line in lines if (quota := _storage(line))), None)


def _ask(wire: imaplib.IMAP4) -> list[bytes]:
    typ, (_roots, quotas) = wire.getquotaroot("INBOX")
    if typ != "OK":
        raise imaplib.IMAP4.error("refused")
    return [line for line in quotas if isinstance(line, bytes)]


def _storage(line: bytes) -> Quota | None:
    """Read ``"root" (STORAGE 10 512)``; the numbers are units of 1024 bytes (RFC 9208 5.1)."""
    parsed: Any = parse_response([line])
    words = next((part for part in parsed if isinstance(part, tuple)), ())
    for kind, used, limit in zip(words[::3], words[1::3], words[2::3], strict=False):
        if isinstance(kind, bytes) and kind.upper() == b"STORAGE" and isinstance(used, int) and isinstance(limit, int):
            return Quota(used * _KIB, limit * _KIB)
    return None
