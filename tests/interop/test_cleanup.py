"""After `keep` our own canaries leave the mailbox, and their bounces; whatever only resembles them stays."""

from __future__ import annotations

import asyncio
import re
import smtplib
from collections.abc import Iterable
from email.message import EmailMessage
from pathlib import Path

import pytest
from interop.settings import KEY, Setup
from mailservers.testbed import Testbed
from support.running import running_agent

from checks.core import token
from checks.core.model import Canary

pytestmark = pytest.mark.servers

ADDRESS = "interop-cleanup@corp.test"
JUNKED = "junk-cleanup@corp.test"
BRISK = {"every": "1s", "late_after": "1s", "lost_after": "60s"}
KEEP = "2s"


def _mail(subject: str, **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "somebody@remote.test", ADDRESS
    message["Subject"] = subject
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("Not a canary of this agent.\n")
    return message


def _lookalikes(genuine: str) -> Iterable[EmailMessage]:
    """Write mail that resembles our canaries, given the token of a genuine one; none of it may be touched."""
    subject = f"Mail flow canary {genuine}"
    forged = genuine[:-1] + ("A" if genuine[-1] != "A" else "B")
    stranger = token.mint("a" * 16, "cleanup", ADDRESS, key="k2", secret=b"another agent's secret")
    unknown = token.mint("b" * 16, "cleanup", ADDRESS, key="k1", secret=KEY.encode())
    yield _mail("Lunch?")
    yield _mail(f"Re: {subject}", In_Reply_To=f"<{genuine}@corp.test>", References=f"<{genuine}@corp.test>")
    yield _mail(f"Automatic reply: {subject}", Auto_Submitted="auto-replied")
    for claimed in (forged, stranger, unknown):
        yield _mail(f"Mail flow canary {claimed}", X_Relaycanary=claimed)
    yield _bounce_of_somebody()


def _bounce_of_somebody() -> EmailMessage:
    report = _mail("Undelivered Mail Returned to Sender", Auto_Submitted="auto-replied")
    report.set_content("I'm sorry to have to inform you that your message could not be delivered.\n")
    report.replace_header("Content-Type", 'multipart/report; report-type=delivery-status; boundary="b"')
    report.set_payload(
        "--b\nContent-Type: text/plain\n\nSorry.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.remote.test\n\n"
        "Final-Recipient: rfc822; x@remote.test\nAction: failed\nStatus: 5.1.1\n"
        "--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <somebody@remote.test>\nSubject: Lunch?\n--b--\n"
    )
    return report


def _deliver(testbed: Testbed, messages: Iterable[EmailMessage]) -> None:
    with smtplib.SMTP(testbed.host, testbed.ports.mx) as session:
        for message in messages:
            session.send_message(message)


def _subjects(testbed: Testbed, address: str = ADDRESS, folder: str = "INBOX") -> list[str]:
    return [
        re.sub(r"\s+", " ", arrival.headers["Subject"] or arrival.path.name)
        for arrival in testbed.arrivals(address, folder)
    ]


async def _until_gone(testbed: Testbed, canary: Canary, address: str, folder: str) -> None:
    """Wait until nothing in the folder mentions *canary* but what answers it."""
    async with asyncio.timeout(40):
        while any(canary.id in one and one.startswith("Mail flow") for one in _subjects(testbed, address, folder)):
            await asyncio.sleep(0.05)


@pytest.fixture
def setup(testbed: Testbed, tmp_path: Path) -> Setup:
    made = Setup(testbed, tmp_path, keep=KEEP)
    made.path("direct", "direct_send", testbed.ports.mx, sender=ADDRESS)
    made.mailbox("inbox", ADDRESS)
    made.check("cleanup", "direct", "inbox", **BRISK)
    return made


def test_only_our_own_canaries_and_their_bounces_are_deleted(testbed: Testbed, setup: Setup) -> None:
    setup.mailbox("junked", JUNKED)
    setup.check("junked", "direct", "junked", to=JUNKED, **BRISK)
    setup.check("bounced", "direct", "inbox", to="bounce-cleanup@corp.test", **BRISK)

    async def story() -> list[str]:
        async with running_agent(setup.write()) as agent:
            first = await agent.send("cleanup")
            assert (await agent.concluded(first)).outcome == "delivered"
            genuine = token.mint(first.id, "cleanup", ADDRESS, key="k1", secret=KEY.encode())
            strangers = list(_lookalikes(genuine))
            await asyncio.to_thread(_deliver, testbed, strangers)
            junked, bounced = await agent.send("junked"), await agent.send("bounced")
            assert (await agent.concluded(junked)).outcome == "junk"
            assert (await agent.concluded(bounced)).outcome == "bounced"
            last = await agent.send("cleanup")
            assert (await agent.concluded(last)).outcome == "delivered"
            await _until_gone(testbed, junked, JUNKED, "Junk")
            await _until_gone(testbed, last, ADDRESS, "INBOX")
            return sorted(str(one["Subject"]) for one in strangers)

    wanted = asyncio.run(story())
    assert sorted(_subjects(testbed)) == wanted
    assert _subjects(testbed, JUNKED, "Junk") == []


def test_a_canary_that_travels_for_longer_than_mail_is_kept_is_delivered_all_the_same(
    testbed: Testbed, tmp_path: Path
) -> None:
    """`keep` says how long mail stays in the mailbox, not how long it may take to get there."""
    slow = "delay-2500-cleanup@corp.test"
    setup = Setup(testbed, tmp_path, keep="1s")
    setup.path("direct", "direct_send", testbed.ports.mx)
    setup.mailbox("slow", slow)
    setup.check("slow", "direct", "slow", to=slow, every="1s", late_after="3s", lost_after="4s")

    async def story() -> str:
        async with running_agent(setup.write()) as agent:
            return await agent.outcome_of("slow", within=60)

    assert asyncio.run(story()) in {"delivered", "late"}
