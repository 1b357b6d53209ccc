"""What the metrics say of a real ledger on disk: through the life of canaries, a restart, and steady writing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.make import T0, a_canary, a_check, a_sighting, accepted, refused

from agent.ledger import Judgement, Ledger, LookRecord
from agent.metrics import Exposition
from agent.status import AgentView
from checks.core import verdict
from checks.core.model import Attempt, Canary, Check, Sighting, Stage

pytestmark = pytest.mark.anyio
RELAY = {"check": "relay", "method": "relay"}


class Site:
    """A ledger and its metrics, for one check."""

    def __init__(self, ledger: Ledger, view: Callable[..., AgentView], parse: Callable[[bytes], Any]) -> None:
        self.ledger = ledger
        self.check = a_check()
        self._parse = parse
        self._exposition = Exposition(lambda: view(self.check, now_at=T0 + 100, wall_offset=0.0), ledger.snapshot)

    async def begin(self, *thresholds: float) -> None:
        await self.ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
        await self.ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=thresholds, at=T0)

    async def scrape(self) -> Any:
        blocks, _ = await self._exposition.scrape("", "")
        shown = self._parse(b"".join(blocks))
        started = shown.total("canaries_started_total")
        assert started == shown.total("canaries_total") + shown.total("canaries_in_flight")
        assert shown.value("ledger_consistent") in {1, None}
        return shown

    async def send(self, attempt: Attempt | None = None) -> Canary:
        canary = a_canary(self.check, at=T0)
        await self.ledger.start(canary)
        await self.ledger.attempted(canary, attempt or accepted(T0), online=True, at=T0 + 1)
        return canary

    async def see(self, *sightings: Sighting) -> None:
        look = LookRecord(
            mailbox="inbox",
            folder="INBOX",
            began_at=T0 + 4,
            answered_at=T0 + 5,
            cursor="1",
            complete=True,
            blind_after=120.0,
            sightings=sightings,
            ignored={"forged": 1},
        )
        await self.ledger.looked(look)

    async def judge(self) -> None:
        due = await self.ledger.due(T0 + 50)
        judgements = [Judgement(due=one, result=verdict.judge(one.facts, T0 + 50)) for one in due]
        await self.ledger.judged(judgements, at=T0 + 50)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def site(view: Callable[..., AgentView], parse: Callable[[bytes], Any]) -> Callable[[Ledger], Site]:
    return lambda ledger: Site(ledger, view, parse)


async def test_the_metrics_follow_a_canary_from_start_to_verdict(file: Path, site: Callable[[Ledger], Site]) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin()
        assert (await here.scrape()).value("canaries_started_total", **RELAY) == 0

        canary = await here.send()
        shown = await here.scrape()
        assert shown.value("canaries_in_flight", **RELAY) == 1
        assert shown.value("oldest_in_flight_timestamp_seconds", **RELAY) == T0
        assert shown.value("submission_seconds_count", **RELAY) == 1
        assert shown.value("check_verdict", **RELAY, verdict="unknown") == 1

        await here.see(a_sighting(canary, T0 + 5, after_at=T0 + 2))
        await here.judge()
        shown = await here.scrape()
        assert shown.value("canaries_total", **RELAY, outcome="delivered", verdict="pass") == 1
        assert shown.value("canaries_in_flight", **RELAY) == 0
        assert shown.value("end_to_end_last_seconds", **RELAY) == 5
        assert shown.value("delivery_seconds_sum", **RELAY) == 4
        assert shown.value("observation_gap_seconds", **RELAY) == 3
        assert shown.value("check_verdict", **RELAY, verdict="pass") == 1
        assert shown.value("mailbox_last_look_timestamp_seconds", mailbox="inbox") == T0 + 4
        assert shown.value("mailbox_messages_ignored_total", mailbox="inbox", reason="forged") == 1


async def test_counters_go_on_after_a_restart(file: Path, site: Callable[[Ledger], Site]) -> None:
    for run in (1, 2):
        with Ledger(f"sqlite:///{file}") as ledger:
            here = site(ledger)
            await here.begin()
            await here.send(refused(Stage.RCPT, 550, "5.7.64"))
            await here.judge()
            shown = await here.scrape()
            assert shown.value("canaries_started_total", **RELAY) == run
            assert shown.value("canaries_total", **RELAY, outcome="rejected", verdict="fail") == run
            assert shown.value("smtp_replies_total", **RELAY, stage="rcpt", code="550", enhanced="5.7.64") == run


async def test_a_new_threshold_restarts_all_histograms_together_and_no_counter(
    file: Path, site: Callable[[Ledger], Site]
) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin(45.0)
        canary = await here.send()
        await here.see(a_sighting(canary, T0 + 5))
        await here.judge()
        before = await here.scrape()
        await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=[77.0], at=T0 + 60)
        after = await here.scrape()

    for name in ("submission", "delivery", "end_to_end"):
        assert before.value(f"{name}_seconds_count", **RELAY) == 1
        assert before.value(f"{name}_seconds_bucket", **RELAY, le="45.0") == 1
        assert after.value(f"{name}_seconds_count", **RELAY) == 0
        assert after.value(f"{name}_seconds_bucket", **RELAY, le="77.0") == 0
        assert after.value(f"{name}_seconds_bucket", **RELAY, le="45.0") is None
    assert after.value("canaries_started_total", **RELAY) == 1


async def test_every_scrape_adds_up_while_canaries_come_and_go(file: Path, site: Callable[[Ledger], Site]) -> None:
    """Were a scrape more than one snapshot, a canary concluded in between would be counted twice or not at all."""
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin()
        finished = asyncio.Event()

        async def hammer() -> None:
            for _ in range(40):
                await asyncio.gather(*(here.send(refused(Stage.DATA, 554, "5.2.0")) for _ in range(3)))
                await here.judge()
            finished.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(hammer())
            in_between = set()
            while not finished.is_set():
                in_between.add((await here.scrape()).value("canaries_started_total", **RELAY))
        shown = await here.scrape()

    assert shown.value("canaries_total", **RELAY, outcome="rejected", verdict="fail") == 120
    assert len(in_between) > 2, "the writer was never caught at work"


async def test_a_server_that_invents_codes_does_not_fill_the_metrics(
    file: Path, site: Callable[[Ledger], Site]
) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin()
        for number in range(70):
            await here.send(refused(Stage.RCPT, 550, f"5.{number}.1"))
        await here.send(refused(Stage.RCPT, 550, 'hostile"}\n# EOF'))
        shown = await here.scrape()

    series = shown.series("smtp_replies_total")
    assert len(series) <= 52
    assert shown.total("smtp_replies_total") == 71
    assert not any("hostile" in one["enhanced"] for one in series)
    assert shown.total("smtp_replies_total", enhanced="other") > 0


async def test_a_ledger_that_cannot_be_read_is_said_to_be_down(file: Path, site: Callable[[Ledger], Site]) -> None:
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin()
        await here.send()
        with sqlite3.connect(file) as vandal:
            vandal.execute("ALTER TABLE standings RENAME TO gone")
        vandal.close()
        shown = await here.scrape()

    assert shown.value("ledger_up") == 0
    assert shown.value("check_verdict", **RELAY, verdict="unknown") == 1
    assert shown.series("canaries_started_total") == []


async def test_a_check_that_was_renamed_leaves_its_old_name(
    file: Path, site: Callable[[Ledger], Site], view: Callable[..., AgentView], parse: Callable[[bytes], Any]
) -> None:
    renamed: Check = a_check("relay-2")
    with Ledger(f"sqlite:///{file}") as ledger:
        here = site(ledger)
        await here.begin()
        await here.send()
        blocks, _ = await Exposition(lambda: view(renamed), ledger.snapshot).scrape("", "")

    shown = parse(b"".join(blocks))
    assert {one["check"] for one in shown.series("canaries_started_total")} == {"relay-2"}
    assert shown.value("ledger_consistent") == 1
