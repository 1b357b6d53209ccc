"""A check that a reload moved to another path: nothing that the former path did is told of the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from support.agent_view import make_view
from support.make import T0, a_canary, a_check, accepted, refused

from agent.alerts import incident
from agent.alerts.observe import Observer
from agent.alerts.policy import Policy, Route
from agent.alerts.rules import Decision, decide
from agent.ledger import Judgement, Ledger, LookRecord, Snapshot, inspect
from agent.ledger.alert_store import AlertStore
from agent.ledger.alerting import Told
from agent.ledger.pages import Questions
from agent.metrics import Collector, Picture
from agent.report.compute import Wishes, compute
from agent.report.period import Period
from agent.standing import stand_check
from agent.web.incidents import recent
from checks.core.model import Canary, Check, Conclusion, Expectations, Limits, Outcome, Stage, Verdict

FORMER = a_check("mail", path="path-a", limits=Limits(every=60, late_after=60, lost_after=600))
MOVED = replace(FORMER, path="path-b")
POLICY = Policy(after=2, routes=(Route(name="oncall", severity="warning"),), group_wait=0.0)


def happen(folder: Path, story: Callable[[Ledger], Awaitable[Any]]) -> Any:
    async def whole() -> Any:
        with Ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
            await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
            await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)
            return await story(ledger)

    return asyncio.run(whole())


async def start(ledger: Ledger, check: Check, at: float, *, fails: bool = False) -> Canary:
    canary = a_canary(check, at=at)
    await ledger.start(canary)
    attempt = refused(Stage.RCPT, 550, "5.7.64", at=at) if fails else accepted(at)
    await ledger.attempted(canary, attempt, online=True, at=at + 1)
    return canary


async def run(ledger: Ledger, check: Check, at: float, *, fails: bool = False) -> None:
    """Let a canary start at *at* and conclude two seconds later."""
    canary = await start(ledger, check, at, fails=fails)
    (due,) = [one for one in await ledger.due(at + 1e6) if one.facts.canary.id == canary.id]
    known: dict[str, Any] = {} if fails else {"submission": 1.0, "delivery": 1.0, "end_to_end": 2.0}
    outcome, verdict = (Outcome.REJECTED, Verdict.FAIL) if fails else (Outcome.DELIVERED, Verdict.PASS)
    conclusion = Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=("550 5.7.64 no",), **known)
    assert await ledger.judged([Judgement(due=due, result=conclusion)], at=at + 2)


async def look(ledger: Ledger, at: float) -> None:
    about: dict[str, Any] = {"mailbox": "inbox", "folder": "INBOX", "cursor": "1:1", "blind_after": 125.0}
    await ledger.looked(LookRecord(**about, began_at=at, answered_at=at, complete=True))


async def decided(
    ledger: Ledger,
    check: Check,
    at: float,
    before: Sequence[incident.Incident] = (),
    told: Sequence[Told] = (),
    *,
    muted: bool = False,
) -> Decision:
    """Decide what is to be told while the settings have *check*; what is kept is written and read as the agent does."""
    view = make_view(check, now_at=at, wall_offset=0.0)
    reading = await AlertStore(ledger).read(troubled={check.name}, enough=2, now=at)
    scene = Observer().scene(view, reading, POLICY, datetime.fromtimestamp(at, UTC))
    scene = replace(scene, muted=frozenset({check.name}) if muted else frozenset())
    kept = [incident.load(incident.dump(one)) for one in before]
    return decide(scene, kept, told, POLICY, new_id=lambda: "i")


def titles(decision: Decision) -> list[str]:
    return [one.page.title for one in decision.pages]


def told_of(decision: Decision) -> list[Told]:
    """What the channel knows after it took the pages."""
    return [
        Told(
            incident=one.incident,
            channel=one.route,
            event=one.page.event,
            severity=one.page.severity,
            gist=one.gist,
            written_wall=one.page.written,
            sent=True,
        )
        for one in decision.pages
    ]


def shown(check: Check, taken: Snapshot) -> dict[str, float]:
    """Show the agent's metrics while the settings have *check*; what is told of the settings is left out."""
    text = generate_latest(Collector(Picture(make_view(check, now_at=T0 + 320, wall_offset=0.0), taken))).decode()  # type: ignore[arg-type]
    samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("relaycanary_"): float(value) for name, value in samples}


def test_metrics_tell_of_the_former_path_nothing_but_what_counts_on(tmp_path):
    async def story(ledger):
        await run(ledger, FORMER, T0)
        for minute in range(1, 4):
            await run(ledger, FORMER, T0 + 60 * minute, fails=True)
        await start(ledger, FORMER, T0 + 240)
        return await ledger.snapshot()

    taken = happen(tmp_path, story)
    before, after = shown(FORMER, taken), shown(MOVED, taken)
    assert before['check_streak{check="mail",method="relay",verdict="fail"}'] == 3
    assert after['check_streak{check="mail",method="relay",verdict="fail"}'] == 0
    gone = {
        "check_last_verdict_timestamp_seconds",
        "check_last_pass_timestamp_seconds",
        "check_last_problem_timestamp_seconds",
        "end_to_end_last_seconds",
        "oldest_in_flight_timestamp_seconds",
    }
    assert gone <= {name.split("{")[0] for name in before}
    assert not gone & {name.split("{")[0] for name in after}
    for name in ('canaries_in_flight{check="mail",method="relay"}', "ledger_consistent"):
        assert (before[name], after[name]) == (1, 1)


def test_one_failure_on_each_of_two_paths_is_no_page(tmp_path):
    async def story(ledger):
        await run(ledger, FORMER, T0, fails=True)
        await run(ledger, MOVED, T0 + 60, fails=True)
        await look(ledger, T0 + 62)
        once = await decided(ledger, MOVED, T0 + 65)
        await run(ledger, MOVED, T0 + 120, fails=True)
        return titles(once), titles(await decided(ledger, MOVED, T0 + 125))

    once, twice = happen(tmp_path, story)
    assert once == []
    assert len(twice) == 1
    assert "path-b" in twice[0]


def test_mail_that_is_overdue_on_the_former_path_says_nothing_of_the_new_one(tmp_path):
    async def story(ledger):
        await start(ledger, FORMER, T0)
        await look(ledger, T0 + 90)
        taken = await ledger.snapshot()
        stands = [stand_check(check, taken, None, T0 + 95) for check in (FORMER, MOVED)]
        return stands, [titles(await decided(ledger, check, T0 + 95)) for check in (FORMER, MOVED)]

    (former, moved), (before, after) = happen(tmp_path, story)
    assert (former.verdict, former.reason, len(before)) == (Verdict.WARN, "overdue", 1)
    assert (moved.verdict, moved.reason, after) == (Verdict.UNKNOWN, "nothing has concluded yet", [])


@pytest.mark.parametrize("tried", [False, True], ids=["before its first canary", "after its first canary"])
@pytest.mark.parametrize("by", ["this version", "an earlier version"])
def test_what_was_silenced_on_the_former_path_is_not_told_of_the_new_one(tmp_path, tried, by):
    async def story(ledger):
        await run(ledger, FORMER, T0, fails=True)
        await run(ledger, FORMER, T0 + 60, fails=True)
        await look(ledger, T0 + 62)
        quiet = await decided(ledger, FORMER, T0 + 65, muted=True)
        assert (len(quiet.open), quiet.pages) == (1, [])
        before = quiet.open
        if by == "an earlier version":
            before = [replace(one, members=tuple(replace(who, of=None) for who in one.members)) for one in before]
        if tried:
            await run(ledger, MOVED, T0 + 112)
            await look(ledger, T0 + 115)
        return await decided(ledger, MOVED, T0 + 116, before)

    decision = happen(tmp_path, story)
    assert (decision.pages, decision.open) == ([], [])


@pytest.mark.parametrize("change", [{"path": "path-b"}, {"mailbox": "another"}, {"recipient": "else@outside.example"}])
def test_an_incident_ends_when_its_check_is_made_another_one_and_nobody_is_told_that_it_is_well(tmp_path, change):
    async def story(ledger):
        await run(ledger, FORMER, T0, fails=True)
        await run(ledger, FORMER, T0 + 60, fails=True)
        await look(ledger, T0 + 62)
        opened = await decided(ledger, FORMER, T0 + 65)
        assert len(opened.pages) == 1
        return await decided(ledger, replace(FORMER, **change), T0 + 110, opened.open, told_of(opened))

    decision = happen(tmp_path, story)
    (page,) = (one.page for one in decision.pages)
    assert (page.event, decision.open) == ("resolved", [])
    assert "nothing has shown that it is well" in page.note
    assert [(one.path, one.state) for one in page.affected] == [("path-a", "no longer configured")]


def test_a_check_that_moved_is_unknown_since_then_and_not_since_its_former_path_was(tmp_path):
    async def story(ledger):
        observer, found = Observer(), []
        for at, check in ((0, FORMER), (30, FORMER), (60, MOVED), (90, MOVED)):
            reading = await AlertStore(ledger).read(troubled=set(), enough=2, now=T0 + at)
            view = make_view(check, now_at=T0 + at, wall_offset=0.0)
            found.append(observer.scene(view, reading, POLICY, datetime.fromtimestamp(T0 + at, UTC)).checks[0])
        return [one.unknown_for for one in found]

    assert happen(tmp_path, story) == [0, 30, 0, 30]


def test_an_incident_goes_on_when_its_check_gets_other_limits(tmp_path):
    async def story(ledger):
        await run(ledger, FORMER, T0, fails=True)
        await run(ledger, FORMER, T0 + 60, fails=True)
        await look(ledger, T0 + 62)
        opened = await decided(ledger, FORMER, T0 + 65)
        slower = replace(FORMER, limits=replace(FORMER.limits, every=120, lost_after=900))
        return opened, await decided(ledger, slower, T0 + 110, opened.open, told_of(opened))

    opened, later = happen(tmp_path, story)
    assert (later.pages, [one.id for one in later.open]) == ([], [one.id for one in opened.open])


def newest(asked: Questions, limit: int = 100) -> tuple[Any, Any]:
    failures = asked.newest_failures(T0 - 1, limit)
    return failures, asked.failing_since(failures)


def on_the_page(ledger_asked: tuple[Any, Any]) -> list[tuple[Any, ...]]:
    failures, since = ledger_asked
    view = replace(make_view(MOVED, now_at=T0 + 300, wall_offset=0.0), alert_after=2)
    return [facts(one) for one in recent(failures, since, view).incidents]


def facts(one: Any) -> tuple[Any, ...]:
    return one.path, one.failures, one.ended is None, one.removed


FORMER_OVER, MOVED_OPEN = ("path-a", 2, False, True), ("path-b", 2, True, False)
AFTERWARDS = {
    "passes": ([False, False], [FORMER_OVER]),
    "fails": ([True, True], [FORMER_OVER, MOVED_OPEN]),
    "fails once": ([True], [FORMER_OVER]),
    "has not been tried": ([], [FORMER_OVER]),
}


@pytest.mark.parametrize(("afterwards", "wanted"), AFTERWARDS.values(), ids=AFTERWARDS)
def test_page_and_report_tell_an_incident_of_the_former_path_as_over_but_not_as_mended(tmp_path, afterwards, wanted):
    async def story(ledger):
        for place, (check, fails) in enumerate([(FORMER, True)] * 2 + [(MOVED, fails) for fails in afterwards]):
            await run(ledger, check, T0 + 60 * place, fails=fails)
        return await ledger.ask(newest)

    assert on_the_page(happen(tmp_path, story)) == wanted
    began = datetime.fromtimestamp(T0, UTC)
    with inspect.history(f"sqlite:///{tmp_path / 'ledger.db'}") as history:
        for since in (began, began + timedelta(seconds=30)):  # the second begins within the incident
            figures = compute(
                history, Period("p", since, began + timedelta(days=1)), since, Wishes(checks=[MOVED], after=2)
            )
            cut = int(since > began)
            expected = [(path, failures - cut * (path == "path-a"), *rest) for path, failures, *rest in wanted]
            assert [facts(one) for one in figures.incidents] == expected
            assert figures.incidents[0].began == T0


def test_a_check_that_moved_away_and_back_has_an_incident_for_each_time_on_its_path(tmp_path):
    async def story(ledger):
        story = [(MOVED, True)] * 2 + [(FORMER, True)] * 2 + [(MOVED, False)]
        for place, (check, fails) in enumerate(story):
            await run(ledger, check, T0 + 60 * place, fails=fails)
        return await ledger.ask(newest)

    assert on_the_page(happen(tmp_path, story)) == [("path-b", 2, False, True), ("path-a", 2, False, True)]


@pytest.mark.parametrize("limit", [2, 5])
def test_an_incident_began_when_its_path_began_to_fail_however_much_of_it_is_read_and_the_check_was_edited(
    tmp_path, limit
):
    async def story(ledger):
        edits = [replace(FORMER, expect=Expectations(scl_max=most)) for most in (1, 2, 3)]
        for place, check in enumerate([MOVED, *(check for check in edits for _ in range(3))]):
            await run(ledger, check, T0 + 60 * place, fails=True)
        failures, since = await ledger.ask(lambda asked: newest(asked, limit))
        view = replace(make_view(edits[-1], now_at=T0 + 900, wall_offset=0.0), alert_after=2)
        return [(one.path, one.failures, one.began - T0) for one in recent(failures, since, view).incidents]

    assert happen(tmp_path, story) == [("path-a", limit, 60)]
