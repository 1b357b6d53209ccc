"""Waiting until the server says that a folder has changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from checks.errors import MailboxUnreadable
from checks.wire.imap.session import Session

_RENEWAL = 540.0
"""Seconds in one IDLE: Exchange and many a firewall drop a quiet connection long before RFC 2177's 29 minutes."""


def listen(folder: str, until: float, interrupted: Callable[[], bool], session: Session) -> bool:
    """Wait for news of *folder* by IDLE (RFC 2177); False at *until*, or once *interrupted* says so.

    *interrupted* is asked after every ring of the session's doorbell. A server without IDLE tells no news of its own
    accord, nor does one that refuses it, or has ended it by itself: there the time passes, unless the connection is
    closed.
    """
    steady = session.transport.steady
    while not interrupted():
        opened = session.selected(folder)
        # Once only: a server that repeats its news with every answer would be looked at without end.
        session.hurried = session.overheard and not session.hurried
        if session.hurried:
            return True
        _start(session)
        turn = min(until, steady() + _RENEWAL)
        while not (session.client.news or interrupted() or steady() >= turn):
            session.transport.pause(turn)
            session.dialogue.exchange("listen to the server", partial(_hear, session))
        session.dialogue.exchange("end IDLE", session.client.wire.finish_idle)
        if session.client.news or session.is_void(opened):
            return True
        if steady() >= until:
            return False
    return False


def _start(session: Session) -> None:
    """Start IDLE; a refusal is no failure of the connection, and holds for as long as that lasts."""
    if session.idles and session.client.has_capability("IDLE"):
        session.idles = session.dialogue.exchange("start IDLE", session.client.wire.start_idle)


def _hear(session: Session) -> None:
    connected = session.transport.take_in()
    session.client.wire.hear()
    if not session.client.news and session.client.stated_validity is None:
        session.client.forget()  # "OK Still here": it would add up for as long as nothing happens
    if not connected:
        raise MailboxUnreadable("closed", "the server closed the connection")
