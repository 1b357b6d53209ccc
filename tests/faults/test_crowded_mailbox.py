"""A canary is found among all kinds of other people's mail, on real servers, and the other mail is left alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.testbed import settings_for_the_testbed
from mailservers.testbed import Testbed
from support.running import running_agent

pytestmark = pytest.mark.servers

FOREIGN = b"From: a@b.example\r\nSubject: greetings %d\r\nMessage-ID: <%d@b.example>\r\n\r\nhello\r\n"
LARGE = 50 * 1024 * 1024


def crowd(maildir: Path) -> int:
    """Put 10,000 messages into the mailbox."""
    for number in range(10_000):
        _put(maildir, f"1700000000.M{number}P1.b", FOREIGN % (number, number))
    return 10_000


def large_message(maildir: Path) -> int:
    """Put one message of 50 MB into the mailbox."""
    head = FOREIGN % (1, 1)
    _put(maildir, "1700000000.M1P1.b", head + b"0123456789abcdef" * 4 * (LARGE // 66) + b"\r\n")
    return 1


def large_header(maildir: Path) -> int:
    """Put one message with 5 MB of header fields into the mailbox, some of them like those of canaries."""
    fields = b"".join(b"X-Relaycanary: rc1.%d\r\nReferences: <%d@b.example>\r\n" % (n, n) for n in range(100_000))
    _put(maildir, "1700000000.M1P1.b", fields + FOREIGN % (1, 1))
    return 1


def large_report(maildir: Path) -> int:
    """Put one delivery status notification of 50 MB into the mailbox."""
    head = b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\nSubject: Undeliverable\r\n'
    parts = b"--b\r\n\r\n" * 40_000
    _put(maildir, "1700000000.M1P1.b", head + b"\r\n" + parts + (b"x" * 78 + b"\r\n") * (LARGE // 80))
    return 1


def _put(maildir: Path, name: str, message: bytes) -> None:
    owner = maildir.stat()
    file = maildir / "tmp" / name
    file.write_bytes(message)
    os.chown(file, owner.st_uid, owner.st_gid)
    file.rename(maildir / "new" / name)


@pytest.mark.parametrize(
    "fill",
    [
        pytest.param(crowd, marks=pytest.mark.long),
        large_message,
        large_header,
        pytest.param(large_report, marks=pytest.mark.long),
    ],
)
def test_a_canary_is_found_in_a_crowded_mailbox(fill: Callable[[Path], int], testbed: Testbed, tmp_path: Path) -> None:
    address = f"{fill.__name__.replace('_', '-')}@corp.test"

    async def story() -> None:
        async with running_agent(settings_for_the_testbed(testbed, tmp_path, address)) as agent:
            assert await agent.outcome_of("mx") == "delivered"
            added = await asyncio.to_thread(fill, testbed.maildir(address))

            assert await agent.outcome_of("mx", within=60) == "delivered"
            assert await agent.outcome_of("mx", within=60) == "delivered"
            assert await agent.total("canaries", outcome="delivered") == 3
            assert len(await asyncio.to_thread(testbed.arrivals, address)) == added + 3

    asyncio.run(story())
