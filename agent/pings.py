"""Tell a watchdog elsewhere how each check goes: one ping a canary, as Healthchecks.io understands it.

``GET URL/start`` when a canary is out, ``GET URL`` when it passed or arrived with a warning, ``GET URL/fail`` when it
failed. What could not be observed pings nothing: the watchdog misses it, which is neither a green nor a page of ours.
The query ``rid`` is the same for all pings of a canary, so that canaries that overlap are told apart.
Healthchecks takes five pings a minute: of a check that runs more often than once a minute, the first canary of each
minute pings, and every one that changes what was said.
Source: Healthchecks.io, "Pinging API" and "Measuring Script Run Time".

Nothing here is kept over a restart, and nothing waits for a ping. The address is a secret: no log and no error has it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlencode, urlsplit

import structlog

from agent import USER_AGENT
from agent.sampling import first_of_its_minute
from checks.core.model import Canary, Conclusion, Verdict
from checks.errors import LocalFault
from checks.ports import Clock

if TYPE_CHECKING:
    import httpx

_log = structlog.get_logger("pings")
_START = "/start"
_ENDS: Mapping[Verdict, str] = MappingProxyType({Verdict.PASS: "", Verdict.WARN: "", Verdict.FAIL: "/fail"})
_NAMESPACE = uuid.UUID("0e8c4a55-2b0c-5d0e-8f57-9d0f3a1c6b42")  # ours alone: ids of runs are made in it
_FRESH = 60.0  # a ping that comes later would be taken for news
_PATIENCE = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_MOST_WAITING = 50
_REDIRECT, _BAD_REQUEST, _TOO_MANY, _SERVER_ERROR = 300, 400, 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the pings of a check go: `url` reads the address, or raises LocalFault; `start` tells of starts too."""

    url: Callable[[], str]
    start: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ping:
    suffix: str
    run: uuid.UUID
    at: float


@dataclass(slots=True)
class _Line:
    """The pings of one check, in their order: a late one must not overtake a newer one. `said` is the last end told."""

    said: str = ""
    waiting: deque[_Ping] = field(default_factory=lambda: deque(maxlen=_MOST_WAITING))
    task: asyncio.Task[None] | None = None


class Pings:
    """Looks on as canaries go by, and pings.

    Args:
        clock: for how long a ping is news, and for the pauses between tries.
        target: where the pings of the check of this name go, as the settings have it now; None for nowhere.
    """

    def __init__(self, clock: Clock, target: Callable[[str], Target | None]) -> None:
        self._clock = clock
        self._target = target
        self._lines: dict[str, _Line] = {}
        self._client: httpx.AsyncClient | None = None

    def sent(self, canary: Canary) -> None:
        """Tell that a canary is out."""
        target = self._target(canary.check.name)
        if target is not None and target.start and first_of_its_minute(canary):
            self._say(canary, _START)

    def concluded(self, canary: Canary, conclusion: Conclusion) -> None:
        """Tell what became of it, if anybody knows."""
        suffix = _ENDS.get(conclusion.verdict)
        if suffix is None or self._target(canary.check.name) is None:
            return
        line = self._lines.setdefault(canary.check.name, _Line())
        changed, line.said = suffix != line.said, suffix
        if changed or first_of_its_minute(canary):
            self._say(canary, suffix)

    async def close(self) -> None:
        """Let go of what was not sent yet, and of the connections."""
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _say(self, canary: Canary, suffix: str) -> None:
        name = canary.check.name
        line = self._lines.setdefault(name, _Line())
        line.waiting.append(_Ping(suffix=suffix, run=uuid.uuid5(_NAMESPACE, canary.id), at=self._clock.steady()))
        if line.task is None or line.task.done():
            line.task = asyncio.get_running_loop().create_task(self._work(name, line), name=f"ping {name}")

    async def _work(self, name: str, line: _Line) -> None:
        while line.waiting:
            ping = line.waiting.popleft()
            problem = await self._deliver(name, ping)
            if problem:
                _log.error("ping.not_sent", check=name, what=ping.suffix.lstrip("/") or "success", why=problem)

    async def _deliver(self, name: str, ping: _Ping) -> str:
        """Try until it is taken or no news any more; return what is wrong."""
        pause, problem = _FIRST_PAUSE, ""
        while self._clock.steady() - ping.at < _FRESH:
            target = self._target(name)
            if target is None:  # the settings know it no more
                return ""
            problem, again = await self._try(target, ping)
            if not problem or not again:
                return problem
            await self._clock.sleep(pause)
            pause = min(_LONGEST_PAUSE, pause * 2)
        return problem or "too many were waiting before it"

    async def _try(self, target: Target, ping: _Ping) -> tuple[str, bool]:
        """Return what is wrong, and whether another try may help."""
        import httpx  # noqa: PLC0415 - for those who ask for it only

        try:
            url = address(target.url(), ping.suffix, ping.run)
        except (LocalFault, ValueError) as error:
            return str(error), False
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_PATIENCE, headers={"User-Agent": USER_AGENT})
        try:
            status = (await self._client.get(url)).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # its words may have the address in them
            return f"no answer ({type(error).__name__})", True
        if status < _REDIRECT:
            return "", False
        if status < _BAD_REQUEST:
            return f"HTTP {status}: it is elsewhere now", False
        return f"HTTP {status}", status == _TOO_MANY or status >= _SERVER_ERROR


def address(url: str, suffix: str = "", run: uuid.UUID | None = None) -> str:
    """Put the address of a ping together; a query that is there already is kept.

    Raises:
        ValueError: *url* is not an address that can be pinged. The message does not have it.
    """
    parts = _split(url.strip())
    if parts is None:
        raise ValueError("what is kept there is not an http:// or https:// address")
    query = "&".join(part for part in (parts.query, urlencode({"rid": str(run)}) if run else "") if part)
    return parts._replace(path=parts.path.rstrip("/") + suffix, query=query, fragment="").geturl()


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of the port, or brackets that do not close; its words would have the address in them
        return None
    return parts if usable else None
