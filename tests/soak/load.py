"""``python -m soak.load``: the agent with 200 checks at 10 s beside a bare loop, on the same real servers.

Exit 1 if a slot was skipped, a canary did not pass, or the books are wrong. The detection delay is what the agent says
it saw, against the time at which Dovecot wrote the file. The memory of the bare loop is that of this process, which
holds the test's own libraries as well.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing

from mailservers.testbed import Testbed
from soak import sample
from soak.bare import Bare
from soak.real import on_a_testbed
from soak.sample import tell
from support.process import AgentProcess, LedgerFile, Setup, arrived, until

from checks.core import token

_AGENT, _BARE = "load-agent@corp.test", "load-bare@corp.test"
_EVERY = 10
_SETTLE = 3.0  # seconds: the first canaries go out while everything is still being opened
_LINE = "{:<22} {:>10} {:>10}"


def run(checks: int, seconds: float) -> list[str]:
    """Load both for *seconds*, print the table, and return what was wrong."""
    limits = {"every": f"{_EVERY}s", "late_after": "10s", "lost_after": "60s"}
    with on_a_testbed() as (testbed, folder):
        settings = Setup(address=_AGENT, checks=checks, limits=limits).write(testbed, folder)
        ledger = LedgerFile(settings)
        bare = Bare(testbed, _BARE)
        load = os.getloadavg()[0]
        tell(f"{checks} checks every {_EVERY} s for {seconds:g} s; load average before: {load:.1f}")
        with AgentProcess(settings) as agent:
            until("the first round is through", lambda: ledger.count("outcome IS NOT NULL") >= checks, within=60)
            spent, started = sample.processor_seconds(agent.pid), ledger.count()
            bare_cost = asyncio.run(bare.run(checks / _EVERY, seconds))
            cost = (sample.processor_seconds(agent.pid) - spent) / (ledger.count() - started)
            wrong, memory = _judge(agent, ledger), sample.memory(agent.pid)
            if agent.stop() != 0:
                wrong.append("the agent did not stop by itself")
        rows = ledger.canaries(f"seq > {started} AND outcome = 'delivered'")
        reported = [row["delivery"] for row in rows]
        ours = _delays(_agent_files(testbed), _seen(ledger))
        theirs = _delays(_bare_files(testbed), {str(number): at for number, at in bare.seen.items()})
        wrong += ledger.problems()
        wrong += [f"{one} was sent {number} times" for one, number in arrived(testbed, _AGENT).items() if number > 1]
    _print(
        rows=len(rows),
        cost=cost,
        memory=memory,
        reported=reported,
        ours=ours,
        bare=bare,
        theirs=theirs,
        bare_cost=bare_cost,
    )
    return wrong


def _judge(agent: AgentProcess, ledger: LedgerFile) -> list[str]:
    skipped = agent.total("relaycanary_check_slots_skipped_total")
    started = agent.total("relaycanary_canaries_started_total")
    tell(f"{started:.0f} slots fired, {skipped:.0f} skipped; load average now: {os.getloadavg()[0]:.1f}")
    outcomes = ledger.outcomes()
    wrong = [f"{skipped:.0f} slots skipped"] * bool(skipped)
    return wrong + [f"{outcomes[name]} canaries {name}" for name in outcomes if name not in {"delivered", "in flight"}]


def _seen(ledger: LedgerFile) -> dict[str, float]:
    """When the agent first saw each canary. Its steady timeline starts at the wall clock, and the ledger was new."""
    with closing(sqlite3.connect(f"file:{ledger.path}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT canary, min(seen_at) FROM sightings GROUP BY canary").fetchall())


def _agent_files(testbed: Testbed) -> dict[str, float]:
    found = {}
    for arrival in testbed.arrivals(_AGENT):
        (signed,) = token.find(arrival.headers["Message-ID"])
        found[signed.id] = arrival.delivered
    return found


def _bare_files(testbed: Testbed) -> dict[str, float]:
    return {re.sub(r"\D", "", arrival.headers["Subject"]): arrival.delivered for arrival in testbed.arrivals(_BARE)}


def _delays(files: Mapping[str, float], seen: Mapping[str, float]) -> list[float]:
    return [seen[name] - delivered for name, delivered in files.items() if name in seen]


def _print(
    *,
    rows: int,
    cost: float,
    memory: float,
    reported: Sequence[float],
    ours: Sequence[float],
    bare: Bare,
    theirs: Sequence[float],
    bare_cost: float,
) -> None:
    def milliseconds(values: Sequence[float], share: float) -> str:
        return f"{sample.quantile(values, share) * 1000:.1f}"

    tell(_LINE.format("", "agent", "bare loop"))
    tell(_LINE.format("messages", rows, bare.sent))
    tell(_LINE.format("CPU ms each", f"{cost * 1000:.1f}", f"{bare_cost * 1000:.1f}"))
    tell(_LINE.format("RSS MB", f"{memory:.0f}", f"{sample.memory():.0f}"))
    for share in (0.5, 0.95):
        name = f"p{share * 100:.0f}"
        tell(_LINE.format(f"detection {name} ms", milliseconds(ours, share), milliseconds(theirs, share)))
        tell(_LINE.format(f"reported {name} ms", milliseconds(reported, share), "-"))


def main() -> int:
    """Run it from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="soak.load", description=__doc__)
    parser.add_argument("--checks", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=300.0)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by the way that stops the servers, too
    wrong = run(chosen.checks, chosen.seconds)
    tell("\n".join(wrong) or "no slot skipped, nothing lost, the books are right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
