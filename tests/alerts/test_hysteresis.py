"""Trouble begins after N bad canaries in a row and ends after M better ones: in order of start, whatever else comes."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.make import T0, a_canary, a_check

from agent.alerts.signs import BLIND_AFTER, KINDS, UNKNOWN_AFTER, Signs, troubled
from agent.ledger import Judgement, Ledger, streaks
from checks.core.model import Conclusion, Outcome, Untried, Verdict

LETTERS = {"p": Verdict.PASS, "w": Verdict.WARN, "f": Verdict.FAIL, "u": Verdict.UNKNOWN}
BAD = {Verdict.FAIL: "f", Verdict.WARN: "wf", Verdict.UNKNOWN: "u"}
BETTER = {Verdict.FAIL: "pw", Verdict.WARN: "p", Verdict.UNKNOWN: "pwf"}


def model(kind: Verdict, history: str, after: int, recover_after: int) -> list[bool]:
    """Say after each canary of *history* whether there is trouble, by counting as a person would."""
    states, on, bad, better = [], False, 0, 0
    for letter in history:
        if letter in BAD[kind]:
            bad, better = bad + 1, 0
        elif letter in BETTER[kind]:
            bad, better = 0, better + 1
        on = better < recover_after if on else bad >= after
        states.append(on)
    return states


def tail(history: str, counted: str, broken: str) -> int:
    """Count from the end of *history*, back to the first letter that breaks the row."""
    return sum(letter in counted for letter in itertools.takewhile(lambda one: one not in broken, reversed(history)))


def signs(history: str) -> Signs:
    kinds = {kind: (BAD[kind], BETTER[kind]) for kind in KINDS}
    return Signs(
        check=a_check(),
        verdict=LETTERS[history[-1]],
        streaks={kind: tail(history, bad, better) for kind, (bad, better) in kinds.items()},
        better={kind: tail(history, better, bad) for kind, (bad, better) in kinds.items()},
    )


@given(st.text("pwfu", min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 5), st.sampled_from(KINDS))
@settings(max_examples=300)
def test_trouble_begins_after_n_and_ends_after_m_in_a_row(history, after, recover_after, kind):
    on, found = False, []
    for end in range(1, len(history) + 1):
        seen = signs(history[:end])
        # how it stands is known as soon as a canary is: the verdict says no more than the rows do
        seen = Signs(check=seen.check, verdict=Verdict.PASS, streaks=seen.streaks, better=seen.better)
        on = troubled(kind, seen, on, after=after, recover_after=recover_after)
        found.append(on)
    assert found == model(kind, history, after, recover_after)


@given(st.text("pwfu", min_size=1, max_size=30), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=200)
def test_not_knowing_neither_begins_nor_ends_a_failure(history, after, recover_after):
    without = history.replace("u", "")
    for kind in (Verdict.FAIL, Verdict.WARN):
        end = model(kind, history, after, recover_after)[-1:]
        assert end == (model(kind, without, after, recover_after)[-1:] or [False])


@given(st.text("pf", min_size=1, max_size=60), st.integers(2, 5), st.integers(2, 5))
@settings(max_examples=200)
def test_a_path_that_flaps_every_time_changes_nothing(history, after, recover_after):
    flapping = "pf" * len(history)
    states = model(Verdict.FAIL, history + flapping, after, recover_after)
    assert len(set(states[len(history) + 1 :])) == 1


LIVES = st.text("pwfu", min_size=1, max_size=7).flatmap(
    lambda history: st.tuples(st.just(history), st.permutations(range(len(history))))
)


@given(st.lists(LIVES, min_size=8, max_size=16))
@settings(max_examples=3)
def test_the_ledger_counts_the_rows_in_order_of_start_whatever_is_concluded_first(lives):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(Path(folder), lives))


async def _live(folder: Path, lives: Sequence[tuple[str, Sequence[int]]]) -> None:
    with Ledger(f"sqlite:///{folder / 'ledger.db'}") as ledger:
        await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
        await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(), at=T0)
        for number, (history, order) in enumerate(lives):
            await _live_once(ledger, f"check{number}", history, order)


async def _live_once(ledger: Ledger, name: str, history: str, order: Sequence[int]) -> None:
    outcomes = {"p": Outcome.DELIVERED, "w": Outcome.LATE, "f": Outcome.REJECTED, "u": Outcome.LOCAL_FAULT}
    canaries = [a_canary(a_check(name), at=T0 + number) for number in range(len(history))]
    for canary in canaries:
        await ledger.start(canary)
        await ledger.attempted(canary, Untried(at=T0, detail="no"), online=True, at=T0 + 40)
    for place in order:
        due = {one.facts.canary.id: one for one in await ledger.due(T0 + 50)}
        canary, letter = canaries[place].id, history[place]
        result = Conclusion(canary=canary, outcome=outcomes[letter], verdict=LETTERS[letter], reasons=())
        await ledger.judged([Judgement(due=due[canary], result=result)], at=T0 + 50)
    for kind in KINDS:
        better, began = await ledger.read(
            lambda connection, kind=kind: (streaks.better(connection, name, kind, 99), streaks.began(connection, kind))
        )
        assert better == tail(history, BETTER[kind], BAD[kind]), (kind, history, order)
        row = tail(history, BAD[kind], BETTER[kind])
        bad = [place for place, letter in enumerate(history) if letter in BAD[kind]]
        assert began.get(name) == (T0 + bad[-row] if row else None)


@pytest.mark.parametrize("waited", ["blind_for", "unknown_for"])
def test_a_check_is_unknown_only_once_that_has_lasted(waited):
    enough = {"blind_for": BLIND_AFTER, "unknown_for": UNKNOWN_AFTER}[waited]
    for seconds, expected in ((enough - 1, False), (enough, True)):
        seen = Signs(check=a_check(), verdict=Verdict.UNKNOWN, **{waited: seconds})
        assert troubled(Verdict.UNKNOWN, seen, False, after=2, recover_after=2) is expected


def test_a_mailbox_that_is_read_again_ends_the_blindness():
    seen = Signs(check=a_check(), verdict=Verdict.PASS, better={Verdict.UNKNOWN: 9})
    assert not troubled(Verdict.UNKNOWN, seen, True, after=2, recover_after=2)


def test_an_overdue_message_warns_at_once_and_fails_nothing():
    seen = Signs(check=a_check(), verdict=Verdict.WARN, overdue=1)
    assert troubled(Verdict.WARN, seen, False, after=2, recover_after=2)
    assert not troubled(Verdict.FAIL, seen, False, after=2, recover_after=2)
