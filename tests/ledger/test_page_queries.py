"""What pages and scrapes ask is answered through an index, however long the history is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import event
from support.make import T0, a_check

from agent.ledger import Ledger, simulated, snapshot
from agent.ledger.connect import readers
from agent.ledger.pages import Questions
from agent.simulated import story

CHECKS = [a_check("relay"), a_check("submission", method="submission")]
QUESTIONS = {
    "a scrape": lambda asked: snapshot.take(asked.connection),
    "how checks stand": Questions.standings,
    "the newest points": lambda asked: asked.newest_points(30),
    "the newest failures": lambda asked: asked.newest_failures(T0 - 7 * 86400, 1000),
    "since when checks fail": lambda asked: asked.failing_since(asked.newest_failures(T0 - 7 * 86400, 1000)),
    "the canaries of a check": lambda asked: asked.canaries("relay", limit=50),
    "older canaries of a check": lambda asked: asked.canaries("relay", before=-5, limit=50),
    "a sample of a check": lambda asked: asked.sampled("relay", T0 - 86400),
    "one canary": lambda asked: asked.case("aaaaaaaaaaaaaaaa"),
    "a made-up past": Questions.has_simulated,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("queries")
    where = f"sqlite:///{folder / 'ledger.db'}"
    with Ledger(where):
        pass
    simulated.fill(where, story.past(CHECKS, site="lab", until=T0, days=2.0, every=600.0))
    return where


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_no_question_of_a_page_walks_through_all_canaries(url, question):
    engine = readers(url)
    asked: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        question(Questions(connection))
        plans = [
            (row[3], statement)
            for statement, parameters in list(asked)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    engine.dispose()

    assert asked
    # the index of those in flight is short; any other walk grows with history
    walks = [(step, statement) for step, statement in plans if re.match(r"SCAN canaries(?!.*ix_canaries_due)", step)]
    assert walks == []


def test_a_sample_of_two_days_is_bounded_spread_over_all_of_them_and_has_every_failure(url):
    engine = readers(url)
    with engine.connect() as connection:
        asked = Questions(connection)
        every = asked.canaries("relay", limit=100_000)
        found = asked.sampled("relay", T0 - 2 * 86400)
    engine.dispose()

    failures = {one.seq for one in every if one.verdict == "fail"}
    assert failures <= {one.seq for one in found}
    assert [one.seq for one in found] == sorted({one.seq for one in found}, reverse=True)
    assert {one.seq for one in found} <= {one.seq for one in every}
    assert found[-1].started - every[-1].started < 7200
    assert every[0].started - found[0].started < 7200
    assert len(found) <= 300 + len(failures)
