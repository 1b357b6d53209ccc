"""The latency that is reported, held against the time at which Dovecot put the message into the mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from interop.settings import Setup
from interop.truth import canary_in, transcript_of
from mailservers.testbed import Testbed
from support.running import RunningAgent, running_agent

from checks.core.model import Canary, Stage, Transcript

pytestmark = pytest.mark.servers

ADDRESS = "interop-latency@corp.test"
CANARIES = 20
_IDLE_HELD = 0.5  # seconds for which Dovecot holds back every notice in IDLE
_ACK_DELAYED = 0.04  # seconds for which Linux may hold back an acknowledgement
_WRITING = 0.25  # seconds; the name of a file tells when Dovecot began to write it, not when it could be seen


@dataclass(frozen=True, slots=True)
class Timed:
    """One canary: when it was seen, when at the latest it was not there yet, and when it truly came (Unix time)."""

    not_before: float
    seen: float
    delivered: float
    transcript: Transcript


async def _timed(agent: RunningAgent, testbed: Testbed, canary: Canary, wall_offset: float) -> Timed:
    row = await agent.concluded(canary, within=60)
    assert row.outcome == "delivered", row.reasons
    transcript = await transcript_of(agent, canary)
    arrivals = await asyncio.to_thread(testbed.arrivals, ADDRESS)
    [delivered] = [one.delivered for one in arrivals if canary_in(one) == canary.id]
    seen = transcript.ended_at + row.delivery + wall_offset
    return Timed(seen - row.observation_gap, seen, delivered, transcript)


async def _send_all(testbed: Testbed, settings: Path) -> list[Timed]:
    async with running_agent(settings) as agent:
        view = agent.pipeline.view()
        sent = [await agent.send("submission") for _ in range(CANARIES)]
        return [await _timed(agent, testbed, canary, view.wall_offset) for canary in sent]


@pytest.fixture(scope="module")
def timed(testbed: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Timed]:
    """Send canaries by submission, each on a connection of its own."""
    setup = Setup(testbed, tmp_path_factory.mktemp("latency"))
    setup.path("submission", "submission", testbed.ports.submission, credential=setup.password(ADDRESS))
    setup.check("submission", "submission", setup.mailbox("inbox", ADDRESS))
    return asyncio.run(_send_all(testbed, setup.write()))


def test_no_canary_is_seen_before_it_came(timed: Sequence[Timed]) -> None:
    assert [one for one in timed if one.seen < one.delivered] == []


def test_no_canary_had_come_long_before_the_last_look_that_did_not_show_it(timed: Sequence[Timed]) -> None:
    """A busy machine may take its time to write a few of them; a wrong bracket would be wrong for all."""
    assert len([one for one in timed if one.not_before > one.delivered + _WRITING]) <= CANARIES // 4


def test_nobody_waits_for_the_notice_that_dovecot_holds_back(timed: Sequence[Timed]) -> None:
    """Of many the quickest: a busy machine may delay any, and an IDLE that is waited for delays all."""
    assert min(one.seen - one.delivered for one in timed) < _IDLE_HELD


def test_no_acknowledgement_is_waited_for_after_the_handshake(timed: Sequence[Timed]) -> None:
    """The EHLO that follows it is answered at once, or never sooner than a delayed acknowledgement."""
    waits = [_answer_to_second_ehlo(one.transcript) for one in timed]
    assert min(waits) < _ACK_DELAYED


def _answer_to_second_ehlo(transcript: Transcript) -> float:
    """Return how long the server took to answer the EHLO inside TLS."""
    assert Stage.STARTTLS in {timing.stage for timing in transcript.stages}
    lines = transcript.dialogue
    _, asked = (number for number, line in enumerate(lines) if line.text.startswith("EHLO "))
    return lines[asked + 1].at - lines[asked].at
