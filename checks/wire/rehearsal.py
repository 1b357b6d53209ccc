"""A hand-over without its message: all that can be found out about an SMTP path without sending anything."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from checks.core.model import Refused, Stage, Transcript
from checks.ports import Clock
from checks.wire.handover import Handover, HandoverEnded
from checks.wire.opening import Plan, open_session
from checks.wire.session import OK, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What came of it. `refused` is None where the server would have taken the message at DATA, as far as it told.

    `local_address` is ours on the connection, None where there was none. `greeted` is when the greeting came, by our
    wall clock; None where none came. `chain` has the server's certificates in DER, leaf first.
    """

    transcript: Transcript
    refused: Refused | None
    local_address: str | None = None
    greeted: datetime | None = None
    chain: Sequence[bytes] = ()


async def rehearse(
    record: Handover,
    opening: Awaitable[Session],
    sender: str,
    recipient: str,
    clock: Clock,
    *,
    unless: HandoverEnded | None = None,
) -> Rehearsal:
    """Open a session, name sender and recipient, and take it all back (RSET, RFC 5321 4.1.1.5).

    DATA is never said, so no message can come of it. *unless* is why it must end once the session is open.

    Raises:
        checks.errors.LocalFault: this machine could not even try.
    """
    refused: Refused | None = None
    try:
        session = await opening
        if unless is not None:
            session.link.quit()
            raise unless
        await _envelope(session, sender, recipient)
    except HandoverEnded as end:
        refused = record.refused(end)
    transcript = refused.transcript if refused else record.transcript()
    return Rehearsal(
        transcript=transcript,
        refused=refused,
        local_address=record.local_address,
        greeted=_greeted(transcript, clock),
        chain=record.sent_chain,
    )


async def look_at_certificates(record: Handover, plan: Plan) -> Sequence[bytes]:
    """Return the certificates that the server shows, in DER, leaf first, whether or not they can be trusted.

    For saying what is wrong with them: nobody logs in, and nothing is said over that connection but EHLO and QUIT.

    Raises:
        checks.errors.LocalFault: this machine could not even try.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        session = await open_session(record, replace(plan, context=context, login=None))
    except HandoverEnded:
        return record.sent_chain
    session.link.quit()
    return record.sent_chain


async def _envelope(session: Session, sender: str, recipient: str) -> None:
    try:
        async with session.record.timed(Stage.ENVELOPE):
            await session.demand(Stage.MAIL, f"MAIL FROM:<{sender}>", OK)
            await session.demand(Stage.RCPT, f"RCPT TO:<{recipient}>", OK)
            await session.demand(Stage.ENVELOPE, "RSET", OK)
    finally:
        session.link.quit()


def _greeted(transcript: Transcript, clock: Clock) -> datetime | None:
    """Tell when the server first spoke, as calendar time."""
    first = next((line for line in transcript.dialogue if line.who == "S"), None)
    return None if first is None else clock.now() - timedelta(seconds=clock.steady() - first.at)
