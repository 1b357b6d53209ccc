"""What a watchdog that speaks Healthchecks' protocol is told, as a real HTTP server receives it."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
from support.make import a_canary, a_check
from support.receiver import Receiver, receiving

from agent import log
from agent.pings import Pings, Target, address
from checks.core.model import Canary, Conclusion, Limits, Outcome, Verdict
from checks.errors import LocalFault

pytestmark = pytest.mark.anyio
SECRET = "2f7e1b8e-aaaa-bbbb-cccc-5c1e"


class LeapingClock:
    """Time passes only by waiting, and waiting takes no time."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def steady(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


def ended(canary: Canary, verdict: Verdict) -> Conclusion:
    outcome = {
        Verdict.PASS: Outcome.DELIVERED,
        Verdict.WARN: Outcome.LATE,
        Verdict.FAIL: Outcome.LOST,
        Verdict.UNKNOWN: Outcome.UNOBSERVED,
    }[verdict]
    return Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=("someone@contoso.example",))


def targets(receiver: Receiver, *, start: bool = True) -> Callable[[str], Target]:
    return lambda name: Target(url=lambda: f"{receiver.url}/{SECRET}-{name}", start=start)


async def came(receiver: Receiver, number: int) -> None:
    async with asyncio.timeout(30):
        while len(receiver.got) < number:
            await asyncio.sleep(0.005)


async def done(pings: Pings) -> None:
    """Wait until nothing is left to be sent."""
    await asyncio.gather(*(line.task for line in pings._lines.values() if line.task is not None))
    await pings.close()


async def test_a_canary_that_passes_pings_start_and_success_with_one_run_id(receiver: Receiver) -> None:
    pings, canary = Pings(LeapingClock(), targets(receiver)), a_canary()
    pings.sent(canary)
    pings.concluded(canary, ended(canary, Verdict.PASS))
    await done(pings)
    assert receiver.paths() == [f"/{SECRET}-relay/start", f"/{SECRET}-relay"]
    runs = {parse_qs(urlsplit(one.path).query)["rid"][0] for one in receiver.got}
    assert len({uuid.UUID(run) for run in runs}) == 1
    assert all(one.method == "GET" and one.content == b"" for one in receiver.got)
    assert receiver.got[0].headers["user-agent"].startswith("relaycanary/")


@pytest.mark.parametrize(
    ("verdict", "paths"),
    [
        (Verdict.PASS, [f"/{SECRET}-relay"]),
        (Verdict.WARN, [f"/{SECRET}-relay"]),
        (Verdict.FAIL, [f"/{SECRET}-relay/fail"]),
        (Verdict.UNKNOWN, []),
    ],
)
async def test_only_what_is_known_is_pinged_and_never_as_a_success_that_was_none(
    receiver: Receiver, verdict: Verdict, paths: list[str]
) -> None:
    pings, canary = Pings(LeapingClock(), targets(receiver, start=False)), a_canary()
    pings.sent(canary)
    pings.concluded(canary, ended(canary, verdict))
    await done(pings)
    assert receiver.paths() == paths


async def test_a_check_of_every_ten_seconds_pings_once_a_minute_and_whenever_something_changes(
    receiver: Receiver,
) -> None:
    """Healthchecks takes five pings a minute."""
    check = a_check(limits=Limits(every=10, late_after=5, lost_after=30))
    pings = Pings(LeapingClock(), targets(receiver))
    for slot in range(6, 18):  # two minutes
        canary = replace(a_canary(check), slot=slot)
        pings.sent(canary)
        pings.concluded(canary, ended(canary, Verdict.FAIL if slot in {9, 10} else Verdict.PASS))
    await done(pings)
    ways = [path.removeprefix(f"/{SECRET}-relay") for path in receiver.paths()]
    assert ways == ["/start", "", "/fail", "", "/start", ""]


async def test_a_check_without_an_address_pings_nobody(receiver: Receiver) -> None:
    pings, canary = Pings(LeapingClock(), lambda _name: None), a_canary()
    pings.sent(canary)
    pings.concluded(canary, ended(canary, Verdict.FAIL))
    await done(pings)
    assert receiver.got == []


async def test_a_ping_that_is_not_taken_is_tried_again_and_the_next_one_waits_for_it(receiver: Receiver) -> None:
    receiver.answers.extend([(503, {}), (429, {}), (200, {})])
    pings = Pings(LeapingClock(), targets(receiver, start=False))
    bad, good = a_canary(), a_canary()
    pings.concluded(bad, ended(bad, Verdict.FAIL))
    pings.concluded(good, ended(good, Verdict.PASS))
    await done(pings)
    assert receiver.paths() == [f"/{SECRET}-relay/fail"] * 3 + [f"/{SECRET}-relay"]


@pytest.mark.parametrize("status", [404, 302])
async def test_an_address_that_is_wrong_is_told_once_and_not_shown(
    receiver: Receiver, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    log.configure(json=True)
    receiver.answers.append((status, {}))
    pings, canary = Pings(LeapingClock(), targets(receiver, start=False)), a_canary()
    pings.concluded(canary, ended(canary, Verdict.PASS))
    await done(pings)
    structlog.reset_defaults()
    said = capsys.readouterr().err
    (event,) = [json.loads(line) for line in said.splitlines()]
    assert (event["event"], event["check"], event["what"]) == ("ping.not_sent", "relay", "success")
    assert str(status) in event["why"]
    assert len(receiver.got) == 1
    assert SECRET not in said


async def test_a_watchdog_that_is_gone_gets_no_old_news_later(capsys: pytest.CaptureFixture[str]) -> None:
    """A success that comes minutes late would show a check as well that may not be."""
    with receiving() as gone:
        pass
    log.configure(json=True)
    clock = LeapingClock()
    pings, canary = Pings(clock, targets(gone, start=False)), a_canary()
    pings.concluded(canary, ended(canary, Verdict.PASS))
    await done(pings)
    structlog.reset_defaults()
    assert 1060 <= clock.at < 1080
    said = capsys.readouterr().err
    assert "no answer (ConnectError)" in said
    assert SECRET not in said
    assert str(urlsplit(gone.url).port) not in said


async def test_a_watchdog_that_hangs_holds_up_no_other_check(receiver: Receiver) -> None:
    with receiving() as hanging:
        hanging.held.clear()
        pings = Pings(LeapingClock(), lambda name: targets(hanging if name == "slow" else receiver, start=False)(name))
        slow, quick = a_canary(a_check("slow")), a_canary(a_check("quick"))
        pings.concluded(slow, ended(slow, Verdict.PASS))
        await came(hanging, 1)
        pings.concluded(quick, ended(quick, Verdict.PASS))
        await came(receiver, 1)
        hanging.held.set()
        await done(pings)
    assert receiver.paths() == [f"/{SECRET}-quick"]


async def test_a_secret_that_cannot_be_read_is_said_and_harms_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    def unreadable() -> str:
        raise LocalFault("the file /etc/relaycanary/ping cannot be read: No such file or directory")

    log.configure(json=True)
    pings, canary = Pings(LeapingClock(), lambda _name: Target(url=unreadable)), a_canary()
    pings.concluded(canary, ended(canary, Verdict.FAIL))
    await done(pings)
    structlog.reset_defaults()
    assert "/etc/relaycanary/ping cannot be read" in capsys.readouterr().err


def test_an_address_keeps_its_query_and_takes_the_word_before_it() -> None:
    run = uuid.UUID(int=7)
    assert address("https://hc.example/ping/abc/", "/fail") == "https://hc.example/ping/abc/fail"
    assert address("https://hc.example/p/abc?create=1", "/start", run) == (
        f"https://hc.example/p/abc/start?create=1&rid={run}"
    )


@pytest.mark.parametrize(
    "text", ["", "hc-ping.com/abc", "ftp://hc.example/abc", "https:///abc", "https://[::1", "http://h:0x"]
)
def test_what_is_no_address_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="not an http:// or https:// address") as error:
        address(text)
    assert not text or text not in str(error.value)
