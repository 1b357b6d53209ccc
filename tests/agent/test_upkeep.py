"""An agent whose hold on the ledger is lost ends by itself, and says why."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.make import a_check
from support.simulation import PatientLedger, SimulatedClock, SimulatedLoop, simulate
from support.tenant import SimulatedPath, SimulatedReader, Tenant

from agent.ledger import LedgerInUse
from agent.pipeline import Parts, Pipeline
from agent.probe import SigningKey


def test_an_agent_whose_lock_is_deleted_stops_sending_and_ends_with_the_reason(tmp_path: Path) -> None:
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)

    async def story() -> None:
        with PatientLedger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            check, tenant = a_check(), Tenant(clock)
            parts = Parts(
                site="here",
                keep=3600.0,
                ledger_keep=86400.0,
                checks={check.name: check},
                paths={check.path: SimulatedPath(tenant)},
                methods={check.path: "relay"},
                mailboxes={check.mailbox: SimulatedReader(tenant)},
                kinds={check.mailbox: "simulated"},
                addresses={check.mailbox: [check.recipient]},
                keys=[SigningKey("k1", bytes(32))],
            )
            pipeline = Pipeline(clock=clock, ledger=ledger)
            pipeline._schedule.start = lambda _: pipeline._schedule._scheduler.start(paused=True)  # type: ignore[method-assign]
            running = asyncio.ensure_future(pipeline.run(parts, asyncio.Event()))
            await clock.sleep(30)
            assert not running.done()
            (tmp_path / "ledger.db.lock").unlink()
            with pytest.raises(LedgerInUse, match="was deleted or replaced while the agent ran"):
                await running

    simulate(story(), loop)
