"""The record of one hand-over while it happens: stages timed and limited, dialogue kept, secrets taken out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager

from checks.core.model import (
    Accepted,
    Cause,
    DialogueLine,
    Protocol,
    Refused,
    Reply,
    Stage,
    StageTiming,
    TlsFacts,
    Transcript,
)
from checks.core.reply import clean_text
from checks.errors import LocalFault, TokenRefused
from checks.ports import Clock, Observe
from checks.wire.smtp_settings import Timeouts

MAX_LINES = 300
"""Longest dialogue that is kept, in lines; a whole one with TLS and AUTH has about 40."""
MAX_LINE = 500
"""Longest line that is kept, in characters."""

_MIN_SECRET = 4
_STANDSTILL = 1.0  # seconds; a limit that runs out is noticed within milliseconds, unless the process does not run
_AWAITED = {
    Stage.DNS: "an answer of the name servers",
    Stage.CONNECT: "a TCP connection",
    Stage.GREETING: "the greeting",
    Stage.STARTTLS: "the end of the TLS handshake",
    Stage.DATA: "the answer to the message",
    Stage.TOKEN: "a token",
    Stage.REQUEST: "the answer to the request",
}


class HandoverEnded(Exception):
    """The other side, or the lack of one, ended the hand-over. Inside `checks.wire` only; it leaves as a `Refused`."""

    def __init__(
        self,
        stage: Stage,
        cause: Cause,
        detail: str = "",
        reply: Reply | None = None,
        protocol: Protocol = Protocol.SMTP,
    ) -> None:
        super().__init__(detail or str(reply))
        self.stage = stage
        self.cause = cause
        self.detail = detail
        self.reply = reply
        self.protocol = protocol


class Handover:
    """One attempt at handing a message over.

    The parts of the dialogue write into it: `step` is the command under way, `sent` is set once the final dot has
    left us, `endpoint`, `local_address` (ours), `connected`, `tls` and `sent_chain` (the server's certificates in DER)
    as they become known.
    """

    def __init__(self, clock: Clock, limits: Timeouts, endpoint: str, observe: Observe | None = None) -> None:
        self.endpoint = endpoint
        self.connected = False
        self.local_address: str | None = None
        self.sent = False
        self.step = Stage.DNS
        self.tls: TlsFacts | None = None
        self.sent_chain: Sequence[bytes] = ()
        self._clock = clock
        self._limits = limits
        self._observe = observe
        self._lines: list[DialogueLine] = []
        self._secrets: frozenset[bytes] = frozenset()
        self._spent: dict[Stage, float] = {}
        self.begin()

    def begin(self, *, keep: Collection[Stage] = ()) -> None:
        """Start the clocks. Again, too: what was needed to get ready is not part of the measured hand-over.

        Stages to *keep* are told beside it.
        """
        self._began_at = self._clock.steady()
        self._spent = {stage: seconds for stage, seconds in self._spent.items() if stage in keep}

    @asynccontextmanager
    async def timed(self, stage: Stage, limit: float | None = None) -> AsyncIterator[None]:
        """Time the body as *stage* and end the hand-over when all of it takes longer than *limit* seconds.

        The limit holds for the stage as a whole, so that a server that drips bytes cannot stretch it. A stage that
        is entered again (another MX host) adds up.

        Raises:
            HandoverEnded: the time is up.
            LocalFault: it was up long ago, and this process did not run (suspended, starved): what the other side
                did meanwhile was not observed, and is no fault of its. Not once the final dot has left us.
        """
        began = self._clock.steady()
        allowed = self._limits.of(stage) if limit is None else limit
        timer = asyncio.timeout(allowed)
        self.step = stage
        try:
            async with timer:
                yield
        except TimeoutError as error:
            if not timer.expired():
                raise
            self._own_up(began + allowed)
            awaited = _AWAITED.get(self.step, f"the answer to {self.step.upper()}")
            cause = Cause.NAME if self.step is Stage.DNS else Cause.TIMEOUT
            raise HandoverEnded(self.step, cause, f"{awaited} did not come within {allowed:g} s") from error
        except HandoverEnded as end:
            if end.reply is None:
                self._own_up(began + allowed)
            raise
        finally:
            self._spent[stage] = self._spent.get(stage, 0.0) + self._clock.steady() - began
        if self._observe is not None:
            self._observe(StageTiming(stage=stage, seconds=self._spent[stage]), self._remark_on(stage))

    async def pause(self, seconds: float) -> None:
        """Wait a little for something that gives no notice."""
        await self._clock.sleep(seconds)

    def we(self, text: str) -> None:
        """Keep a line that we sent; the caller has replaced its secrets."""
        self._keep("C", text)

    def they(self, line: bytes) -> None:
        """Keep a line that came from the server."""
        self._keep("S", clean_text(self.redacted(line), MAX_LINE))

    def remark(self, text: str) -> None:
        """Keep a line that nobody said, to explain the others."""
        self._keep("-", text)

    def conceal(self, secrets: Iterable[bytes]) -> None:
        """Take *secrets* out of everything that the server says from now on: some servers echo what they refuse."""
        self._secrets |= {secret for secret in secrets if len(secret) >= _MIN_SECRET}

    def redacted(self, line: bytes) -> bytes:
        """Return *line* with every concealed secret replaced."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            line = line.replace(secret, b"***")
        return line

    def accepted(self, reply: Reply) -> Accepted:
        """End it well."""
        return Accepted(reply=reply, transcript=self.transcript())

    def no_token(self, refused: TokenRefused) -> HandoverEnded:
        """End it where the identity provider gave no token: it never came to the mail server."""
        self.endpoint, self.connected = refused.endpoint, refused.connected
        return HandoverEnded(Stage.TOKEN, refused.cause, refused.detail, refused.reply, Protocol.ENTRA)

    def refused(self, end: HandoverEnded) -> Refused:
        """End it badly."""
        if end.detail:
            self.remark(end.detail)
        return Refused(
            stage=end.stage,
            cause=end.cause,
            transcript=self.transcript(),
            reply=end.reply,
            detail=end.detail,
            sent=self.sent,
            protocol=end.protocol,
        )

    def _own_up(self, due_at: float) -> None:
        """Say so if a failure that was due at *due_at* comes so much later that we must have stood still."""
        overrun = self._clock.steady() - due_at
        if overrun > _STANDSTILL and not self.sent:
            raise LocalFault(f"this agent stood still for about {overrun:.0f} s in the middle of the hand-over")

    def _remark_on(self, stage: Stage) -> str:
        """Say in a few words what came of a stage that went well."""
        if stage is Stage.STARTTLS and self.tls is not None:
            return f"{self.tls.version}, {self.tls.cipher}"
        if stage is Stage.DATA:
            return next((line.text for line in reversed(self._lines) if line.who == "S"), "")
        return ""

    def _keep(self, who: str, text: str) -> None:
        if len(self._lines) < MAX_LINES:
            self._lines.append(DialogueLine(at=self._clock.steady(), who=who, text=text[:MAX_LINE]))

    def transcript(self) -> Transcript:
        """Return the evidence so far."""
        return Transcript(
            began_at=self._began_at,
            ended_at=self._clock.steady(),
            endpoint=self.endpoint,
            stages=tuple(StageTiming(stage=stage, seconds=seconds) for stage, seconds in self._spent.items()),
            tls=self.tls,
            dialogue=tuple(self._lines),
            connected=self.connected,
        )
