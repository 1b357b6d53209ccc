"""The least that could do the job: one loop that sends on a kept SMTP connection and reads on a kept IMAP one.

No ledger, no TLS, no signature, no verdict: what it costs is the price of the mail itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailservers.testbed import Testbed

_LOOK_EVERY = 0.02
_LAST_WAIT = 10.0
_SUBJECT = re.compile(rb"Subject: bare (\d+)")


@dataclass(slots=True)
class Bare:
    """Sends to *address* and reads its mailbox. `seen` tells by number when each message was seen (Unix time)."""

    testbed: Testbed
    address: str
    sent: int = 0
    seen: dict[int, float] = field(default_factory=dict)

    async def run(self, rate: float, seconds: float) -> float:
        """Send *rate* messages a second; return the processor time that a message took, in seconds."""
        began = time.process_time()
        reading = asyncio.create_task(self._read())
        await self._send(rate, round(rate * seconds))
        deadline = time.monotonic() + _LAST_WAIT
        while len(self.seen) < self.sent and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY)
        reading.cancel()
        return (time.process_time() - began) / self.sent

    async def _send(self, rate: float, number: int) -> None:
        reader, writer = await asyncio.open_connection(self.testbed.host, self.testbed.ports.mx)
        began = time.monotonic()

        async def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")
            while (await reader.readline())[3:4] == b"-":
                continue

        await reader.readline()
        await say("EHLO bare.test")
        for index in range(number):
            await asyncio.sleep(max(0.0, began + index / rate - time.monotonic()))
            await say("MAIL FROM:<bare@corp.test>")
            await say(f"RCPT TO:<{self.address}>")
            await say("DATA")
            await say(f"From: <bare@corp.test>\r\nTo: <{self.address}>\r\nSubject: bare {index}\r\n\r\nHello.\r\n.")
            self.sent += 1
        writer.close()

    async def _read(self) -> None:
        reader, writer = await asyncio.open_connection(self.testbed.host, self.testbed.ports.imap)

        async def ask(command: str) -> Sequence[bytes]:
            writer.write(f"a {command}\r\n".encode())
            lines = [await reader.readline()]
            while not lines[-1].startswith(b"a "):
                lines.append(await reader.readline())
            return lines

        await reader.readline()
        await ask(f"LOGIN {self.address} {self.testbed.password}")
        await ask("SELECT INBOX")
        following = 1
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            if len(self.seen) == self.sent:
                continue
            await ask("NOOP")
            lines = await ask(f"UID FETCH {following}:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
            for number in (int(match[1]) for line in lines if (match := _SUBJECT.match(line))):
                self.seen.setdefault(number, time.time())
            following = len(self.seen) + 1
