"""What a folder is for, as the server tells it: its special use (RFC 6154)."""

from __future__ import annotations

from functools import partial

from checks.core.reply import clean_text
from checks.wire.imap.session import Session

_MAX_NAME = 200


def special_uses(folder: str, session: Session) -> frozenset[str] | None:
    """Return the attributes of *folder* ("junk", "sent"), which are told once a connection.

    None if the server refuses to tell them: a refusal says nothing about the folder, and the next look asks again.
    """
    if folder not in session.attributes:
        told = _listed(folder, session)
        if told is None:
            return None
        session.attributes[folder] = told
    return session.attributes[folder]


def attribute(flag: bytes | str) -> str:
    """Return an attribute without its backslash, in lower case."""
    text = flag.decode("ascii", "replace") if isinstance(flag, bytes) else str(flag)
    return clean_text(text, _MAX_NAME).removeprefix("\\").lower()


def _listed(folder: str, session: Session) -> frozenset[str] | None:
    ask = partial(session.client.list_folders, "", folder)
    entries = session.dialogue.unless_refused(f"list the folder {folder}", ask)
    if entries is None:
        return None
    # A name with a wildcard in it lists others too.
    return frozenset(attribute(flag) for flags, _, name in entries if str(name) == folder for flag in flags)
