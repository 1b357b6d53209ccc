"""A logged-in connection and its selected folder; plain blocking calls, for one thread."""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from checks.core.reply import clean_text
from checks.errors import MailboxUnreadable
from checks.ports import Login
from checks.wire.imap.client import Client
from checks.wire.imap.doorbell import Doorbell
from checks.wire.imap.exchange import Dialogue
from checks.wire.imap.login import log_in
from checks.wire.imap.transport import Transport

HIGHEST = 2**32 - 1
"""UIDs are 32 bits (RFC 9051 2.3.1.1)."""

_SHOWN = 10  # folder names in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where to connect: `tls` is implicit, starttls or none; `timeout` limits every exchange, in seconds."""

    host: str
    port: int
    tls: str
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """All that a session begins with: a connected socket, whom to trust, and how to log in."""

    sock: socket.socket
    context: ssl.SSLContext | None
    login: Login


@dataclass(slots=True)
class Folder:
    """A selected folder. Nothing that arrives after SELECT has a UID of `floor` or below (it is UIDNEXT - 1).

    No message has had a UID above `top`, as far as is known: from SELECT, if that told UIDNEXT, and from looks since.
    `cursor` is what the last look into it returned: any other may be from before the server was set back.
    `unsteady` is the UID of a message that had another date than the cursor knew: it may get one at each FETCH.
    """

    name: str
    validity: str
    floor: int
    top: int = -1
    cursor: str = ""
    unsteady: int | None = None

    def __post_init__(self) -> None:
        """Begin with what SELECT told."""
        self.top = max(self.top, self.floor)


class Session:
    """A logged-in connection.

    Every method raises `MailboxUnreadable`; after that the session is good for nothing but to be closed.
    `overheard` tells whether the server has said news in answers to other questions since the last look: it says
    each only once, so that IDLE would wait for them in vain. `hurried` is set while they are being looked into.
    `idles` is unset once the server has refused to IDLE. `attributes` are of folders, as far as they were asked for.
    """

    def __init__(self, server: Server, opening: Opening, doorbell: Doorbell, steady: Callable[[], float]) -> None:
        self.transport = Transport(opening.sock, doorbell, steady)
        self.dialogue = Dialogue(self.transport, server.timeout)
        self.overheard = False
        self.hurried = False
        self.idles = True
        self.attributes: dict[str, frozenset[str]] = {}
        self._selected: Folder | None = None
        try:
            self.client = self._greeted(server, opening.context)
            log_in(self.client, self.dialogue, opening.login)
        except BaseException:
            self.transport.close()
            raise

    def _greeted(self, server: Server, context: ssl.SSLContext | None) -> Client:
        where = f"{server.host}, port {server.port}"
        if context is not None and server.tls == "implicit":
            self.dialogue.exchange(f"start TLS with {where}", lambda: self.transport.start_tls(context, server.host))
        greeting = partial(Client, self.transport, server.host, server.port)
        client: Client = self.dialogue.exchange(f"get a greeting from {where}", greeting)
        if context is not None and server.tls == "starttls":
            if "STARTTLS" not in client.offered:
                raise MailboxUnreadable("tls", f"could not start TLS with {where}: the server does not offer STARTTLS")
            self.dialogue.exchange(f"start TLS with {where}", lambda: client.wire.starttls(context), refused="tls")
        return client

    def current(self, name: str) -> Folder:
        """Select *name* if need be, and have the server show what is new in it."""
        before = self._still_selected(name)
        if before is not None:
            # Without it Exchange may lag behind, and Dovecot answers a FETCH from what it has shown before.
            self.dialogue.exchange(f"ask for news of {name}", self.client.no_operation)
        return self.selected(name)

    def selected(self, name: str) -> Folder:
        """Select *name* unless it is selected, and its UIDs have not become void since."""
        return self._still_selected(name) or self._select(name)

    def _still_selected(self, name: str) -> Folder | None:
        if self._selected is not None and (self._selected.name != name or self.is_void(self._selected)):
            self._selected = None
        self.overheard |= self.client.news
        self.client.forget()
        return self._selected

    def is_void(self, folder: Folder) -> bool:
        """Tell whether the server has, in its last words, given *folder* another UIDVALIDITY."""
        return self.client.stated_validity not in {None, folder.validity}

    def hung_up(self) -> bool:
        """Tell whether the server has ended the connection while nothing was asked of it."""
        return not self.transport.take_in() or self.transport.has_goodbye

    def close(self, *, politely: bool = False) -> None:
        """Close the connection; *politely* with a LOGOUT, whose answer nobody waits for."""
        done = b"DONE\r\n" if self.client.wire.idling else b""
        self.transport.close(done + b"bye LOGOUT\r\n" if politely else b"")

    def _select(self, name: str) -> Folder:
        try:
            aim = f"open the folder {name}"
            validity, following = self.dialogue.exchange(aim, lambda: self._select_or_examine(name), refused="folder")
        except MailboxUnreadable as error:
            if error.reason == "folder":
                raise MailboxUnreadable("folder", f"{error.detail}; folders there: {self._names()}") from None
            raise
        self.client.forget()
        if validity is None:
            raise MailboxUnreadable("protocol", f"could not open the folder {name}: the server gives no UIDVALIDITY")
        if following is None:
            self._selected = Folder(name, str(validity), 0, HIGHEST)
        else:
            self._selected = Folder(name, str(validity), following - 1)
        return self._selected

    def _select_or_examine(self, name: str) -> tuple[int | None, int | None]:
        """Open *name*; return its UIDVALIDITY and UIDNEXT, as far as the server tells them."""
        try:
            answer = self.client.select_folder(name)
        except imaplib.IMAP4.readonly:  # how imaplib puts that we may only read there, which is enough for a look
            self.client.forget()
            answer = self.client.select_folder(name, readonly=True)
        return answer.get(b"UIDVALIDITY"), answer.get(b"UIDNEXT")

    def _names(self) -> str:
        try:
            folders = self.dialogue.exchange("list the folders", self.client.list_folders)
        except MailboxUnreadable:
            return "not known"
        names = sorted(str(name) for _, _, name in folders)
        shown = [clean_text(name, 60) for name in names[:_SHOWN]]
        return ", ".join(shown + ["..."] * (len(names) > _SHOWN)) or "none"
