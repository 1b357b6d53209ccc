"""A mailbox that is read over IMAP: Exchange Online, or any server that has IDLE and UIDPLUS."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from checks.core.folders import is_called_junk, is_called_sent
from checks.core.model import MessageRef
from checks.errors import LocalFault, MailboxUnreadable
from checks.ports import Endpoint, Login, Look, Tools
from checks.settings import Address, Duration, Host, Port, Section, Text, wrong
from checks.wire.imap import reading
from checks.wire.imap.connection import Connection
from checks.wire.imap.dial import dial
from checks.wire.imap.idle import listen
from checks.wire.imap.session import Opening, Server, Session
from checks.wire.imap.survey import survey
from checks.wire.imap.uses import special_uses
from checks.wire.survey import Survey
from checks.wire.tls import TlsClient

_Result = TypeVar("_Result")

_PORTS = {"implicit": 993, "starttls": 143, "none": 143}


class ImapSettings(Section):
    """Where the mailbox is, and what to watch in it."""

    host: Host
    """The IMAP server. Example: `outlook.office365.com`"""
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    """`implicit`: TLS from the first byte (RFC 8314); `starttls`: STARTTLS or nothing; `none`: for loopback
    only.

    Example: `starttls`
    """
    port: Port = Field(default_factory=lambda found: _PORTS.get(found.get("tls", ""), 993))
    """The TCP port: 993 for `implicit`, else 143, unless set otherwise. Example: `993`"""
    ca_file: Path | None = None
    """The CAs to trust *instead of* the system's, in PEM. Example: `/etc/relaycanary/imap-ca.pem`"""
    credential: Text
    """The login, one of `credentials`; a bearer token is presented for the mailbox `address`. Example: `outside`"""
    address: Address
    """The address that canaries are sent to. Example: `canary@outside.example`"""
    folders: Annotated[tuple[Text, ...], Field(min_length=1, max_length=20)] = ("INBOX", "Junk Email")
    """The folders to watch; news are awaited in the first. Example: `[INBOX, Junk]`"""
    junk: Text | None = None
    """Which of them is the Junk folder, where neither its name tells, in any language of Exchange, nor the
    server (RFC 6154).

    Example: `Quarantaine`
    """
    sent: Text | None = None
    """Which of them has copies of sent mail, where neither its name, in any language of
    Exchange, nor the server tells.

    Example: `Outgoing`
    """
    timeout: Duration = 30.0
    """How long the server may take for one answer. Example: `20s`"""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tls == "none" and not _is_loopback(self.host):
            raise wrong(f"tls: none would send the login to {self.host} in plain text: use implicit or starttls")
        names = [name.casefold() for name in self.folders]
        if len(set(names)) < len(names):
            raise wrong("a folder is listed twice")
        for key, named in (("junk", self.junk), ("sent", self.sent)):
            if named is not None and named.casefold() not in names:
                raise wrong(f"{key} is {named!r}, which is not one of the folders")
        return self

    def is_junk(self, folder: str) -> bool:
        """Tell whether *folder* is the Junk folder by these settings: what `junk` names, else by its name."""
        return is_called_junk(folder) if self.junk is None else folder.casefold() == self.junk.casefold()

    def is_sent(self, folder: str) -> bool:
        """Tell whether *folder* has copies of sent mail by these settings: what `sent` names, else by its name."""
        return is_called_sent(folder) if self.sent is None else folder.casefold() == self.sent.casefold()


class Imap:
    """Reads one mailbox over at most two connections, each with a thread of its own.

    The first has the first folder selected and listens in it (IDLE) whenever nothing else is asked of it; the other
    folders take turns on the second.
    """

    Settings = ImapSettings

    def __init__(self, name: str, settings: ImapSettings, tools: Tools) -> None:
        if settings.credential not in tools.credentials:
            raise LocalFault(f"mailbox {name}: there is no credential {settings.credential!r}")
        self._settings = settings
        self._credential = tools.credentials[settings.credential]
        self._steady = tools.clock.steady
        self._tls = TlsClient(settings.ca_file)
        self._server = Server(host=settings.host, port=settings.port, tls=settings.tls, timeout=settings.timeout)
        self._shown: Login | None = None
        self._uses: dict[str, frozenset[str]] = {}
        self._woken = threading.Event()
        self._first = Connection(f"imap-{name}-1", self._server, self._dial, self._steady)
        self._second = Connection(f"imap-{name}-2", self._server, self._dial, self._steady)

    @property
    def folders(self) -> Sequence[str]:
        """List the watched folders; `wait` listens on the first."""
        return self._settings.folders

    def is_junk(self, folder: str) -> bool:
        """Tell whether *folder* is the Junk folder: by the settings, or because the server says so.

        What the server says is known from the first look into it on.
        """
        return self._settings.is_junk(folder) or "junk" in self._uses.get(folder, ())

    def is_sent(self, folder: str) -> bool:
        """Tell whether *folder* holds copies of sent mail: by the settings, or because the server says so."""
        return self._settings.is_sent(folder) or "sent" in self._uses.get(folder, ())

    @property
    def poll(self) -> None:
        """IDLE tells of news."""
        return

    async def look(self, folder: str, cursor: str | None, *, since: datetime) -> Look:
        """Return what is new in *folder* after *cursor*, at most `reading.PAGE` messages.

        In the first folder it ends a `wait` that is under way.
        """
        if not self._is_clear(folder):
            told = await self._ask(folder, partial(special_uses, folder))
            if told is not None:
                self._uses[folder] = told
        return await self._ask(folder, partial(reading.look, folder, cursor, since))

    async def wait(self, at_most: float) -> bool:
        """Listen in the first folder; True once the server says that it has changed.

        False after *at_most* seconds, after a `wake`, or when something else is asked of the connection.
        """
        given_up = threading.Event()
        until = self._steady() + at_most
        try:
            return await self._first.run(partial(listen, self.folders[0], until, partial(self._is_wanted, given_up)))
        except asyncio.CancelledError:
            given_up.set()
            self._first.ring()
            raise
        finally:
            self._woken.clear()

    def wake(self) -> None:
        """End the `wait` that is under way, or else the next one, at once."""
        self._woken.set()
        self._first.ring()

    async def headers(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks, 256 KiB of each at most; messages that are gone are left out."""
        found: dict[MessageRef, bytes] = {}
        for folder, mine in _by_folder(refs).items():
            found.update(await self._ask(folder, partial(reading.headers, folder, mine)))
        return found

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        """Fetch the first *limit* bytes of a message; None if it is gone."""
        return await self._ask(ref.folder, partial(reading.content, ref, limit))

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        """Delete exactly these messages for good; return those that are gone now.

        Not among them: references from before a change of UIDVALIDITY, and, on a server without UIDPLUS, messages
        that could only be marked as deleted.
        """
        gone: list[MessageRef] = []
        for folder, mine in _by_folder(refs).items():
            gone += await self._ask(folder, partial(reading.delete, folder, mine))
        return gone

    async def survey(self) -> Survey:
        """Log in and look around: folders, quota, certificates. Nothing in the mailbox is changed."""
        found = await self._ask(self.folders[0], partial(survey, self.folders))
        told = {folder.name: folder.attributes for folder in found.folders}
        self._uses.update({folder: told[folder] for folder in self.folders if folder in told})
        return found

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        return Endpoint(host=self._server.host, port=self._server.port, tls=self._server.tls)

    async def close(self) -> None:
        """Let go of connections and threads; whatever is under way fails."""
        await asyncio.gather(self._first.close(), self._second.close())

    async def _ask(self, folder: str, operation: Callable[[Session], _Result]) -> _Result:
        """Run *operation* on the connection that serves *folder*; a token that is refused is not shown again."""
        connection = self._first if folder == self.folders[0] else self._second
        try:
            return await connection.run(operation)
        except MailboxUnreadable as error:
            if error.reason == "login" and self._shown is not None:
                self._credential.reject(self._shown)
            raise

    def _is_clear(self, folder: str) -> bool:
        """Tell whether it is known what *folder* is for without asking the server."""
        return folder.casefold() == "inbox" or self._settings.is_junk(folder) or self._settings.is_sent(folder)

    def _is_wanted(self, given_up: threading.Event) -> bool:
        return self._woken.is_set() or given_up.is_set() or self._first.busy

    async def _dial(self) -> Opening:
        opening = await dial(self._server, self._tls, self._credential)
        self._shown = opening.login
        if opening.login.bearer:
            # One application reads many mailboxes, so a token does not say which one is meant.
            return replace(opening, login=replace(opening.login, username=self._settings.address))
        return opening


def _by_folder(refs: Sequence[MessageRef]) -> dict[str, list[MessageRef]]:
    folders: dict[str, list[MessageRef]] = {}
    for ref in refs:
        folders.setdefault(ref.folder, []).append(ref)
    return folders


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
