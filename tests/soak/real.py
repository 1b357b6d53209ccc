"""The agent as a process on Postfix and Dovecot for as long as it takes: nothing grows, nothing is lost."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailservers.testbed import Testbed
from soak import sample
from soak.sample import Sample, tell
from support.process import AgentProcess, LedgerFile, Setup, until

ADDRESS = "soak@corp.test"
_CHECKS = 50
_EVERY = 10.0
_SAMPLE_EVERY = 60.0
_WARM_UP = 20.0  # minutes: what is kept for ten is first let go of in the round of pruning that follows
_SETUP = Setup(
    address=ADDRESS,
    checks=_CHECKS,
    limits={"every": f"{_EVERY:g}s", "late_after": "10s", "lost_after": "60s"},
    agent={"keep": "5m", "ledger_keep": "10m"},
)


@contextmanager
def on_a_testbed() -> Iterator[tuple[Testbed, Path]]:
    """Start servers of our own; yield them and a folder for the agent. All of it goes at the end."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Testbed(folder / "servers") as testbed:
            yield testbed, folder


def run(minutes: float) -> list[str]:
    """Soak for *minutes*, printing a line every minute; return what was wrong."""
    with on_a_testbed() as (testbed, folder):
        settings = _SETUP.write(testbed, folder)
        ledger = LedgerFile(settings)
        with AgentProcess(settings) as agent:
            samples = _watch(agent, ledger, minutes)
            wrong = sample.grown(samples, warm_up=min(_WARM_UP, minutes / 2))
            wrong += sample.scarce(samples, due=_CHECKS * _SAMPLE_EVERY / _EVERY)
            skipped = agent.total("relaycanary_check_slots_skipped_total")
            # The totals outlive the rows, and hold what concluded long after it was sampled over: what is lost is late.
            totals = agent.metrics()["relaycanary_canaries_total"]
            not_passed = sum(number for labels, number in totals.items() if "verdict=pass" not in labels.split(","))
            if agent.stop() != 0:
                wrong.append("the agent did not stop by itself")
        wrong += [f"{skipped:.0f} slots skipped"] * bool(skipped)
        wrong += [f"{not_passed:.0f} of {sum(totals.values()):.0f} canaries did not pass"] * bool(not_passed)
        wrong += ledger.problems()
    return wrong


def _watch(agent: AgentProcess, ledger: LedgerFile, minutes: float) -> list[Sample]:
    tell(f"{_CHECKS} checks every {_EVERY:g} s for {minutes:g} minutes\n{sample.HEAD}")
    began = time.monotonic()
    samples: list[Sample] = []
    newest, spent = 0, sample.processor_seconds(agent.pid)
    for number in range(1, max(1, round(minutes * 60 / _SAMPLE_EVERY)) + 1):
        time.sleep(max(0.0, began + number * _SAMPLE_EVERY - time.monotonic()))
        taken, newest, spent = _take(agent, ledger, (time.monotonic() - began) / 60, newest, spent)
        samples.append(taken)
        tell(sample.row(taken))
    return samples


def _take(agent: AgentProcess, ledger: LedgerFile, at: float, newest: int, spent: float) -> tuple[Sample, int, float]:
    """Take a sample over the canaries concluded since row *newest* and the processor time since *spent*.

    Returns it with the new newest row and the time spent by now.
    """
    until("the agent answers", agent.metrics, within=30)
    rows = ledger.canaries(f"outcome IS NOT NULL AND seq > {newest}")
    delivered = [row["delivery"] * 1000 for row in rows if row["delivery"] is not None]
    by_now = sample.processor_seconds(agent.pid)
    taken = Sample(
        at=at,
        load=os.getloadavg()[0],
        rss=sample.memory(agent.pid),
        fds=sample.open_files(agent.pid),
        threads=sample.threads(agent.pid),
        ledger=sample.size_of(ledger.path),
        concluded=len(rows),
        not_passed=sum(row["verdict"] != "pass" for row in rows),
        cpu=(by_now - spent) / max(1, len(rows)) * 1000,
        p50=sample.quantile(delivered, 0.5),
        p95=sample.quantile(delivered, 0.95),
    )
    return taken, max((row["seq"] for row in rows), default=newest), by_now
