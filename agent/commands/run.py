"""``relaycanary run``: put the agent together from its settings, and run it until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from agent import __version__, log, loop, sentry
from agent.alerts.service import AlertService
from agent.clock import SystemClock
from agent.commands.alert_policy import alerts_of
from agent.commands.outlets import metric_outlets, ping_target
from agent.commands.parts import accounts, addresses, archive_of, sent_items, signing_keys, users
from agent.commands.reporting.child import send_in_child
from agent.commands.signals import on_signals
from agent.config.build import build_credentials, build_mailboxes, build_paths
from agent.config.load import find, load
from agent.config.problems import SettingsError
from agent.config.retiring import retiring
from agent.config.secrets import SecretSource, known_secrets
from agent.config.settings import Settings
from agent.ledger import Ledger, LedgerError
from agent.pings import Pings
from agent.pipeline import Onlooker, Parts, Pipeline
from agent.report.weekly import Plan, Weekly
from agent.status import AgentView
from agent.supervise import supervise
from agent.web.app import create_app
from agent.web.server import WebError, serve
from agent.web.tls import ServerTls
from checks.errors import LocalFault
from checks.ports import Clock, Tools

_log = structlog.get_logger("run")


def run(config: Path | None = None, *, verbose: bool = False) -> int:
    """Run the agent with the settings in *config* (or the usual places) until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a signal, 1 if it could not start.
    """
    log.configure(verbose=verbose)
    try:
        file = find(config)
        settings = load(file)
    except SettingsError as error:
        print("\n".join(str(problem) for problem in error.problems), file=sys.stderr)
        return 1
    try:
        _tell_of_defects(settings, verbose=verbose)
    except (LocalFault, ValueError) as error:
        print(f"relaycanary: sentry.dsn cannot be used: {error}", file=sys.stderr)
        return 1
    for warning in settings.warnings:
        _log.warning("settings.warning", what=str(warning))
    try:
        with Ledger(settings.agent.ledger) as ledger:
            _tell_of_opening(ledger)
            loop.run(_run(file, settings, ledger))
    except (LedgerError, WebError, LocalFault) as error:
        print(f"relaycanary: {error}", file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - a defect: it is told like any other, and the service manager starts the agent anew
        _log.exception("agent.failed")
        return 1
    finally:
        if settings.sections.sentry is not None:
            sentry.flush()
    return 0


def _tell_of_opening(ledger: Ledger) -> None:
    """Say what became of the ledger when it was opened: none is replaced or changed in silence."""
    damaged, upgraded = ledger.opening.set_aside, ledger.opening.upgraded
    if damaged is not None:
        what = "the ledger was damaged and is set aside; a new one is begun: restore a backup to have the past again"
        _log.error("ledger.set_aside", what=what, found=damaged.found, file=str(damaged.file))
    if upgraded is not None and upgraded.before is not None and upgraded.before != upgraded.after:
        copy = str(upgraded.copy) if upgraded.copy else None
        _log.info("ledger.upgraded", before=upgraded.before, after=upgraded.after, copy=copy)


def _tell_of_defects(settings: Settings, *, verbose: bool) -> None:
    """Have Sentry told of defects, if the settings say where it is."""
    section = settings.sections.sentry
    if section is not None:
        secrets = partial(known_secrets, settings.sections)
        report = sentry.start(SecretSource(section.dsn)(), site=settings.agent.site, secrets=secrets)
        log.configure(verbose=verbose, defects=report)


def _check_ins(settings: Settings, alert_after: Callable[[], int]) -> list[Onlooker]:
    """Make what checks in with Sentry, if the settings want it."""
    section = settings.sections.sentry
    if section is None or not section.check_ins:
        return []
    return [sentry.CheckIns(site=settings.agent.site, alert_after=alert_after)]


async def _run(file: Path, settings: Settings, ledger: Ledger) -> None:
    asyncio.get_running_loop().set_exception_handler(_loop_failed)
    clock = SystemClock(not_before=ledger.newest_moment())
    pings = Pings(clock, lambda check: ping_target(reloader.settings, check))
    check_ins = _check_ins(settings, lambda: reloader.settings.alerts.after)
    pipeline = Pipeline(clock=clock, ledger=ledger, onlookers=[pings, *check_ins])
    alerts = AlertService(clock=clock, ledger=ledger, view=pipeline.view)
    pipeline.tell(alerts.alerts)
    parts = make_parts(settings, clock)
    stop = asyncio.Event()
    reloader = _Reloader(file, settings, clock, pipeline, alerts)
    weekly = _weekly(file, reloader, clock, ledger)

    tls = settings.web.tls
    proof = None if tls is None else ServerTls(tls.certificate.file, tls.key_file)

    def view() -> AgentView:
        report = weekly.status if reloader.settings.sections.report else None
        return replace(
            pipeline.view(),
            report=report,
            web_certificate=proof.not_after if proof else None,
            channels=alerts.channels,
            maintenance=alerts.maintenance(clock.now()),
        )

    async with AsyncExitStack() as stack:
        stack.push_async_callback(pings.close)
        app = create_app(
            view=view,
            ledger=ledger,
            reload=reloader.reload,
            token=SecretSource(settings.web.token) if settings.web.token else None,
            users=users(settings),
            listen=settings.web.listen,
            hosts=settings.web.hosts,
            archive=archive_of(settings),
            run=pipeline.run_now,
        )
        url = await stack.enter_async_context(serve(app, settings.web.host, settings.web.port, proof))
        if ledger.opening.upgraded is not None and ledger.opening.upgraded.before is None:
            _log.info("ledger.new", what="there was no ledger: a new one is begun")
        _on_signals(stop, reloader)
        for name, part in (("report", weekly.run), *metric_outlets(settings, view, ledger, clock)):
            task = asyncio.create_task(supervise(name, part, clock), name=name)
            stack.push_async_callback(_cancelled, task)
        await alerts.apply(*alerts_of(settings, clock))
        alerts.start()
        stack.push_async_callback(alerts.close)
        # What exists now stays: let the collector pass over it, or each full collection stalls the loop for 100 ms.
        gc.collect()
        gc.freeze()
        print(_greeting(url, settings), flush=True)
        _log.info("agent.started", url=url, checks=len(settings.checks), site=settings.agent.site)
        await pipeline.run(parts, stop)
    _log.info("agent.stopped")


def _loop_failed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what goes wrong where nobody waits for it, so that it is told like any other defect."""
    _log.error("loop.failed", what=context.get("message", ""), exc_info=context.get("exception"))


def _weekly(file: Path, reloader: _Reloader, clock: Clock, ledger: Ledger) -> Weekly:
    """Schedule the weekly report, as the settings that are in force say."""

    def plan() -> Plan | None:
        section = reloader.settings.sections.report
        return None if section is None else Plan.of(section.schedule, ZoneInfo(section.timezone))

    return Weekly(
        clock=clock,
        archive=archive_of(reloader.settings),
        plan=plan,
        first=lambda: ledger.past(lambda past: past.first_started()),
        send=partial(send_in_child, file),
    )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _greeting(url: str, settings: Settings) -> str:
    checks = len(settings.checks)
    watched = f"{checks} check" if checks == 1 else f"{checks} checks"
    return f"relaycanary {__version__} runs {watched} at site {settings.agent.site}: {url}"


def make_parts(settings: Settings, clock: Clock) -> Parts:
    """Make everything that the settings name.

    Raises:
        checks.errors.LocalFault: a signing key cannot be read.
    """
    tools = Tools(clock=clock, credentials=build_credentials(settings, clock))
    return Parts(
        site=settings.agent.site,
        keep=settings.agent.keep,
        ledger_keep=settings.agent.ledger_keep,
        checks=settings.checks,
        paths=build_paths(settings, tools),
        methods={name: path.kind for name, path in settings.paths.items()},
        mailboxes=build_mailboxes(settings, tools),
        kinds={name: mailbox.kind for name, mailbox in settings.mailboxes.items()},
        addresses=addresses(settings),
        credentials=tools.credentials,
        sent_items=sent_items(settings),
        accounts=accounts(settings),
        keys=signing_keys(settings),
        alert_after=settings.alerts.after,
        retiring=list(retiring(settings.sections)),
    )


class _Reloader:
    """Takes over a changed settings file while everything goes on; a bad one changes nothing and says so.

    `settings` are those that are in force.
    """

    def __init__(self, file: Path, settings: Settings, clock: Clock, pipeline: Pipeline, alerts: AlertService) -> None:
        self._file = file
        self.settings = settings
        self._clock = clock
        self._pipeline = pipeline
        self._alerts = alerts
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> str | None:
        """Read the file again; return what is wrong with it, or None once it is in force."""
        async with self._one_at_a_time:
            problem = await self._reload()
            self._pipeline.reload_successful = problem is None
        if problem is None:
            _log.info("settings.reloaded", checks=len(self.settings.checks))
        else:
            for line in problem.splitlines():
                _log.error("settings.not_reloaded", why=line)
        return problem

    async def _reload(self) -> str | None:
        try:
            settings = await asyncio.to_thread(load, self._file)
            if fixed := _fixed(self.settings, settings):
                return f"{fixed} cannot be changed while the agent runs: restart it"
            parts, alerts = make_parts(settings, self._clock), alerts_of(settings, self._clock)
            await self._pipeline.apply(parts)
            await self._alerts.apply(*alerts)
        except SettingsError as error:
            return "\n".join(str(problem) for problem in error.problems)
        except (LocalFault, LedgerError) as error:
            return str(error)
        except Exception as defect:  # noqa: BLE001 - a plug-in's code is run here, and may do anything
            _log.exception("reload.failed")
            return f"taking the settings over failed: {type(defect).__name__}"
        self.settings = settings
        return None


def _fixed(before: Settings, after: Settings) -> str:
    """Name what a reload would have to change but cannot."""
    names: dict[str, Callable[[Settings], object]] = {
        "agent.ledger": lambda settings: settings.agent.ledger,
        "agent.site": lambda settings: settings.agent.site,
        "web": lambda settings: settings.web,
        "sentry": lambda settings: settings.sections.sentry,
        "metrics": lambda settings: settings.sections.metrics,
    }
    return ", ".join(name for name, of in names.items() if of(before) != of(after))


def _on_signals(stop: asyncio.Event, reloader: _Reloader) -> None:
    running: set[asyncio.Task[str | None]] = set()

    def hang_up() -> None:
        task = asyncio.ensure_future(reloader.reload())
        running.add(task)
        task.add_done_callback(running.discard)

    on_signals({"SIGTERM": stop.set, "SIGINT": stop.set, "SIGHUP": hang_up})
