"""A made-up past is on record, older than all that is real, and never counted."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3

import pytest
from support.make import T0, a_canary, a_check, accepted

from agent.ledger import Ledger, inspect, simulated
from agent.ledger.records import load_attempt
from agent.simulated import story

CHECKS = [a_check("relay"), a_check("submission", method="submission")]


def past(*, days=2.0):
    return story.past(CHECKS, site="lab", until=T0, days=days, every=600.0)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def rows(url, query):
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        return connection.execute(query).fetchall()


async def real_canary(ledger: Ledger):
    await ledger.begin_run(site="lab", version="1", began_at=T0, began_wall=T0)
    await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)
    canary = a_canary(CHECKS[0])
    await ledger.start(canary)
    await ledger.attempted(canary, accepted(), online=True, at=T0 + 1)
    return canary


def test_the_books_are_right_and_the_counters_know_nothing_of_it(url):
    assert simulated.fill(url, past()) == 2 * 288
    assert inspect.audit(url, lambda _: None).problems == []
    picture = inspect.picture(url)
    assert picture.run is None
    assert picture.snapshot.totals == []
    assert picture.snapshot.standings == {}
    assert picture.snapshot.in_flight == {}


def test_it_can_be_written_while_an_agent_is_at_work_and_real_canaries_stay_the_newest(url):
    with Ledger(url) as ledger:
        canary = asyncio.run(real_canary(ledger))
        simulated.fill(url, past())
        snapshot = asyncio.run(ledger.snapshot())
    assert snapshot.in_flight_of(a_check("relay")).count == 1
    assert rows(url, "select id from canaries order by seq desc limit 1") == [(canary.id,)]
    assert rows(url, "select max(seq) < 0, max(started_wall) <= 1700000000.0 from canaries where seq < 0") == [(1, 1)]


def test_it_is_written_once(url):
    simulated.fill(url, past())
    assert simulated.fill(url, past()) == 0
    assert rows(url, "select count(*) from canaries") == [(2 * 288,)]


def test_a_past_whose_writing_was_interrupted_is_written_anew(url, monkeypatch):
    monkeypatch.setattr(simulated, "_PAGE", 100)
    half = past()
    cut = simulated.Past(site="lab", began=half.began, most=half.most, canaries=_broken(half.canaries, after=300))
    with pytest.raises(KeyboardInterrupt):
        simulated.fill(url, cut)
    assert rows(url, "select count(*) from canaries") == [(300,)]
    simulated.fill(url, past())
    assert rows(url, "select count(*), count(distinct run) from canaries") == [(2 * 288, 1)]
    assert rows(url, "select count(*) from runs") == [(1,)]


def test_its_attempts_can_be_read_as_any_others(url):
    simulated.fill(url, past(days=6))
    kinds = {type(load_attempt(*row)).__name__ for row in rows(url, "select attempt_kind, attempt from canaries")}
    assert kinds == {"Accepted", "Refused"}


def test_the_same_seed_tells_the_same_story():
    assert list(past().canaries) == list(past().canaries)


def test_graph_hands_over_by_requests_and_smtp_by_its_dialogue():
    def stages(method):
        (one, *_) = story.tell([a_check(method, method=method)], since=T0, until=T0 + 600, every=600.0)
        return [timing.stage.value for timing in one.attempt.transcript.stages]

    assert stages("graph_send") == ["token", "request"]
    assert set(stages("submission")) == {"dns", "connect", "greeting", "starttls", "auth", "envelope", "data"}


def test_no_canary_of_the_story_was_concluded_before_it_was_started():
    assert all(one.concluded > one.started for one in past(days=25).canaries)


def _broken(canaries, *, after):
    yield from itertools.islice(canaries, after)
    raise KeyboardInterrupt
