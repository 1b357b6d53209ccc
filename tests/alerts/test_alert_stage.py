"""The stage of alerts on the real ledger: probe, watch and judge at work, in simulated time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from support.make import a_check, refused
from support.tenant import Fate
from support.world import World, in_a_world

from agent.alerts.channels.port import NotSent
from agent.alerts.maintenance import Window
from agent.alerts.page import Page
from agent.alerts.policy import Policy, Route
from agent.alerts.service import AlertService
from agent.alerts.silencing import Names, new_silence
from agent.config import calendar
from agent.ledger import LedgerError
from agent.status import AgentView, CheckView, MailboxView
from checks.core.model import Limits, Stage
from checks.errors import MailboxUnreadable
from checks.ports import Endpoint

POLICY = Policy(routes=[Route(name="oncall", severity="critical")], status_url="https://canary.example")
CHECK = a_check(severity="critical", limits=Limits(every=60, late_after=60, lost_after=600))
MISMATCH = Fate(answer=refused(Stage.RCPT, 550, "5.7.64"))


class Pager:
    """A channel that writes down when it was told what; it is `down` as it is told."""

    name = "oncall"

    def __init__(self, world: World) -> None:
        self.world = world
        self.down = False
        self.told: list[tuple[float, Page]] = []

    async def send(self, page: Page, number: int) -> None:
        assert number > 0
        if self.down:
            raise NotSent("down")
        self.told.append((self.world.clock.steady(), page))

    @property
    def events(self) -> list[str]:
        return [page.event.value for _, page in self.told]


class Shift:
    """An agent with one check and its alerts, sending a canary a minute."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pager = Pager(world)
        self.policy = POLICY
        self.service: AlertService

    def view(self) -> AgentView:
        world = self.world
        now_at = world.clock.steady()
        endpoint = Endpoint(host="imap.example", port=993, tls="implicit")
        return AgentView(
            site="ams1",
            version="0",
            applied=True,
            now_at=now_at,
            wall_offset=world.clock.now().timestamp() - now_at,
            checks=[CheckView(check=world.check, next_due=None, skipped=0, delay=0.0)],
            paths=(),
            mailboxes=[MailboxView(name="inbox", kind="imap", endpoint=endpoint, status=world.watcher.status)],
            ledger_write_errors=0,
            reload_successful=True,
            reload_success_at=now_at,
        )

    async def start(self) -> None:
        self.service = AlertService(clock=self.world.clock, ledger=self.world.ledger, view=self.view)
        await self.service.apply(self.policy, {"oncall": self.pager}, None)
        self.service.start()

    async def stop(self) -> None:
        await self.service.close()

    async def minutes(self, number: int) -> None:
        """Let time pass, with a canary at the beginning of each minute."""
        for _ in range(number):
            await self.world.send()
            await self.world.clock.sleep(60)


def on_shift(folder: Path, story: Callable[[Shift], Awaitable[None]]) -> None:
    async def told(world: World) -> None:
        shift = Shift(world)
        await shift.start()
        try:
            await story(shift)
        finally:
            await shift.stop()

    in_a_world(folder, told, CHECK)


def test_a_connector_mismatch_pages_within_two_intervals_and_resolves_once(tmp_path):
    async def story(shift: Shift) -> None:
        await shift.minutes(3)
        broken_at = shift.world.clock.steady()
        shift.world.path.fate = MISMATCH
        await shift.minutes(5)
        shift.world.path.fate = Fate()
        await shift.minutes(4)
        assert shift.pager.events == ["opened", "resolved"]
        at, page = shift.pager.told[0]
        assert at - broken_at <= 2 * 60
        assert page.title == "Path relay: the connector does not recognise us (550 5.7.64)"
        assert page.evidence.startswith("https://canary.example/canaries/")

    on_shift(tmp_path, story)


def test_one_refusal_pages_nobody(tmp_path):
    async def story(shift: Shift) -> None:
        shift.world.path.fate = MISMATCH
        await shift.minutes(1)
        shift.world.path.fate = Fate()
        await shift.minutes(3)
        assert shift.pager.told == []

    on_shift(tmp_path, story)


def test_mail_that_vanishes_pages_at_lost_after_and_one_interval(tmp_path):
    async def story(shift: Shift) -> None:
        await shift.minutes(2)
        began_at = shift.world.clock.steady()
        shift.world.path.fate = Fate(copies=0)
        await shift.minutes(14)
        (told,) = shift.pager.told
        assert 600 + 60 <= told[0] - began_at <= 600 + 60 + 30
        assert told[1].title == "Mail by path relay is accepted and does not arrive"

    on_shift(tmp_path, story)


def test_an_agent_that_is_started_again_in_an_incident_tells_nobody_twice(tmp_path):
    async def story(shift: Shift) -> None:
        shift.world.path.fate = MISMATCH
        await shift.minutes(4)
        await shift.stop()
        await shift.world.crash()
        await shift.world.start()
        await shift.start()
        await shift.minutes(4)
        shift.world.path.fate = Fate()
        await shift.minutes(3)
        assert shift.pager.events == ["opened", "resolved"]
        assert len({page.key for _, page in shift.pager.told}) == 1

    on_shift(tmp_path, story)


def test_a_page_that_nobody_takes_is_sent_when_somebody_does(tmp_path):
    async def story(shift: Shift) -> None:
        shift.pager.down = True
        shift.world.path.fate = MISMATCH
        await shift.minutes(6)
        assert shift.pager.told == []
        shift.pager.down = False
        await shift.minutes(6)
        assert shift.pager.events == ["opened"]
        assert "could not be sent sooner" in shift.pager.told[0][1].note

    on_shift(tmp_path, story)


def test_a_channel_that_the_settings_lose_and_get_back_is_told_of_what_is_open_once(tmp_path):
    async def story(shift: Shift) -> None:
        shift.pager.down = True
        shift.world.path.fate = MISMATCH
        await shift.minutes(4)
        for _ in range(2):
            await shift.service.apply(replace(POLICY, routes=[]), {}, None)
            await shift.minutes(2)
            await shift.service.apply(POLICY, {"oncall": shift.pager}, None)
            shift.pager.down = False
            await shift.minutes(2)
            assert shift.pager.events == ["opened"]
        shift.world.path.fate = Fate()
        await shift.minutes(4)
        assert shift.pager.events == ["opened", "resolved"]
        assert shift.pager.told[-1][1].note == ""

    on_shift(tmp_path, story)


def test_an_upgrade_pages_nobody_a_second_time_about_what_is_open(tmp_path):
    async def story(shift: Shift) -> None:
        before = replace(POLICY, routes=[Route(name="channel1", severity="critical")])
        await shift.service.apply(before, {"channel1": shift.pager}, None)
        shift.pager.name = "channel1"
        forget = "delete from meta where name = 'channels_renamed'"
        await shift.world.ledger.write(lambda transaction: transaction.connection.exec_driver_sql(forget))
        shift.world.path.fate = MISMATCH
        await shift.minutes(4)
        assert shift.pager.events == ["opened"]
        after = replace(POLICY, routes=[Route(name="apprise-pager", severity="critical", former="channel1")])
        shift.pager.name = "apprise-pager"
        await shift.service.apply(after, {"apprise-pager": shift.pager}, None)
        await shift.minutes(4)
        assert shift.pager.events == ["opened"]
        shift.world.path.fate = Fate()
        await shift.minutes(4)
        assert shift.pager.events == ["opened", "resolved"]

    on_shift(tmp_path, story)


def test_a_silence_holds_the_page_back_until_it_is_over(tmp_path):
    async def story(shift: Shift) -> None:
        now = shift.world.clock.now().timestamp()
        names = Names(site="ams1", checks=("relay",), paths=("relay",))
        quiet = new_silence(author="Ada", reason="firewall", ends=now + 600, now=now, names=names, check="relay")
        await shift.world.ledger.silence(quiet)
        shift.world.path.fate = MISMATCH
        await shift.minutes(9)
        assert shift.pager.told == []
        await shift.minutes(2)
        assert shift.pager.events == ["opened"]

    on_shift(tmp_path, story)


def test_maintenance_holds_the_page_back_until_it_is_over(tmp_path):
    async def story(shift: Shift) -> None:
        begin = shift.world.clock.now()
        window = Window(
            name="patches", beginnings=calendar.parse(f"daily {begin:%H:%M}"), lasts=600, zone=ZoneInfo("UTC")
        )
        await shift.service.apply(replace(POLICY, windows=[window]), {"oncall": shift.pager}, None)
        assert shift.service.maintenance(begin)["relay"].startswith("maintenance patches until ")
        shift.world.path.fate = MISMATCH
        await shift.minutes(8)
        assert shift.pager.told == []
        await shift.minutes(3)
        assert shift.pager.events == ["opened"]

    on_shift(tmp_path, story)


def test_an_agent_that_was_away_calls_no_mailbox_unreadable(tmp_path):
    async def story(shift: Shift) -> None:
        shift.service.policy = replace(POLICY, routes=[Route(name="oncall", severity="info")])
        await shift.minutes(2)
        await shift.stop()
        await shift.world.crash()
        shift.world.clock.suspend(6 * 3600)
        await shift.world.start()
        shift.policy = replace(POLICY, routes=[Route(name="oncall", severity="info")])
        await shift.start()
        await shift.minutes(4)
        assert shift.pager.told == []

    on_shift(tmp_path, story)


def test_an_agent_that_is_started_again_while_nobody_can_look_tells_nothing_new(tmp_path):
    async def story(shift: Shift) -> None:
        everything = replace(POLICY, routes=[Route(name="oncall", severity="warning")])
        shift.policy = shift.service.policy = everything
        await shift.minutes(2)
        shift.world.reader.down = MailboxUnreadable("connect", "connection refused")
        await shift.world.clock.sleep(600)
        assert shift.pager.events == ["opened"]
        await shift.stop()
        await shift.world.crash()
        await shift.world.start()
        await shift.start()
        await shift.world.clock.sleep(600)
        assert shift.pager.events == ["opened"]
        shift.world.reader.down = None
        await shift.minutes(4)
        assert shift.pager.events == ["opened", "resolved"]
        assert shift.pager.told[-1][1].title == "Mailbox inbox cannot be read: 1 check is blind"

    on_shift(tmp_path, story)


def test_a_ledger_that_fails_stops_no_decision_for_good(tmp_path, monkeypatch):
    async def story(shift: Shift) -> None:
        store = shift.service.alerts.store
        real, failures = type(store).write, [1, 1, 1]

        async def failing(self: Any, *args: Any, **more: Any) -> None:
            if failures:
                failures.pop()
                raise LedgerError("disk full")
            await real(self, *args, **more)

        monkeypatch.setattr(type(store), "write", failing)
        shift.world.path.fate = MISMATCH
        await shift.minutes(4)
        assert failures == []
        assert shift.pager.events == ["opened"]

    on_shift(tmp_path, story)
