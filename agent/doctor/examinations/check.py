"""What the ledger knows about the connector's header."""

from __future__ import annotations

import asyncio

from agent.doctor.finding import Finding, not_tested
from agent.doctor.judge.attribution import judge_attribution
from agent.doctor.kit import Kit
from agent.ledger import LedgerError
from agent.ledger.inspect import attributed_canaries
from checks.core.model import Check


async def of_check(kit: Kit, check: Check) -> list[Finding]:
    """Look in the ledger whether the connector's header is known on the mailbox of a relay check."""
    try:
        seen = await asyncio.to_thread(attributed_canaries, kit.settings.agent.ledger, check.name)
    except LedgerError as error:
        return [not_tested("headers.attributed", f"{error}")]
    return [judge_attribution(check.name, expected=check.expect.attributed, seen=seen)]
