"""An SMTP session: commands and answers, one at a time, each end of it a value or a `HandoverEnded`."""

from __future__ import annotations

import ssl
from collections.abc import Container
from dataclasses import dataclass

from aiosmtplib.errors import SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.esmtp import parse_esmtp_extensions

from checks.core.model import Cause, Reply, Stage, TlsFacts
from checks.core.reply import clean_text, parse_reply
from checks.wire.handover import Handover, HandoverEnded
from checks.wire.link import Link, dot_stuffed

OK = range(200, 300)
"""Any positive completion reply (RFC 5321 4.2.1)."""

_REFUSAL = range(400, 600)
_REPLY_CODES = range(200, 600)
_CODE_LENGTH = 3
_NOT_UNDERSTOOD = {500, 502}
_SERVICE_CLOSING = 421
_FLUSH_POLL = 0.01
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the server: as a reply, and its lines without the code, for those that list something."""

    reply: Reply
    lines: tuple[str, ...]

    @property
    def code(self) -> int:
        """The reply code."""
        return self.reply.code


class Session:
    """A connection to *host* and what is known about it. `record` is that of the hand-over under way.

    `extensions` and `mechanisms` are what the last EHLO offered, keywords in lower case.
    """

    def __init__(self, link: Link, record: Handover, host: str) -> None:
        self.link = link
        self.record = record
        self.host = host
        self.endpoint = record.endpoint
        self.tls: TlsFacts | None = None
        self.secrets: frozenset[bytes] = frozenset()
        self.extensions: dict[str, str] = {}
        self.mechanisms: list[str] = []

    @property
    def idle_and_well(self) -> bool:
        """Tell whether another message may be tried on it: it is open, and the server has said nothing meanwhile."""
        return self.link.is_connected and not self.link.unasked

    def adopt(self, record: Handover) -> None:
        """Go on with another hand-over."""
        record.endpoint, record.tls, record.connected = self.endpoint, self.tls, True
        record.conceal(self.secrets)
        self.record = record

    def conceal(self, *secrets: bytes) -> None:
        """Keep *secrets* out of the record of this and every later hand-over on this session."""
        self.secrets |= set(secrets)
        self.record.conceal(secrets)

    async def greeting(self) -> None:
        """Wait for the 220 that opens the session."""
        self.check(Stage.GREETING, await self._answer(Stage.GREETING, None), {220})

    async def hello(self, name: str) -> None:
        """Say EHLO; HELO to a server that does not know EHLO (RFC 5321 3.2)."""
        answer = await self.ask(Stage.EHLO, f"EHLO {name}")
        self.extensions, self.mechanisms = parse_esmtp_extensions("\n".join(answer.lines))
        if answer.code in _NOT_UNDERSTOOD:
            self.extensions, self.mechanisms = {}, []
            answer = await self.ask(Stage.EHLO, f"HELO {name}")
        self.check(Stage.EHLO, answer, {250})

    async def demand(self, stage: Stage, line: str, good: Container[int]) -> Answer:
        """Send a command and insist on an answer whose code is in *good*."""
        return self.check(stage, await self.ask(stage, line), good)

    async def ask(self, stage: Stage, line: str, *, shown: str | None = None) -> Answer:
        """Send a command and return the answer; the record keeps *shown*, where the line holds a secret.

        Raises:
            HandoverEnded: there was none, or it is not of the protocol.
        """
        self.record.step = stage
        if unasked := self.link.take_unasked():
            return self._overtaken(stage, unasked)
        self.record.we(shown if shown is not None else line)
        return await self._answer(stage, line.encode("ascii"))

    async def deliver(self, message: bytes) -> Answer:
        """Send the message after 354, in one write, and return the final answer. Sets the record's `sent`."""
        data = dot_stuffed(message)
        self.record.step = Stage.DATA
        if unasked := self.link.take_unasked():
            return self._overtaken(Stage.DATA, unasked)
        self.record.remark(f"the message, {len(data)} bytes with its final dot")
        try:
            self.link.write_message(data)
        except SMTPServerDisconnected as error:
            raise self._dropped(Stage.DATA, error) from error
        # Only a message that is larger than the kernel's buffer is not gone at once; nothing tells when it is.
        while not self.link.flushed and self.link.is_connected and not self.link.answered:
            await self.record.pause(_FLUSH_POLL)
        self.record.sent = self.link.flushed
        return await self._answer(Stage.DATA, None)

    def check(self, stage: Stage, answer: Answer, good: Container[int]) -> Answer:
        """Return *answer* if its code is in *good*.

        Raises:
            HandoverEnded: it is a refusal, or makes no sense here.
        """
        if answer.code in good:
            return answer
        if answer.code in _REFUSAL:
            raise HandoverEnded(stage, Cause.REPLY, reply=answer.reply)
        raise HandoverEnded(
            stage, Cause.GARBAGE, f"the server's answer makes no sense here: {answer.reply}"[: _SHOWN * 2]
        )

    async def _answer(self, stage: Stage, command: bytes | None) -> Answer:
        try:
            if command is None:
                await self.link.read_response()
            else:
                await self.link.execute_command(command)
        except SMTPServerDisconnected as error:
            self._keep(self.link.take_heard())
            raise self._dropped(stage, error) from error
        except SMTPResponseException as error:
            heard = self.link.take_heard()
            self._keep(heard)
            raise self._garbage(stage, heard) from error
        return self._understood(stage, self.link.take_heard())

    def _understood(self, stage: Stage, heard: bytes) -> Answer:
        """Read an answer strictly: a code that means something, the same one on each line (RFC 5321 4.2.1)."""
        self._keep(heard)
        lines = self.record.redacted(heard).splitlines()
        codes = {line[:_CODE_LENGTH] for line in lines}
        first = next(iter(codes)) if len(codes) == 1 else b""
        if not (first.isdigit() and int(first) in _REPLY_CODES):
            raise self._garbage(stage, heard)
        texts = [line[_CODE_LENGTH + 1 :] for line in lines]
        shown = tuple(clean_text(text) for text in texts)
        return Answer(parse_reply(int(first), texts), shown)

    def _overtaken(self, stage: Stage, unasked: bytes) -> Answer:
        """Judge what was said before the next command: a 421 may come at any time (RFC 5321 3.8), nothing else."""
        if unasked.startswith(str(_SERVICE_CLOSING).encode()) and unasked.endswith(b"\n"):
            return self._understood(stage, unasked)
        self._keep(unasked)
        raise self._garbage(stage, unasked, "out of turn")

    def _garbage(self, stage: Stage, heard: bytes, how: str = "not in SMTP") -> HandoverEnded:
        shown = clean_text(self.record.redacted(heard), _SHOWN)
        return HandoverEnded(stage, Cause.GARBAGE, f"the server speaks {how}: {shown}")

    def _dropped(self, stage: Stage, error: Exception) -> HandoverEnded:
        reason = error.__cause__ or self.link.lost
        if isinstance(reason, ssl.SSLError) and stage in {Stage.GREETING, Stage.EHLO}:
            # In TLS 1.3 the server judges our certificate after the handshake has ended for us (RFC 8446 4.4.2.4).
            why = (reason.reason or "").replace("_", " ").lower()
            return HandoverEnded(Stage.STARTTLS, Cause.TLS, f"{self.host} ended the TLS handshake: {why}")
        how = "reset" if isinstance(reason, ConnectionResetError | BrokenPipeError) else "closed"
        return HandoverEnded(stage, Cause.DROPPED, f"the connection was {how} instead of an answer to {stage.upper()}")

    def _keep(self, heard: bytes) -> None:
        for line in heard.splitlines():
            self.record.they(line)
