"""What the tests work with: the settings, and everything made of them, with little patience."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol, runtime_checkable

from agent.config.build import build_credentials
from agent.config.settings import Plugin, Settings
from checks.core.model import Check
from checks.ports import Clock, Credential, Endpoint, Tools
from checks.wire.dns import Records, Resolver
from checks.wire.policies import SpfReading, read_spf
from checks.wire.rehearsal import Rehearsal
from checks.wire.smtp_settings import Timeouts, split_nameserver
from checks.wire.survey import Survey

DNS_LIMIT = 5.0
"""Seconds for one question to the name servers."""

_PATIENCE = Timeouts.model_validate(
    {"dns": "5s", "connect": "6s", "greeting": "8s", "starttls": "6s", "auth": "10s", "envelope": "10s"}
)
_MAILBOX_PATIENCE = 12.0
_RESERVED = (".example", ".test", ".invalid", ".localhost", ".example.com", ".example.net", ".example.org")


@runtime_checkable
class Rehearsable(Protocol):
    """A path that can do everything short of sending."""

    async def rehearse(self, sender: str, recipient: str) -> Rehearsal:
        """Do all up to DATA, and take it back."""
        ...

    async def look_at_certificates(self) -> Sequence[bytes]:
        """Return the server's certificates, trusted or not."""
        ...


@runtime_checkable
class Surveyable(Protocol):
    """A mailbox reader that can look around."""

    @property
    def folders(self) -> Sequence[str]:
        """The watched folders."""
        ...

    def is_junk(self, folder: str) -> bool:
        """Tell whether it is the Junk folder."""
        ...

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        ...

    async def survey(self) -> Survey:
        """Log in and look around."""
        ...


class Kit:
    """Paths and readers of its own, so that nothing that an agent uses is touched.

    Raises:
        checks.errors.LocalFault: a path or reader cannot be made of the settings.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.credentials: Mapping[str, Credential] = build_credentials(settings, clock)
        tools = Tools(clock=clock, credentials=self.credentials)
        self.paths = {name: _made(name, plugin, tools) for name, plugin in settings.paths.items()}
        self.readers = {name: _made(name, plugin, tools) for name, plugin in settings.mailboxes.items()}
        self._resolvers: dict[tuple[str, ...], Resolver] = {}
        self._shared: dict[object, asyncio.Task[Any]] = {}
        self._logins: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._logged_in: set[str] = set()
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def close(self) -> None:
        """Let go of all connections and look-ups."""
        for task in self._shared.values():
            task.cancel()
        closing = [thing.close() for thing in (*self.paths.values(), *self.readers.values())]
        await asyncio.gather(*closing, *self._shared.values(), return_exceptions=True)

    def turn(self, plugin: Plugin) -> AbstractAsyncContextManager[None]:
        """Take turns with all others that use the same credential: Exchange Online counts connections (432 4.3.2)."""
        credential = plugin.text("credential")
        return nullcontext() if credential is None else self._turns[credential]

    def ended(self, subject: str, *, logged_in: bool) -> None:
        """Take note that the examination of a path or mailbox has ended, and whether its login worked."""
        if logged_in:
            self._logged_in.add(subject)
        self._logins[subject].set()

    async def logged_in(self, subject: str) -> bool:
        """Tell whether the login of a path or mailbox worked, once it is known."""
        await self._logins[subject].wait()
        return subject in self._logged_in

    def check_of(self, path: str) -> Check | None:
        """Return the check that says most about a path: one that expects its canaries to arrive, else any."""
        of_path = [check for check in self.settings.checks.values() if check.path == path]
        return min(of_path, key=lambda check: check.expect.refused is not None, default=None)

    def domains(self) -> dict[str, list[str]]:
        """List the domains that paths send from, or look the MX up of, with the names of those paths."""
        found: dict[str, list[str]] = {}
        for name, plugin in self.settings.paths.items():
            for domain in dict.fromkeys((domain_of(plugin), (plugin.text("domain") or "").lower())):
                if domain:
                    found.setdefault(domain, []).append(name)
        return found

    def resolver(self, path: str) -> Resolver:
        """Return the resolver that asks the name servers of a path."""
        servers = tuple(getattr(self.settings.paths[path].settings, "nameservers", ()))
        if servers not in self._resolvers:
            self._resolvers[servers] = Resolver([split_nameserver(server) for server in servers])
        return self._resolvers[servers]

    def in_public_dns(self, domain: str, path: str) -> bool:
        """Tell whether there can be records of *domain*: reserved names have none (RFC 2606), but with own servers."""
        own_servers = bool(getattr(self.settings.paths[path].settings, "nameservers", ()))
        return own_servers or not f".{domain}".endswith(_RESERVED)

    async def look_up(self, path: str, name: str, kind: str) -> Records:
        """Ask the name servers of *path*, once for each question.

        Raises:
            Unresolvable: nobody could tell.
        """
        resolver = self.resolver(path)
        found: Records = await self._once((resolver, name, kind), lambda: resolver.look_up(name, kind, limit=DNS_LIMIT))
        return found

    async def spf(self, path: str, domain: str) -> SpfReading | None:
        """Read the SPF record of *domain*, once; None where it has none.

        Raises:
            Unresolvable: nobody could tell.
            checks.errors.LocalFault: the library is not installed.
        """
        published = await self.look_up(path, domain, "TXT")
        if not any(text.lower().split(" ")[0] == "v=spf1" for text in published.values):
            return None
        resolver = self.resolver(path)
        found: SpfReading = await self._once((resolver, domain, "spf"), lambda: read_spf(domain, resolver, DNS_LIMIT))
        return found

    async def _once(self, key: object, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do *work* once for everybody who asks; whoever gives up does not end it for the others."""
        if key not in self._shared:
            self._shared[key] = asyncio.ensure_future(work())
        return await asyncio.shield(self._shared[key])


def domain_of(plugin: Plugin) -> str:
    """Return the domain of a path's sender, in lower case."""
    return (plugin.text("sender") or "").rpartition("@")[2].lower()


def _made(name: str, plugin: Plugin, tools: Tools) -> Any:
    """Make a path or a reader that waits no longer than the doctor may."""
    fields = type(plugin.settings).model_fields
    short: dict[str, Any] = {}
    if "timeouts" in fields:
        given: Timeouts = plugin.settings.timeouts  # type: ignore[attr-defined]
        short["timeouts"] = Timeouts.model_construct(
            **{stage: min(getattr(given, stage), getattr(_PATIENCE, stage)) for stage in Timeouts.model_fields}
        )
    if "timeout" in fields:
        short["timeout"] = min(plugin.settings.timeout, _MAILBOX_PATIENCE)  # type: ignore[attr-defined]
    return plugin.cls(name, plugin.settings.model_copy(update=short), tools)
