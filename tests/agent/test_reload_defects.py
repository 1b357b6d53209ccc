"""A reload that breaks in the middle, or comes too late, is said to have failed, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.make import a_check
from support.tenant import SimulatedPath, SimulatedReader, Tenant

from agent.clock import SystemClock
from agent.commands import run
from agent.config.load import load
from agent.ledger import Ledger, LedgerError, Retention
from agent.pipeline import Parts, Pipeline
from agent.probe import SigningKey
from checks.core.model import Check
from checks.errors import LocalFault
from checks.lab import Lab
from checks.ports import Clock


def test_whatever_a_plug_in_raises_the_old_settings_stay_and_the_metric_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(*_: Any) -> None:
        raise ValueError("a-secret-of-the-plug-in")

    applied: list[Any] = []
    pipeline = SimpleNamespace(reload_successful=True, apply=applied.append)
    with Lab() as lab, capture_logs() as logs:
        settings = load(lab.info.settings)
        monkeypatch.setattr(run, "make_parts", breaks)
        reloader = run._Reloader(lab.info.settings, settings, SystemClock(), pipeline, SimpleNamespace())  # type: ignore[arg-type]
        problem = asyncio.run(reloader.reload())
    assert problem == "taking the settings over failed: ValueError"
    assert (pipeline.reload_successful, applied, reloader.settings) == (False, [], settings)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == ["reload.failed", "settings.not_reloaded"]


class SlowlyClosed(SimulatedReader):
    """A reader that says when it is being closed, and takes until `closed`."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__(tenant)
        self.closing, self.closed = asyncio.Event(), asyncio.Event()

    async def close(self) -> None:
        self.closing.set()
        await self.closed.wait()


def one_check(clock: Clock, reader: SimulatedReader) -> Parts:
    check = a_check()
    return Parts(
        site="here",
        keep=3600.0,
        ledger_keep=86400.0,
        checks={check.name: check},
        paths={check.path: SimulatedPath(Tenant(clock))},
        methods={check.path: "relay"},
        mailboxes={check.mailbox: reader},
        kinds={check.mailbox: "imap"},
        addresses={check.mailbox: [check.recipient]},
        keys=[SigningKey("k1", bytes(32))],
    )


def test_an_agent_that_is_stopped_while_it_reloads_ends_and_begins_nothing_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(ledger: Ledger) -> None:
        clock, stop, begun = SystemClock(), asyncio.Event(), asyncio.Event()
        reader = SlowlyClosed(Tenant(clock))
        parts = one_check(clock, reader)
        configure = ledger.configure

        async def configure_late(**what: Any) -> None:
            """Take note at once, and say so, the second time, when the agent is closing already."""
            await configure(**what)
            if begun.is_set():
                await reader.closing.wait()
            begun.set()

        monkeypatch.setattr(ledger, "configure", configure_late)
        pipeline = Pipeline(clock=clock, ledger=ledger)
        running = asyncio.ensure_future(pipeline.run(parts, stop))
        await begun.wait()
        reload = asyncio.ensure_future(pipeline.apply(one_check(clock, SimulatedReader(Tenant(clock)))))
        stop.set()
        with pytest.raises(LocalFault, match="about to end"):
            await reload
        reader.closed.set()
        await running

    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        asyncio.run(asyncio.wait_for(story(ledger), 60))


@pytest.mark.parametrize("step", ["begin_run", "configure"])
def test_settings_that_are_reloaded_while_the_agent_starts_are_in_force_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def story(ledger: Ledger) -> None:
        clock, stop = SystemClock(), asyncio.Event()
        begun, go_on, started = asyncio.Event(), asyncio.Event(), asyncio.Event()
        first, second = (one_check(clock, SimulatedReader(Tenant(clock))) for _ in range(2))
        second = replace(second, alert_after=first.alert_after + 1)
        work = getattr(ledger, step)

        async def work_late(**what: Any) -> None:
            """Write at once, and say so late, the first time."""
            await work(**what)
            if not begun.is_set():
                begun.set()
                await go_on.wait()

        monkeypatch.setattr(ledger, step, work_late)
        pipeline = Pipeline(clock=clock, ledger=ledger)
        start = pipeline._schedule.start

        def start_and_say(checks: Sequence[Check]) -> None:
            start(checks)
            started.set()

        monkeypatch.setattr(pipeline._schedule, "start", start_and_say)
        running = asyncio.ensure_future(pipeline.run(first, stop))
        await begun.wait()
        reload = asyncio.ensure_future(pipeline.apply(second))
        await asyncio.sleep(0)
        await ledger.prune(now=0.0, keep=Retention(rows=86400))  # what the reload wrote before is written
        go_on.set()
        await reload
        await started.wait()
        assert pipeline.view().alert_after == second.alert_after
        stop.set()
        await running

    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        asyncio.run(asyncio.wait_for(story(ledger), 60))


def test_a_reload_of_an_agent_that_cannot_start_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(ledger: Ledger) -> None:
        clock = SystemClock()
        parts = one_check(clock, SimulatedReader(Tenant(clock)))

        async def full(**_: Any) -> None:
            raise LedgerError("no space left on device")

        monkeypatch.setattr(ledger, "begin_run", full)
        pipeline = Pipeline(clock=clock, ledger=ledger)
        reload = asyncio.ensure_future(pipeline.apply(parts))
        with pytest.raises(LedgerError):
            await pipeline.run(parts, asyncio.Event())
        with pytest.raises(LocalFault, match="about to end"):
            await reload

    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        asyncio.run(asyncio.wait_for(story(ledger), 60))


class Breaking(SimulatedReader):
    """A plug-in with a defect that shows when it is put to work."""

    @property
    def poll(self) -> None:
        raise ValueError("a defect of the plug-in")


class NoCoroutine(SimulatedReader):
    """A plug-in whose `close` returns nothing to wait for."""

    def close(self) -> None:  # type: ignore[override]
        return None


def in_another_mailbox(parts: Parts, reader: SimulatedReader) -> Parts:
    (check,) = parts.checks.values()
    moved = replace(check, mailbox="another")
    return replace(
        parts,
        checks={check.name: moved},
        mailboxes={"another": reader},
        kinds={"another": "imap"},
        addresses={"another": [check.recipient]},
    )


def test_after_a_reload_that_breaks_in_a_plug_in_looks_into_the_old_mailbox_count(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        clock, stop = SystemClock(), asyncio.Event()
        parts = one_check(clock, SimulatedReader(Tenant(clock)))
        pipeline = Pipeline(clock=clock, ledger=ledger)
        running = asyncio.ensure_future(pipeline.run(parts, stop))
        with pytest.raises(ValueError, match="a defect of the plug-in"):
            await pipeline.apply(in_another_mailbox(parts, Breaking(Tenant(clock))))
        assert list((await ledger.snapshot()).looked_at) == ["inbox"]
        assert [one.name for one in pipeline.view().mailboxes] == ["inbox"]
        stop.set()
        await running

    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        asyncio.run(asyncio.wait_for(story(ledger), 60))


def test_a_plug_in_whose_close_is_no_coroutine_ends_nothing_and_is_named(tmp_path: Path) -> None:
    async def story(ledger: Ledger) -> None:
        clock, stop = SystemClock(), asyncio.Event()
        parts = one_check(clock, NoCoroutine(Tenant(clock)))
        pipeline = Pipeline(clock=clock, ledger=ledger)
        running = asyncio.ensure_future(pipeline.run(parts, stop))
        await pipeline.apply(in_another_mailbox(parts, SimulatedReader(Tenant(clock))))
        stop.set()
        await running

    with Ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger, capture_logs() as logs:
        asyncio.run(asyncio.wait_for(story(ledger), 60))
    assert [one["part"] for one in logs if one["event"] == "part.not_closed"] == ["inbox"]
