"""The whole agent on one page.

    settings -> schedule -> probe -> watch -> judge -> ledger -> metrics, alerts, report, web

The stages meet only in the ledger; between them go nothing but wake-ups. So a slow mailbox never delays a send, a
slow send never delays another, and a restart loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from agent import __version__, upkeep
from agent.audit import Auditor
from agent.judge import Judge
from agent.ledger import Ledger, LedgerError, Retention
from agent.online import Online
from agent.probe import Probe, Sent, SigningKey, may_arrive
from agent.schedule import Grid, Schedule
from agent.status import AgentView, Ahead, CertificateView, CheckView, CredentialView, MailboxView, PathView
from agent.supervise import supervise
from agent.watch import Cleaner, Interpreter, Watcher, look_every
from checks.core.model import Accepted, Attempt, Canary, Certificate, Check, Conclusion, Refused
from checks.errors import LocalFault
from checks.ports import Clock, Credential, Endpoint, MailboxReader, SendPath

_log = structlog.get_logger("pipeline")
_LAST_MOMENT = 5.0
_ADJUSTED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that one settings file amounts to.

    By the names of the mailboxes: `kinds`, `addresses` that canaries reach them by, and `accounts`, which one it is;
    `sent_items` names those in which copies of what was sent are to be cleaned up. `alert_after` is how many failing
    verdicts in a row alert.
    """

    site: str
    keep: float
    ledger_keep: float
    checks: Mapping[str, Check]
    paths: Mapping[str, SendPath]
    methods: Mapping[str, str]
    mailboxes: Mapping[str, MailboxReader]
    kinds: Mapping[str, str]
    addresses: Mapping[str, Sequence[str]]
    accounts: Mapping[str, str] = field(default_factory=dict)
    keys: Sequence[SigningKey]
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    alert_after: int = 1
    sent_items: Collection[str] = ()
    retiring: Sequence[Ahead] = ()


@dataclass(slots=True)
class _Running:
    """The parts at work, and what was made of them."""

    parts: Parts
    probe: Probe
    watchers: dict[str, Watcher]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Onlooker(Protocol):
    """Is told of canaries as they go by; nothing waits for it, and what it does wrong harms none of them."""

    def sent(self, canary: Canary) -> None:
        """Take note that a canary is out."""
        ...

    def concluded(self, canary: Canary, conclusion: Conclusion) -> None:
        """Take note of its verdict."""
        ...


class Pipeline:
    """Runs the stages. `apply` replaces the parts while canaries are in flight; their facts are in the ledger."""

    def __init__(self, *, clock: Clock, ledger: Ledger, onlookers: Sequence[Onlooker] = ()) -> None:
        self._onlookers = list(onlookers)
        self._clock = clock
        self._ledger = ledger
        self._schedule = Schedule(clock, self._fire)
        self._judge = Judge(clock=clock, ledger=ledger, wants_look=self._want_look, concluded=self._concluded)
        self._auditor = Auditor(clock=clock, ledger=ledger)
        self._running: _Running | None = None
        self._sending: set[asyncio.Task[Sent | None]] = set()
        self._server_certificates: dict[str, Certificate] = {}
        self._group = asyncio.TaskGroup()
        self._wall_offset = float("-inf")
        self._began = asyncio.Event()
        self._stopping = False
        self.reload_successful = True
        self.reload_success_at = clock.steady()

    async def run(self, parts: Parts, stop: asyncio.Event) -> None:
        """Run until *stop*; then send no more, give what is being sent a moment, and let go.

        A defect in the judge or the schedule ends it, as an ExceptionGroup: the service manager starts it anew.

        Raises:
            LedgerInUse: another agent may be at work with the same ledger.
        """
        try:
            await self._run(parts, stop)
        finally:
            self._stopping = True
            self._began.set()  # or a reload would wait for ever for what could not begin

    async def _run(self, parts: Parts, stop: asyncio.Event) -> None:
        now = self._clock.now()
        await self._ledger.begin_run(
            site=parts.site, version=__version__, began_at=self._clock.steady(), began_wall=now.timestamp()
        )
        async with self._group:
            stages = [
                self._group.create_task(part, name=name)
                for name, part in (
                    ("judge", self._judge.run()),
                    ("clock", self._schedule.watch_clock()),
                    ("prune", upkeep.prune(self._ledger, self._clock, self._keeping)),
                    ("hold", upkeep.watch_hold(self._ledger, self._clock, lost=stop.set)),
                    ("audit", supervise("audit", self._auditor.run, self._clock)),
                )
            ]
            await self._apply(parts)
            self._schedule.start(list(parts.checks.values()))
            self._began.set()
            await stop.wait()
            self._stopping = True
            self._schedule.stop()
            await self._close()
            for stage in stages:
                stage.cancel()
        self._ledger.check_hold()
        await self._end()

    async def apply(self, parts: Parts) -> None:
        """Work with *parts* from now on; while the agent starts, once it works with those of its start.

        Raises:
            checks.errors.LocalFault: the agent is about to end, and must not begin anything anew.
            LedgerError: the ledger could not take note of what is watched.
        """
        await self._began.wait()
        await self._apply(parts)

    async def _apply(self, parts: Parts) -> None:
        before, running = self._running, self._assemble(parts)
        moved = _moved(before.parts, parts) if before is not None else set()
        thresholds = [limit for check in parts.checks.values() for limit in _thresholds(check)]
        watched = {name: list(reader.folders) for name, reader in parts.mailboxes.items()}
        now_at = self._clock.steady()
        # From here on no code of a plug-in runs: what it raises leaves everything as it was, the ledger too.
        await self._ledger.configure(watched=watched, accounts=parts.accounts, thresholds=thresholds, at=now_at)
        if self._stopping:
            raise LocalFault("the agent is about to end; it takes the settings over when it starts again")
        self._running = running
        for name, watcher in running.watchers.items():
            part = supervise(f"watch {name}", watcher.run, self._clock)
            running.tasks.append(self._group.create_task(part, name=f"watch {name}"))
        if before is not None:
            self._schedule.update(list(parts.checks.values()), moved=moved)
            self._group.create_task(self._retire(before), name="retire")
        self.reload_success_at = self._clock.steady()

    def tell(self, onlooker: Onlooker) -> None:
        """Have *onlooker* told of every canary from now on."""
        self._onlookers.append(onlooker)

    def run_now(self, name: str) -> asyncio.Task[Sent | None] | None:
        """Send a canary of check *name* beside its schedule, and return what sends it; None without such a check."""
        check = self._running.parts.checks.get(name) if self._running else None
        return None if check is None else self._fire(check, Grid.of(check).slot(self._clock.now()))

    def view(self) -> AgentView:
        """Show the agent as it is now."""
        running = self._running
        now_at = self._clock.steady()
        parts = running.parts if running else None
        return AgentView(
            site=parts.site if parts else "",
            version=__version__,
            applied=running is not None,
            now_at=now_at,
            wall_offset=self._offset(now_at),
            checks=[self._check_view(check) for check in parts.checks.values()] if parts else (),
            paths=[self._path_view(parts, name) for name in parts.paths] if parts else (),
            mailboxes=[
                MailboxView(
                    name=name,
                    kind=running.parts.kinds[name],
                    endpoint=watcher.reader.endpoint(),
                    status=watcher.status,
                )
                for name, watcher in running.watchers.items()
            ]
            if running
            else (),
            credentials=[CredentialView(name=name, facts=one.facts()) for name, one in parts.credentials.items()]
            if parts
            else (),
            ledger_write_errors=self._ledger.write_errors,
            audited=self._auditor.last,
            reload_successful=self.reload_successful,
            reload_success_at=self.reload_success_at,
            alert_after=parts.alert_after if parts else 1,
            retiring=parts.retiring if parts else (),
        )

    def _offset(self, now_at: float) -> float:
        """Tell what turns steady moments into Unix time; it stands still while the clock is only being adjusted.

        Otherwise every timestamp would differ by a few microseconds from one scrape to the next.
        """
        offset = self._clock.now().timestamp() - now_at
        if abs(offset - self._wall_offset) > _ADJUSTED:
            self._wall_offset = offset
        return self._wall_offset

    def _assemble(self, parts: Parts) -> _Running:
        endpoints = [path.endpoint() for path in parts.paths.values()]
        endpoints += [reader.endpoint() for reader in parts.mailboxes.values()]
        online = Online(self._clock, endpoints)
        probe = Probe(
            clock=self._clock,
            ledger=self._ledger,
            online=online,
            paths=parts.paths,
            key=parts.keys[0],
            handed_over=self._handed_over,
            written=self._judge.wake,
        )
        return _Running(parts, probe, {name: self._watcher(parts, name, online) for name in parts.mailboxes})

    def _watcher(self, parts: Parts, name: str, online: Online) -> Watcher:
        reader = parts.mailboxes[name]
        interpreter = Interpreter(
            mailbox=name,
            addresses=parts.addresses[name],
            secrets={key.id: key.secret for key in parts.keys},
            keep=parts.keep,
            ledger=self._ledger,
            reader=reader,
            clears_sent=name in parts.sent_items,
        )
        cleaner = Cleaner(
            mailbox=name,
            reader=reader,
            ledger=self._ledger,
            clock=self._clock,
            interpreter=interpreter,
            keep=parts.keep,
        )
        waiting = [check.limits.late_after for check in parts.checks.values() if check.mailbox == name]
        return Watcher(
            name=name,
            reader=reader,
            ledger=self._ledger,
            clock=self._clock,
            interpreter=interpreter,
            cleaner=cleaner,
            look_every=look_every(waiting, reader.poll),
            news=self._judge.wake,
            connected=online.connected,
            account=parts.accounts.get(name, ""),
        )

    def _fire(self, check: Check, slot: int) -> asyncio.Task[Sent | None] | None:
        """Send a canary; open loop: the schedule does not wait for it."""
        if self._running is None:
            return None
        task = asyncio.get_running_loop().create_task(self._running.probe.send(check, slot), name=f"probe {check.name}")
        self._sending.add(task)
        task.add_done_callback(self._sent)
        return task

    def _sent(self, task: asyncio.Task[Sent | None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            _log.error("probe.failed", task=task.get_name(), exc_info=defect)

    def _handed_over(self, canary: Canary, attempt: Attempt) -> None:
        if isinstance(attempt, Accepted | Refused) and attempt.transcript.tls and attempt.transcript.tls.chain:
            self._server_certificates[canary.check.path] = attempt.transcript.tls.chain[0]
        if self._running is not None and may_arrive(attempt):
            watcher = self._running.watchers.get(canary.check.mailbox)
            if watcher is not None:
                watcher.expect(canary, attempt)
        self._tell(canary, lambda onlooker: onlooker.sent(canary))

    def _concluded(self, canary: Canary, conclusion: Conclusion) -> None:
        self._tell(canary, lambda onlooker: onlooker.concluded(canary, conclusion))

    def _tell(self, canary: Canary, tell: Callable[[Onlooker], None]) -> None:
        for onlooker in self._onlookers:
            try:
                tell(onlooker)
            except Exception:  # noqa: BLE001 - the facts are in the ledger; whoever looks on must not stop the flow
                _log.exception("onlooker.failed", check=canary.check.name, canary=canary.id)

    def _want_look(self, mailbox: str) -> None:
        if self._running is not None and mailbox in self._running.watchers:
            self._running.watchers[mailbox].want_look()

    def _keeping(self) -> Retention | None:
        return Retention(rows=self._running.parts.ledger_keep) if self._running else None

    async def _retire(self, before: _Running) -> None:
        """Let go of parts that a reload replaced: watchers now, paths once nothing is being sent any more."""
        for task in before.tasks:
            task.cancel()
        await asyncio.gather(*before.tasks, return_exceptions=True)
        await _close_all({name: watcher.reader for name, watcher in before.watchers.items()})
        await asyncio.gather(*self._sending, return_exceptions=True)
        await _close_all(before.parts.paths)

    async def _close(self) -> None:
        """Stop for good. What is still being sent after a moment is cut off: the ledger knows that it is in doubt."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=_LAST_MOMENT)
        for sending in list(self._sending):
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        if self._running is not None:
            running, self._running = self._running, None
            await self._retire(running)

    async def _end(self) -> None:
        try:
            await self._ledger.end_run(at=self._clock.steady())
        except LedgerError as error:
            _log.error("run.end_not_written", why=str(error))

    def _check_view(self, check: Check) -> CheckView:
        timetable = self._schedule.timetables.get(check.name)
        return CheckView(
            check=check,
            next_due=self._schedule.next_due(check.name) if timetable else None,
            skipped=timetable.skipped if timetable else 0,
            delay=timetable.delay if timetable else 0.0,
        )

    def _path_view(self, parts: Parts, name: str) -> PathView:
        path = parts.paths[name]
        try:
            certificates = [CertificateView(role=role, not_after=one.not_after) for role, one in path.certificates()]
        except LocalFault:  # the file cannot be read now: each canary says so
            certificates = []
        if name in self._server_certificates:
            certificates.append(CertificateView(role="server", not_after=self._server_certificates[name].not_after))
        return PathView(name=name, method=parts.methods[name], endpoint=path.endpoint(), certificates=certificates)


async def _close_all(parts: Mapping[str, SendPath | MailboxReader]) -> None:
    """Close plug-ins; one that cannot be closed harms no other."""
    closed = await asyncio.gather(*(_close(part) for part in parts.values()), return_exceptions=True)
    for name, defect in zip(parts, closed, strict=True):
        if isinstance(defect, Exception):
            _log.error("part.not_closed", part=name, exc_info=defect)


async def _close(part: SendPath | MailboxReader) -> None:
    """Close one plug-in, within a coroutine of ours whatever `close` returns or raises at once."""
    await part.close()


def _moved(before: Parts, parts: Parts) -> set[str]:
    """Name the checks whose path or mailbox connects to another place than before."""

    def places(one: Parts, check: Check) -> tuple[Endpoint, Endpoint]:
        return one.paths[check.path].endpoint(), one.mailboxes[check.mailbox].endpoint()

    known = {name: places(before, check) for name, check in before.checks.items()}
    return {name for name, check in parts.checks.items() if known.get(name) != places(parts, check)}


def _thresholds(check: Check) -> tuple[float, ...]:
    return check.limits.late_after, check.limits.lost_after
