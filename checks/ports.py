"""What a sending path and a mailbox reader must offer, and what they are handed. Small on purpose.

The loop, the retries and the back-off are the agent's, written once; a plug-in does one thing when asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from checks.core.model import Accepted, Certificate, MessageRef, RawMessage, Refused, StageTiming


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """Tell the wall-clock time, in UTC; it may be set while we run."""
        ...

    def steady(self) -> float:
        """Tell the seconds on a timeline that is never set; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Wait."""
        ...


@dataclass(frozen=True, slots=True)
class Login:
    """What a server is shown. `secret` is a password, or a bearer token where `bearer` is set.

    `username` is empty where the secret names no account: an app's token opens many mailboxes. `roles` are the
    application permissions that the token shows, None where it shows none that can be read.
    """

    username: str
    secret: str
    bearer: bool
    roles: frozenset[str] | None = None

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return f"Login(username={self.username!r}, secret=***, bearer={self.bearer})"


@dataclass(frozen=True, slots=True)
class GraphService:
    """Where Microsoft Graph is: its base URL without the version, and the CAs to trust instead of the system's."""

    url: str
    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """What metrics tell of a credential: when it ends, and what came of its token requests (result and count).

    `ends` tells that it does end some day, whether or not it is known when.
    """

    not_after: datetime | None = None
    ends: bool = False
    token_requests: Mapping[str, int] = field(default_factory=dict)


class Credential(Protocol):
    """Something that can produce a login: a password from a file, a token from an identity provider."""

    async def login(self, audience: str) -> Login:
        """Return the login for *audience* ("smtp", "imap" or "graph").

        Raises:
            checks.errors.LocalFault: the secret cannot be read.
            checks.errors.TokenRefused: the identity provider gives no token.
        """
        ...

    def reject(self, login: Login) -> None:
        """Take note that a server did not take *login*: a token that was kept is forgotten."""
        ...

    def facts(self) -> CredentialFacts:
        """Tell what is known about it, without asking anybody."""
        ...

    @property
    def graph(self) -> GraphService | None:
        """Where the Graph is that it is for; None where it is for none."""
        ...

    @property
    def bearer(self) -> bool:
        """Tell whether it yields a bearer token (XOAUTH2) rather than a password."""
        ...


Observe = Callable[[StageTiming, str], None]
"""Is told of a stage that went well, with a remark for whoever watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the agent hands to every plug-in.

    `observe` is told of each stage of a hand-over when it ends, with a remark for whoever watches (the TLS version,
    the server's answer): `relaycanary probe` shows it live. It must return at once and never raise.
    """

    clock: Clock
    credentials: Mapping[str, Credential]
    observe: Observe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a path or reader connects to, for information metrics and pages. `tls` is the setting's word."""

    host: str
    port: int
    tls: str


class SendPath(Protocol):
    """Hands one message to the mail system.

    Built as ``cls(name, settings, tools)`` with `settings` an instance of its own nested ``Settings`` model.
    """

    Settings: type[Any]

    async def send(self, sender: str, recipient: str, message: bytes) -> Accepted | Refused:
        """Hand *message* over for one recipient; whatever the other side says or does is a value.

        Raises:
            checks.errors.LocalFault: we could not try; nothing was handed over.
        """
        ...

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        ...

    def certificates(self) -> Sequence[tuple[str, Certificate]]:
        """List the certificates of our own that it shows, each with its role ("client"); empty if it has none."""
        ...

    async def close(self) -> None:
        """Let go of connections; the object is not used again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One page of one look into one folder: the new messages, and the cursor to go on from.

    `complete` is False while there are more; only a complete look proves absence. Where the old cursor was void (IMAP:
    UIDVALIDITY changed), messages are shown again under new references.

    The pages up to a complete one are a round. It proves absence as of the moment in which its first page was asked
    for: a later page need not show what has come since (Graph's delta does not).
    """

    messages: Sequence[RawMessage]
    cursor: str
    complete: bool = True


class MailboxReader(Protocol):
    """Finds messages in one mailbox; the loop around it is the agent's.

    Built as ``cls(name, settings, tools)``. Every method that talks to the server raises
    `checks.errors.MailboxUnreadable`, connects on first use and again after a failure.
    """

    Settings: type[Any]

    @property
    def folders(self) -> Sequence[str]:
        """List the watched folders; the first is the one that `wait` listens on."""
        ...

    @property
    def poll(self) -> float | None:
        """Tell how often to look, in seconds, where the server gives no notice; None where `wait` hears of news."""
        ...

    def is_junk(self, folder: str) -> bool:
        """Tell whether *folder* is the service's Junk folder."""
        ...

    def is_sent(self, folder: str) -> bool:
        """Tell whether the service keeps copies in *folder* of what this mailbox sent: there nothing has arrived."""
        ...

    async def look(self, folder: str, cursor: str | None, *, since: datetime) -> Look:
        """Return what is new in *folder* after *cursor*; without one, or if it is void, all that came since *since*.

        Only header fields that recognition needs are fetched. Idempotent: the same cursor gives the same again.
        """
        ...

    async def wait(self, at_most: float) -> bool:
        """Return True as soon as a look may pay off (IDLE, delta), False after *at_most* seconds or a `wake`."""
        ...

    def wake(self) -> None:
        """End a `wait` now; callable at any time, from the event loop's thread."""
        ...

    async def headers(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks; those that are gone are left out. What is `bare` has what stands in for it."""
        ...

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        """Fetch the first *limit* bytes of a whole message (a bounce); None if it is gone."""
        ...

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        """Delete exactly these messages for good; return those that are gone now, including before."""
        ...

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...
