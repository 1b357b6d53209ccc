"""How many canaries were bad in a row: in order of start, whatever the order of their conclusions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import text
from support.make import T0, a_canary, a_check

from agent.ledger import Judgement, Ledger
from agent.ledger.connect import connect
from agent.ledger.upgrade import upgrade
from checks.core.model import Canary, Conclusion, Outcome, Untried, Verdict

pytestmark = pytest.mark.anyio
OUTCOME = {
    "p": (Outcome.DELIVERED, Verdict.PASS),
    "w": (Outcome.LATE, Verdict.WARN),
    "f": (Outcome.REJECTED, Verdict.FAIL),
    "u": (Outcome.LOCAL_FAULT, Verdict.UNKNOWN),
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def expected(history: str) -> dict[Verdict, int]:
    """Count from the end of *history*, one letter a concluded canary in order of start."""
    rules = {Verdict.WARN: ("wf", "p"), Verdict.FAIL: ("f", "pw"), Verdict.UNKNOWN: ("u", "pwf")}
    found = {}
    for kind, (members, breakers) in rules.items():
        tail = history[max((history.rfind(breaker) for breaker in breakers), default=-1) + 1 :]
        found[kind] = sum(tail.count(member) for member in members)
    return found


async def concluded(ledger: Ledger, canary: Canary, letter: str) -> None:
    outcome, verdict = OUTCOME[letter]
    due = {one.facts.canary.id: one for one in await ledger.due(T0 + 50)}
    result = Conclusion(canary=canary.id, outcome=outcome, verdict=verdict, reasons=())
    await ledger.judged([Judgement(due=due[canary.id], result=result)], at=T0 + 50)


async def begin(ledger: Ledger) -> None:
    await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
    await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)


async def life(ledger: Ledger, name: str, history: str, order: Sequence[int]) -> None:
    canaries = [a_canary(a_check(name), at=T0 + number) for number in range(len(history))]
    for canary in canaries:
        await ledger.start(canary)
        await ledger.attempted(canary, Untried(at=T0, detail="no"), online=True, at=T0 + 40)
    done: set[int] = set()
    for place in order:
        await concluded(ledger, canaries[place], history[place])
        done.add(place)
        so_far = "".join(history[one] for one in sorted(done))
        assert (await ledger.snapshot()).standings[name].streaks == expected(so_far), (so_far, order)


@pytest.mark.parametrize("history", ["ffuf", "pfwf", "fpuf", "uwuf", "wfpu", "fffp"])
async def test_a_streak_runs_in_order_of_start_in_whatever_order_conclusions_come(tmp_path: Path, history: str) -> None:
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        await begin(ledger)
        for number, order in enumerate(permutations(range(len(history)))):
            await life(ledger, f"check-{number}", history, order)


async def test_a_streak_goes_on_over_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            before = (await ledger.snapshot()).standings.get("relay")
            await begin(ledger)
            canary = a_canary(a_check(), at=T0)
            await ledger.start(canary)
            await ledger.attempted(canary, Untried(at=T0, detail="no"), online=True, at=T0 + 40)
            await concluded(ledger, canary, "f")
            after = (await ledger.snapshot()).standings["relay"].streaks[Verdict.FAIL]
            assert after == 1 + (before.streaks[Verdict.FAIL] if before else 0)


async def test_an_older_ledger_gets_the_streaks_that_its_rows_tell(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url) as ledger:
        await begin(ledger)
        await life(ledger, "relay", "pwfuf", range(5))
    engine = connect(url)
    with engine.begin() as connection:
        for kind in ("warn", "fail", "unknown"):
            for part in ("streak", "after", "newest"):
                connection.execute(text(f"ALTER TABLE standings DROP COLUMN {kind}_{part}"))
        connection.execute(text("DROP TABLE copies"))  # what later versions made goes as well
        connection.execute(text("ALTER TABLE runs DROP COLUMN simulated"))
        connection.execute(text("DROP INDEX ix_canaries_started_wall"))
        connection.execute(text("ALTER TABLE standings DROP COLUMN servers"))
        connection.execute(text("DROP INDEX ix_canaries_failed"))
        connection.execute(text("ALTER TABLE runs DROP COLUMN ended_at"))
        connection.execute(text("ALTER TABLE canaries DROP COLUMN key"))
        for table in ("silences", "pages", "incidents", "channels"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    assert upgrade(engine).before == "0002"
    engine.dispose()
    with Ledger(url) as ledger:
        assert (await ledger.snapshot()).standings["relay"].streaks == expected("pwfuf")
