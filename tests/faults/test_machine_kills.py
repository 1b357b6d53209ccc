"""kill -9 at random moments under load: each canary that was started ends in exactly one verdict, the right one."""

from __future__ import annotations

import random
import time
import uuid

import pytest
from support.process import AgentProcess, LedgerFile, Setup, arrived, conclude, hold_against

pytestmark = pytest.mark.servers

_CHECKS = 20
_MANY = 50  # kills, of which some must come within the few milliseconds between plan and attempt
_LONGEST_LIFE = 3.0  # seconds from the greeting, in which the agent sends some sixty canaries


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.long)])
def test_every_canary_ends_in_one_verdict_however_often_the_agent_is_killed(testbed, tmp_path, kills):
    """Twenty canaries a second; the moments are random but the same in each run."""
    address = f"kills-{uuid.uuid4().hex[:12]}@corp.test"
    limits = {"every": "1s", "late_after": "5s", "lost_after": "10s"}
    settings = Setup(address=address, checks=_CHECKS, limits=limits).write(testbed, tmp_path)
    ledger = LedgerFile(settings)
    moments = random.Random(kills)  # noqa: S311 - moments to kill at, not secrets
    interrupted = 0
    for _ in range(kills):
        with AgentProcess(settings):
            time.sleep(moments.uniform(0.05, _LONGEST_LIFE))
        interrupted += ledger.count("state = 'started'")
        assert ledger.problems() == []
    conclude(settings, ledger, within=60.0 + kills)  # what was planned and never sent is in doubt until `lost_after`
    started = ledger.count()
    truth = arrived(testbed, address)
    figures = f"{kills} kills: {started} canaries, {interrupted} killed on their way out, {dict(ledger.outcomes())}"
    print(figures)  # noqa: T201 - shown by `pytest -s`
    assert interrupted > 0 or kills < _MANY, "no kill came between plan and attempt: the load is too low"
    assert hold_against(ledger, truth) == []
    assert ledger.outcomes().keys() <= {"delivered", "late", "indeterminate"}
    assert started > kills * _CHECKS / 4
