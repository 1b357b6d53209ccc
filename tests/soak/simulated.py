"""A day of the whole agent in simulated time, in this process: many canaries, and nothing that grows."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from soak import sample
from soak.sample import Sample, tell
from sqlalchemy import Connection, func, select
from support.make import a_check
from support.simulation import PatientLedger, SimulatedClock, SimulatedLoop, simulate
from support.tenant import SimulatedPath, SimulatedReader, Tenant

from agent.ledger.schema import canaries
from agent.pipeline import Parts, Pipeline
from agent.probe import SigningKey
from checks.core.model import Check, Limits

_CHECKS = 10
_EVERY = 60.0
_HOUR = 3600.0
_WARM_UP = 4  # hours: what is kept for two is let go of in the third


class _ForgetfulPath(SimulatedPath):
    """A path that does not collect what was sent through it."""

    async def send(self, sender: str, recipient: str, message: bytes) -> object:
        """Send, and forget."""
        try:
            return await super().send(sender, recipient, message)
        finally:
            self.sent.clear()


def run(hours: float) -> list[str]:
    """Let *hours* pass, printing a line for each; return what was wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("warning"))
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return simulate(_day(clock, Path(folder) / "ledger.db", hours), loop)


async def _day(clock: SimulatedClock, file: Path, hours: float) -> list[str]:
    checks = [
        a_check(f"check-{number:02}", path="relay", limits=Limits(every=_EVERY, late_after=60, lost_after=600))
        for number in range(_CHECKS)
    ]
    with PatientLedger(f"sqlite:///{file}") as ledger:
        pipeline = Pipeline(clock=clock, ledger=ledger)
        # APScheduler lives by the system's clock: simulated time enters where a slot fires.
        pipeline._schedule.start = lambda _checks: pipeline._schedule._scheduler.start()
        stop = asyncio.Event()
        running = asyncio.ensure_future(pipeline.run(_parts(clock, checks), stop))
        sending = asyncio.ensure_future(_fire(clock, checks, pipeline._fire))
        samples = await _watch(clock, ledger, file, hours)
        sending.cancel()
        await clock.sleep(120)
        stop.set()
        await running
        wrong = [*sample.grown(samples, warm_up=min(_WARM_UP, hours / 2) * 60), *await ledger.verify()]
        wrong += sample.scarce(samples, due=_CHECKS * _HOUR / _EVERY)
        wrong += [f"{taken.not_passed} did not pass at {taken.at:.0f}" for taken in samples if taken.not_passed]
        picture = await ledger.snapshot()
        totals = {name: _total(picture.totals, name) for name in ("canaries_started", "canaries")}
        tell(f"totals: {totals}")
        if totals["canaries_started"] != totals["canaries"]:
            wrong.append(f"not every canary has a verdict: {totals}")
    return wrong


def _parts(clock: SimulatedClock, checks: list[Check]) -> Parts:
    tenant = Tenant(clock)
    return Parts(
        site="soak",
        keep=_HOUR,
        ledger_keep=2 * _HOUR,
        checks={check.name: check for check in checks},
        paths={"relay": _ForgetfulPath(tenant)},
        methods={"relay": "relay"},
        mailboxes={"inbox": SimulatedReader(tenant)},
        kinds={"inbox": "simulated"},
        addresses={"inbox": [checks[0].recipient]},
        keys=[SigningKey("k1", b"0123456789abcdef0123456789abcdef")],
    )


async def _fire(clock: SimulatedClock, checks: list[Check], fire: Callable[[Check, int], None]) -> None:
    slot = 0
    while True:
        for check in checks:
            fire(check, slot)
            await clock.sleep(_EVERY / len(checks))
        slot += 1


async def _watch(clock: SimulatedClock, ledger: PatientLedger, file: Path, hours: float) -> list[Sample]:
    tell(f"{_CHECKS} checks every {_EVERY:.0f} s for {hours:g} simulated hours\n{sample.HEAD}")
    began, real, spent = clock.steady(), time.monotonic(), sample.processor_seconds()
    samples = []
    for number in range(1, max(1, round(hours)) + 1):
        await clock.sleep(began + number * _HOUR - clock.steady())
        by_now = sample.processor_seconds()
        taken = await _take(ledger, file, (clock.steady() - began) / 60, clock.steady() - _HOUR, by_now - spent)
        spent = by_now
        samples.append(taken)
        tell(f"{sample.row(taken)}   ({time.monotonic() - real:.0f} s of real time)")
    return samples


async def _take(ledger: PatientLedger, file: Path, at: float, since: float, spent: float) -> Sample:
    def query(connection: Connection) -> tuple[list[float], int]:
        recent = canaries.c.concluded_at > since
        seconds = connection.execute(select(canaries.c.delivery).where(recent)).scalars().all()
        bad = select(func.count()).select_from(canaries).where(recent, canaries.c.verdict != "pass")
        return [one * 1000 for one in seconds if one is not None], connection.execute(bad).scalar_one()

    delivered, not_passed = await ledger.read(query)
    gc.collect()
    return Sample(
        at=at,
        load=os.getloadavg()[0],
        rss=sample.memory(),
        fds=sample.open_files(),
        threads=sample.threads(),
        ledger=sample.size_of(file),
        concluded=len(delivered),
        not_passed=not_passed,
        cpu=spent / max(1, len(delivered)) * 1000,
        p50=sample.quantile(delivered, 0.5),
        p95=sample.quantile(delivered, 0.95),
    )


def _total(totals: object, metric: str) -> int:
    return sum(int(one.value) for one in totals if one.metric == metric)  # type: ignore[attr-defined]
