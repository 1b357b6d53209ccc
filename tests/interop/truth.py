"""What really happened, to hold the ledger against: the agent's dialogues, and the mail on the servers' disk."""

from __future__ import annotations

from mailservers.ground_truth import Arrival
from mailservers.testbed import Testbed
from sqlalchemy import select
from support.running import RunningAgent

from agent.ledger import records
from agent.ledger.schema import evidence
from checks.core import token
from checks.core.model import Canary, Transcript


async def transcript_of(agent: RunningAgent, canary: Canary) -> Transcript:
    """Return the whole record of a canary's hand-over."""
    query = select(evidence.c.content).where(evidence.c.canary == canary.id, evidence.c.kind == "transcript")
    content = await agent.ledger.read(lambda connection: connection.execute(query).scalar_one())
    return records.load_transcript(content)


def dialogue(transcript: Transcript) -> str:
    """Return what was said, a line each: "C: EHLO ..."."""
    return "\n".join(f"{line.who}: {line.text}" for line in transcript.dialogue)


def canary_in(arrival: Arrival) -> str:
    """Return the id of the canary that a message claims to be, "" for other mail."""
    claimed = next(token.find(arrival.headers.get("X-Relaycanary", "")), None)
    return claimed.id if claimed else ""


def canaries_in(testbed: Testbed, address: str, folder: str = "INBOX") -> list[str]:
    """List the canaries in a folder of a mailbox, in the order of delivery, as they lie on disk."""
    return [canary_in(arrival) for arrival in testbed.arrivals(address, folder)]
