"""Every fault of the matrix gives its outcome and its verdict, and moves nothing else."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import trustme
from faults.breakage import Expunging
from faults.rig import Books, Rig, a_rig
from faults.table import ROWS, Row

from checks.core.model import Canary, Outcome, Verdict
from checks.core.verdict import SEEN
from checks.lab import Lab

WITNESSED = Books(
    {"witness canaries_started": 1, "witness canaries outcome=delivered verdict=pass": 1, "witness latencies": 1}
)
HEALED = {"canaries_started": 1, "canaries outcome=delivered verdict=pass": 1, "latencies": 1}
MUCH_LATER = 3600.0
REFUSED = {Outcome.UNREACHABLE, Outcome.TLS_FAILED, Outcome.AUTH_FAILED, Outcome.DEFERRED, Outcome.REJECTED}


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.name, marks=() if row.fast else pytest.mark.long) for row in ROWS]
)
def test_a_fault_gives_its_outcome_and_moves_nothing_else(
    row: Row, lab: Lab, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    async def story() -> None:
        async with a_rig(lab, authority, ca_file, tmp_path, limit=row.limit(), amend=row.breaks.amend) as rig:
            await row.breaks.prepare(rig)
            before = await rig.books()
            await row.breaks.begin(rig)
            canary = await rig.agent.send(row.check)
            await row.breaks.sent(rig, canary)
            record = await rig.agent.concluded(canary)
            assert await row.breaks.happened(rig), "the canary did not meet the fault, so its verdict says nothing"
            await _is_as_the_row_says(rig, row, record)
            await _is_true(rig, row, canary)
            await row.breaks.concluded(rig, canary)
            assert await rig.moved(before, row.expected()) == row.expected()
            await _others_are_well(rig)
            await rig.heal()
            await _is_well_again(rig, row, before)

    asyncio.run(story())


async def _is_as_the_row_says(rig: Rig, row: Row, record: Any) -> None:
    assert (record.outcome, record.verdict) == (row.outcome, row.verdict), record.reasons
    assert re.search(row.says, record.reasons), record.reasons
    if row.shown().get("mailbox_up mailbox=inbox"):  # seen in the first folder, a canary does not wait for the others
        await rig.until_mailbox(up=True)
    for name, value in row.shown().items():
        metric, *labels = name.split()
        assert await rig.metric(metric, **dict(label.split("=") for label in labels)) == value, name
    if not rig.mailbox_up():
        assert record.outcome != Outcome.LOST
        assert await rig.current(row.check, later=MUCH_LATER) is Verdict.UNKNOWN
    assert (record.end_to_end is not None) == (row.outcome in SEEN)
    assert await rig.agent.ledger.verify() == []


async def _is_true(rig: Rig, row: Row, canary: Canary) -> None:
    """Hold the outcome against the mailbox: what was seen is there, and what was refused is not."""
    if row.outcome in SEEN and not isinstance(row.breaks, Expunging):
        assert await rig.copies(canary) > 0
    if row.outcome in REFUSED:
        assert await rig.copies(canary) == 0


async def _others_are_well(rig: Rig) -> None:
    assert await rig.agent.outcome_of("witness") == "delivered"
    assert await rig.current("witness") is Verdict.PASS


async def _is_well_again(rig: Rig, row: Row, before: Books) -> None:
    check = "by-name" if row.check == "by-name" else "patient"
    assert await rig.agent.outcome_of(check, within=60) == "delivered"
    healed = Books({f"{check} {key}": by for key, by in HEALED.items()})
    expected = row.expected() + row.after_healing() + WITNESSED + healed
    assert await rig.moved(before, expected) == expected
