"""What the ledger knows of the connector's header: seen once on a check, its absence means something there."""

from __future__ import annotations

import asyncio

from support.make import T0, a_canary, a_check, a_sighting, accepted

from agent.ledger import Judgement, Ledger, LookRecord
from agent.ledger.inspect import attributed_canaries
from checks.core import verdict
from checks.core.model import Expectations, Findings, Outcome

EXPECTING = a_check(expect=Expectations(attributed=True))


async def arrive(ledger, check, at, *, attributed):
    canary = a_canary(check, at=at)
    await ledger.start(canary)
    await ledger.attempted(canary, accepted(at), online=True, at=at + 1)
    sighting = a_sighting(canary, at + 2, findings=Findings(attributed=attributed))
    look = LookRecord(
        mailbox="inbox",
        folder="INBOX",
        cursor="1:1",
        complete=True,
        began_at=at + 2,
        answered_at=at + 2,
        blind_after=120.0,
        sightings=[sighting],
    )
    await ledger.looked(look)
    due = await ledger.due(at + 3)
    judgements = [Judgement(due=one, result=verdict.judge(one.facts, at + 3)) for one in due]
    (conclusion,) = await ledger.judged(judgements, at=at + 3)
    return conclusion


def test_a_canary_without_the_header_is_degraded_only_once_one_had_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"

    async def live(ledger):
        await ledger.begin_run(site="test", version="0", began_at=T0, began_wall=T0)
        await ledger.configure(watched={"inbox": ["INBOX"]}, thresholds=(60.0,), at=T0)
        other = a_check("other")
        return [
            await arrive(ledger, EXPECTING, T0 + 10, attributed=None),
            await arrive(ledger, other, T0 + 20, attributed=True),  # of another check, which says nothing here
            await arrive(ledger, EXPECTING, T0 + 30, attributed=None),
            await arrive(ledger, EXPECTING, T0 + 40, attributed=True),
            await arrive(ledger, EXPECTING, T0 + 50, attributed=None),
        ]

    with Ledger(url) as ledger:
        outcomes = [(one.outcome, tuple(one.reasons)) for one in asyncio.run(live(ledger))]

    unobserved = (Outcome.DELIVERED, ("attribution_unobserved",))
    assert outcomes == [
        unobserved,
        (Outcome.DELIVERED, ()),
        unobserved,
        (Outcome.DELIVERED, ()),
        (Outcome.DEGRADED, ("attributed: expected yes, found nothing",)),
    ]
    assert (attributed_canaries(url, "relay"), attributed_canaries(url, "other")) == (1, 1)
    assert attributed_canaries(url, "stranger") == 0
