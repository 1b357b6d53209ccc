"""The outbox: nothing that is owed is forgotten, whatever dies; nothing is given up in silence."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alerts.sender import a_hook, a_page, new_page, write
from support.receiver import Got, Receiver
from support.simulation import PatientLedger, SimulatedClock, SimulatedLoop, simulate

from agent.alerts.channels.port import NotSent
from agent.alerts.delivery import Delivery, backoff
from agent.alerts.page import Event, Page
from agent.alerts.policy import Route
from agent.clock import SystemClock
from agent.ledger import Ledger, Retention
from agent.ledger.alert_store import AlertStore
from agent.ledger.alerting import StoredIncident

pytestmark = pytest.mark.anyio
TESTS = Path(__file__).parents[1]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


async def results(ledger: Ledger, channel: str = "hook") -> dict[str, float]:
    picture = await ledger.snapshot()
    mine = [one for one in picture.totals if (one.owner, one.metric) == (channel, "notifications")]
    return {one.labels["result"]: one.value for one in mine}


async def until(condition: Callable[[], object], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


async def settled(ledger: Ledger, expected: dict[str, float], channel: str = "hook") -> None:
    """Wait until the books say so: an answer is written down a moment after it came."""
    async with asyncio.timeout(60):
        while (found := await results(ledger, channel)) != expected:
            assert all(found.get(name, 0) <= number for name, number in expected.items()), found
            await asyncio.sleep(0.01)


class Scripted:
    """A channel that takes, or does not, as it is told."""

    def __init__(self, name: str = "hook", *failures: Exception | None) -> None:
        self.name = name
        self.failures = list(failures)
        self.taken: list[tuple[Page, int]] = []
        self.tries = 0

    async def send(self, page: Page, number: int) -> None:
        self.tries += 1
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.taken.append((page, number))


async def test_a_page_is_sent_once_struck_off_and_counted(url: str, receiver: Receiver) -> None:
    with Ledger(url) as ledger:
        store = AlertStore(ledger)
        delivery = Delivery(store=store, clock=SystemClock())
        await delivery.apply({"hook": a_hook(receiver.url)})
        await write(store, new_page(a_page()))
        delivery.wake()
        await settled(ledger, {"sent": 1})
        picture = await ledger.snapshot()
        assert picture.outboxes["hook"].waiting == 0
        assert picture.outboxes["hook"].success_wall is not None
        await delivery.close()
    assert [one.json["title"] for one in receiver.got] == ["Path relay takes no mail"]


@contextmanager
def process(url: str, target: str, mode: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(TESTS / "alerts" / "sender.py"), url, target, mode]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


async def sends_what_waits(url: str, receiver: Receiver, number: int) -> list[Got]:
    """Be the next agent: return all that has arrived once nothing waits any more."""
    with Ledger(url) as ledger:
        delivery = Delivery(store=AlertStore(ledger), clock=SystemClock())
        await delivery.apply({"hook": a_hook(receiver.url)})
        await until(lambda: len(receiver.got) >= number)
        await settled(ledger, {"sent": 1})
        await delivery.close()
    return receiver.got


async def test_a_page_survives_an_agent_that_is_killed_before_it_is_sent(url: str, receiver: Receiver) -> None:
    with process(url, receiver.url, "hold") as child:
        assert child.stdout is not None
        async with asyncio.timeout(60):
            assert (await asyncio.to_thread(child.stdout.readline)).strip() == "written"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert receiver.got == []
    assert len(await sends_what_waits(url, receiver, 1)) == 1


async def test_a_page_is_sent_again_under_its_id_by_an_agent_that_was_killed_before_it_was_answered(
    url: str, receiver: Receiver
) -> None:
    here, killed = threading.Event(), threading.Event()
    take = receiver.take

    def held(request: Got) -> tuple[int, dict[str, str]]:
        found = take(request)
        here.set()
        assert killed.wait(60)
        return found

    receiver.take = held  # type: ignore[method-assign]
    with process(url, receiver.url, "send") as child:
        assert await asyncio.to_thread(here.wait, 60)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        killed.set()
    receiver.take = take  # type: ignore[method-assign]
    first, again = await sends_what_waits(url, receiver, 2)
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.json == again.json


@pytest.fixture
async def stand(url: str) -> AsyncIterator[tuple[Ledger, AlertStore]]:
    with Ledger(url) as ledger:
        yield ledger, AlertStore(ledger)


def at_once(_attempts: int, _wish: float | None = None) -> float:
    return 0.0


@contextmanager
def full_disk(url: str) -> Iterator[None]:
    """Let nobody write to the ledger, and everybody read: by a lock, as a full disk cannot be had in a moment."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.mark.parametrize("taken", [True, False])
async def test_while_the_ledger_cannot_be_written_a_page_is_sent_once_and_tried_again_no_sooner_than_ever(
    url: str, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.connect._BUSY_MS", 5)
    monkeypatch.setattr("agent.alerts.delivery._RETRY_LEDGER", 0.01)
    monkeypatch.setattr("agent.alerts.delivery.backoff", lambda _attempts, _wish: 3600.0)
    with Ledger(url) as ledger:
        store = AlertStore(ledger)
        await write(store, new_page(a_page()), new_page(a_page(incident="i2"), incident="i2"))
        channel = Scripted("hook", *([] if taken else [NotSent("down"), NotSent("down")]))
        delivery = Delivery(store=store, clock=SystemClock())
        with full_disk(url):
            await delivery.apply({"hook": channel})
            await until(lambda: ledger.write_errors > 20)
            assert channel.tries == 2
            assert sorted(number for _, number in channel.taken) == ([1, 2] if taken else [])
        await settled(ledger, {"sent": 2} if taken else {"failed": 2})
        await delivery.apply({"hook": channel})  # whatever waits is tried at once
        await settled(ledger, {"sent": 2} if taken else {"failed": 2, "sent": 2})
        assert len(channel.taken) == 2
        await delivery.close()


async def test_what_a_channel_took_while_the_ledger_could_not_be_written_is_known_when_it_is_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ledger.connect._BUSY_MS", 5)
    with Ledger(url) as ledger:
        store = AlertStore(ledger)
        await write(store, new_page(a_page()))
        channel = Scripted()
        delivery = Delivery(store=store, clock=SystemClock())
        with full_disk(url):
            await delivery.apply({"hook": channel})
            await until(lambda: channel.taken)
            await delivery.apply({})
        await delivery.apply({})
        await delivery.apply({"hook": channel})
        await settled(ledger, {"sent": 1})
        await delivery.close()
        assert len(channel.taken) == 1
        (told,) = (await store.read(troubled=(), enough=2, now=0.0)).told
        assert told.sent


async def test_a_page_that_is_not_taken_is_tried_again_until_it_is(stand, monkeypatch, receiver: Receiver) -> None:
    monkeypatch.setattr("agent.alerts.delivery.backoff", at_once)
    ledger, store = stand
    receiver.answers = [(500, {}), (429, {"Retry-After": "1"}), (404, {})]
    await write(store, new_page(a_page()))
    delivery = Delivery(store=store, clock=SystemClock())
    await delivery.apply({"hook": a_hook(receiver.url)})
    await settled(ledger, {"failed": 3, "sent": 1})
    await delivery.close()
    assert len({one.headers["webhook-id"] for one in receiver.got}) == 1


async def test_a_channel_that_fails_or_breaks_delays_no_other(stand, capfd) -> None:
    ledger, store = stand
    broken, fine = Scripted("broken", RuntimeError("https://secret.example")), Scripted("fine")
    await write(store, new_page(a_page(), channel="broken"), new_page(a_page(), channel="fine"))
    delivery = Delivery(store=store, clock=SystemClock())
    await delivery.apply({"broken": broken, "fine": fine})
    await settled(ledger, {"sent": 1}, "fine")
    await settled(ledger, {"failed": 1}, "broken")
    await delivery.close()
    assert "secret.example" not in "".join(capfd.readouterr())


async def test_a_newer_page_takes_the_place_of_one_that_still_waits_and_it_is_counted(stand) -> None:
    ledger, store = stand
    await write(store, new_page(a_page()))
    await write(store, new_page(a_page(Event.RESOLVED)))
    channel = Scripted()
    delivery = Delivery(store=store, clock=SystemClock())
    await delivery.apply({"hook": channel})
    await settled(ledger, {"superseded": 1, "sent": 1})
    await delivery.close()
    assert [page.event for page, _ in channel.taken] == [Event.RESOLVED]


async def test_the_most_urgent_page_goes_first(stand) -> None:
    _, store = stand
    for incident, severity in (("i1", "info"), ("i2", "warning"), ("i3", "critical"), ("i4", "critical")):
        await write(store, new_page(a_page(incident=incident), incident, severity=severity))
    order = []
    while (page := (await store.next_page("hook", SystemClock().steady()))[0]) is not None:
        order.append(page.incident)
        await store.sent(page, wall=1.0)
    assert order == ["i3", "i4", "i2", "i1"]


async def test_what_waits_for_a_channel_that_the_settings_lose_is_given_up_aloud(stand, capfd) -> None:
    ledger, store = stand
    await write(store, new_page(a_page(), channel="gone"))
    delivery = Delivery(store=store, clock=SystemClock())
    await delivery.apply({"hook": Scripted()})
    await delivery.close()
    assert await results(ledger, "gone") == {"abandoned": 1}
    assert "gone" in "".join(capfd.readouterr())


async def test_what_waits_and_is_beneath_what_a_channel_is_told_now_is_taken_back(stand) -> None:
    ledger, store = stand
    pager = Scripted()
    delivery = Delivery(store=store, clock=SystemClock())
    warning, critical = (a_page(incident=one) for one in ("i1", "i2"))
    await write(store, new_page(warning, severity="warning"), new_page(critical, "i2"))
    await delivery.apply({"hook": pager}, [Route(name="hook", severity="critical")])
    await settled(ledger, {"superseded": 1, "sent": 1})
    await delivery.close()
    assert [page.key for page, _ in pager.taken] == [critical.key]
    assert [one.incident for one in (await store.read(troubled=(), enough=2, now=0.0)).told] == ["i2"]


@pytest.mark.parametrize("told", [True, False])
async def test_who_was_told_of_something_hears_of_its_end_whatever_is_told_now(stand, told: bool) -> None:
    ledger, store = stand
    pager = Scripted()
    delivery = Delivery(store=store, clock=SystemClock())
    await write(store, new_page(a_page(), severity="warning"))
    page, _ = await store.next_page("hook", SystemClock().steady())
    assert page is not None
    if told:
        await store.sent(page, wall=1.0)
    await write(store, new_page(a_page(Event.RESOLVED), severity="warning"))
    await delivery.apply({"hook": pager}, [Route(name="hook", severity="critical")])
    await settled(ledger, {"sent": 2} if told else {"superseded": 2})
    await delivery.close()
    assert [page.event for page, _ in pager.taken] == [Event.RESOLVED] * told


async def test_what_a_channel_was_told_by_its_former_name_it_was_told_and_the_books_go_on(stand) -> None:
    ledger, store = stand
    await write(store, new_page(a_page(), channel="channel1"), new_page(a_page(), "i2", channel="channel1"))
    page, _ = await store.next_page("channel1", SystemClock().steady())
    assert page is not None
    await store.sent(page, wall=1.0)
    channel = Scripted("apprise-teams")
    delivery = Delivery(store=store, clock=SystemClock())
    route = Route(name=channel.name, severity="info", former="channel1")
    await delivery.apply({channel.name: channel}, [route])
    await settled(ledger, {"sent": 2}, channel.name)
    await delivery.close()
    assert len(channel.taken) == 1
    assert {one.channel for one in (await store.read(troubled=(), enough=2, now=0.0)).told} == {channel.name}
    assert await results(ledger, "channel1") == {}
    assert list((await ledger.snapshot()).outboxes) == [channel.name]


async def test_only_an_earlier_version_called_a_channel_by_its_place(stand) -> None:
    _, store = stand
    delivery = Delivery(store=store, clock=SystemClock())
    await delivery.apply({"channel1": Scripted("channel1")}, [Route(name="channel1", severity="info")])
    await write(store, new_page(a_page(), channel="channel1"))
    await delivery.apply({"other": Scripted("other")}, [Route(name="other", severity="info", former="channel1")])
    await delivery.close()
    assert "other" not in {one.channel for one in (await store.read(troubled=(), enough=2, now=0.0)).told}


async def test_it_is_known_since_when_nobody_could_be_told_of_an_open_incident(stand) -> None:
    _, store = stand
    assert (await store.pulse([])).untold_wall is None
    await write(store, new_page(a_page()), new_page(a_page(), channel="chat"), wall=1000.0)
    assert (await store.pulse([])).untold_wall == 1000.0
    page, _ = await store.next_page("chat", SystemClock().steady())
    assert page is not None
    await store.sent(page, wall=1001.0)
    assert (await store.pulse([])).untold_wall is None  # somebody knows


async def test_a_page_that_takes_the_place_of_another_makes_nobody_less_untold(stand) -> None:
    _, store = stand
    for wall in (1000.0, 1300.0, 1600.0):
        await write(store, new_page(a_page()), wall=wall)
    assert (await store.pulse([])).untold_wall == 1000.0
    await store.abandon([])
    assert (await store.pulse([])).untold_wall is None  # the settings have nobody to tell
    await write(store, new_page(a_page(), channel="chat"), wall=1900.0)
    assert (await store.pulse([])).untold_wall == 1900.0


async def test_what_was_taken_back_was_owed_to_nobody_nor_was_what_it_took_the_place_of(stand) -> None:
    _, store = stand
    for wall in (1000.0, 1300.0):
        await write(store, new_page(a_page(), severity="warning"), wall=wall)
    assert await store.take_back("hook", ["info", "warning"], end=Event.RESOLVED) == 1
    assert (await store.pulse([])).untold_wall is None
    for wall in (8000.0, 8300.0):  # two hours later it becomes worse
        await write(store, new_page(a_page(Event.WORSE), severity="critical"), wall=wall)
    assert (await store.pulse([])).untold_wall == 8000.0


async def test_what_was_given_up_was_told_to_nobody(stand) -> None:
    _, store = stand
    await write(store, new_page(a_page()))
    await write(store, new_page(a_page(Event.CHANGED)))
    await store.abandon([])
    assert (await store.read(troubled=(), enough=2, now=0.0)).told == []
    await write(store, new_page(a_page(), channel="chat"))
    (page, _) = await store.next_page("chat", SystemClock().steady())
    assert page is not None
    await store.sent(page, wall=1001.0)
    await write(store, new_page(a_page(Event.CHANGED), channel="chat", gist="more"))
    await store.abandon([])
    (told,) = (await store.read(troubled=(), enough=2, now=0.0)).told
    assert (told.channel, told.event, told.gist, told.sent) == ("chat", "opened", "", True)


async def test_incidents_that_are_long_over_go_with_their_pages(stand) -> None:
    ledger, store = stand
    await write(store, new_page(a_page()))
    closed = StoredIncident(id="i1", state="{}", opened_wall=0.0, closed_wall=1000.0)
    await store.write([closed], [], at=0.0, wall=1000.0)
    keep = Retention(rows=86400)
    assert await ledger.prune(now=1000.0 + 86400, keep=keep) == 0
    assert await ledger.prune(now=1001.0 + 86400, keep=keep) == 1
    assert (await store.next_page("hook", 1e12)) == (None, None)


def test_the_pauses_between_attempts_grow_to_five_minutes_and_no_two_agents_keep_step() -> None:
    for attempts, whole in ((0, 2), (1, 4), (5, 64), (9, 300), (10_000, 300)):
        pauses = [backoff(attempts) for _ in range(50)]
        assert all(whole / 2 <= pause <= whole for pause in pauses)
        assert len(set(pauses)) > 1
    assert backoff(0, 200.0) == 200.0


async def deliver_for(
    seconds: float, ledger: Ledger, clock: SimulatedClock, channel: Scripted, event: Event = Event.OPENED
) -> None:
    """Let one page about one incident wait for *channel*, and deliver for so long."""
    store = AlertStore(ledger)
    incident = StoredIncident(id="i1", state="{}", opened_wall=clock.steady())
    await store.write([incident], [new_page(a_page(event))], at=clock.steady(), wall=clock.now().timestamp())
    delivery = Delivery(store=store, clock=clock)
    await delivery.apply({"hook": channel})
    await clock.sleep(seconds)
    await delivery.close()


@pytest.mark.parametrize("wish", [3600.0, float("inf")])
def test_a_channel_that_wants_to_be_left_alone_for_an_hour_is_tried_again_within_five_minutes(
    tmp_path: Path, wish: float
) -> None:
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    channel = Scripted("hook", *[NotSent("too many requests", retry_after=wish)] * 3)

    async def story() -> None:
        with PatientLedger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await deliver_for(3 * 300 + 30, ledger, clock, channel)

    simulate(story(), loop)
    assert len(channel.taken) == 1


@pytest.mark.parametrize(("event", "given_up"), [(Event.RESOLVED, True), (Event.OPENED, False)])
def test_that_it_lasts_is_tried_for_ever_and_that_it_is_over_for_a_while(
    tmp_path: Path, event, given_up, monkeypatch
) -> None:
    monkeypatch.setattr("agent.alerts.delivery._OLD_NEWS", 3600.0)
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    channel = Scripted("hook", *[NotSent("no")] * 2000)

    async def story() -> dict[str, float]:
        with PatientLedger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await deliver_for(2 * 3600, ledger, clock, channel, event)
            return await results(ledger)

    found = simulate(story(), loop)
    assert found.get("abandoned", 0) == given_up
    assert (channel.tries > 30) is not given_up  # every five minutes, and sooner at first
    assert channel.tries == found["failed"]


def test_a_page_that_comes_late_says_so(tmp_path: Path) -> None:
    loop = SimulatedLoop()
    clock = SimulatedClock(loop)
    channel = Scripted("hook", *[NotSent("no")] * 8)

    async def story() -> None:
        with PatientLedger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            await deliver_for(3600, ledger, clock, channel)

    simulate(story(), loop)
    ((page, _),) = channel.taken
    assert page.note.startswith("This was written ")
    assert page.note.endswith(" ago, and could not be sent sooner.")
