"""Stage: send. Mint a canary, write it down, hand it over, write down how that went."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from agent import cancelled
from agent.ledger import Ledger, LedgerError
from agent.online import Online
from checks.core import message, refusal, token
from checks.core.model import (
    Accepted,
    Attempt,
    Canary,
    Cause,
    Check,
    Refused,
    Stage,
    Transcript,
    Untried,
)
from checks.errors import LocalFault
from checks.ports import Clock, SendPath

_log = structlog.get_logger("probe")
_RETRY_LEDGER = 2.0
_LONGEST = 900.0  # a path bounds each of its stages itself; this is for one that does not


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that canaries are signed with."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        """Keep the secret out of logs."""
        return f"SigningKey(id={self.id!r}, secret=***)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A canary that is out, and how it was handed over. `online` tells whether a failure can be the other side's."""

    canary: Canary
    attempt: Attempt
    online: bool


class Probe:
    """Sends canaries.

    `handed_over` is told of each as soon as it is out, `written` when that is in the ledger. They only wake others.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: Ledger,
        online: Online,
        paths: Mapping[str, SendPath],
        key: SigningKey,
        handed_over: Callable[[Canary, Attempt], None],
        written: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock
        self._ledger = ledger
        self._online = online
        self._paths = paths
        self._key = key
        self._handed_over = handed_over
        self._written = written

    async def send(self, check: Check, slot: int) -> Sent | None:
        """Send one canary of *check*; None if it could not even be written down, and so was not sent."""
        name = token.canary_id(secrets.token_bytes(token.ID_BYTES))
        signed = token.mint(name, check.name, check.recipient, key=self._key.id, secret=self._key.secret)
        canary = Canary(
            id=name,
            check=check,
            slot=slot,
            started_at=self._clock.steady(),
            started=self._clock.now(),
            key=self._key.id,
            signature=token.signature(signed),
        )
        try:
            await self._ledger.start(canary)
        except LedgerError as error:
            _log.error("canary.not_sent", check=check.name, why=str(error))
            return None
        attempt = await self._hand_over(canary, signed)
        online = await self._tell(canary, attempt)
        await self._write_down(canary, attempt, online=online)
        if self._written is not None:
            self._written()
        return Sent(canary=canary, attempt=attempt, online=online)

    async def _hand_over(self, canary: Canary, signed: str) -> Attempt:
        check = canary.check
        try:
            path = self._paths[check.path]
            async with asyncio.timeout(_LONGEST):
                answer: object = await path.send(check.sender, check.recipient, message.compose(canary, signed))
        except LocalFault as fault:
            return Untried(at=self._clock.steady(), detail=str(fault))
        except (Exception, asyncio.CancelledError) as defect:  # what a path that breaks did is in doubt
            if cancelled.is_wanted(defect):
                raise
            _log.exception("path.failed", path=check.path, check=check.name, canary=canary.id)
            return self._in_doubt(canary, defect)
        if isinstance(answer, Accepted | Refused):
            return answer
        _log.error("path.failed", path=check.path, check=check.name, canary=canary.id, answer=type(answer).__name__)
        return self._in_doubt(canary, TypeError())

    def _in_doubt(self, canary: Canary, defect: BaseException) -> Refused:
        """Say of a canary that its path broke, and that it may be on its way all the same."""
        return Refused(
            stage=Stage.DATA,
            cause=Cause.DROPPED,
            sent=True,
            detail=f"the path {canary.check.path} failed: {type(defect).__name__}",
            transcript=Transcript(
                began_at=canary.started_at, ended_at=self._clock.steady(), endpoint=canary.check.path
            ),
        )

    async def _tell(self, canary: Canary, attempt: Attempt) -> bool:
        """Tell others how it went, before it is written down: the first looks are due within milliseconds.

        Return whether a failure can be the other side's. A defect must not keep the attempt from being written down.
        """
        try:
            self._handed_over(canary, attempt)
            return await self._was_online(canary.check.path, attempt)
        except Exception:  # noqa: BLE001 - whatever it is, the canary is out
            _log.exception("probe.failed", check=canary.check.name, canary=canary.id)
            return isinstance(attempt, Accepted)

    async def _was_online(self, path: str, attempt: Attempt) -> bool:
        """Tell whether a failure can be the other side's: only if the agent reached anybody since it began."""
        if isinstance(attempt, Untried):
            return False
        transcript = attempt.transcript
        if transcript.connected or isinstance(attempt, Accepted):
            self._online.connected(transcript.ended_at)
            return True
        unresolved = self._paths[path].endpoint().host if attempt.cause is Cause.NAME else None
        return await self._online.since(transcript.began_at, unresolved=unresolved)

    async def _write_down(self, canary: Canary, attempt: Attempt, *, online: bool) -> None:
        """Keep trying until the ledger takes it: the canary is out, and must not be forgotten.

        What a path made of an answer may be nothing that can be written down; then it is in doubt.
        """
        replaced = False
        while True:
            try:
                await self._ledger.attempted(canary, attempt, online=online, at=self._clock.steady())
            except LedgerError as error:
                _log.error("attempt.not_written", check=canary.check.name, canary=canary.id, why=str(error))
                await self._clock.sleep(_RETRY_LEDGER)
            except Exception as defect:
                _log.exception("attempt.not_written", check=canary.check.name, canary=canary.id)
                if replaced:
                    raise
                attempt, replaced = self._in_doubt(canary, defect), True
            else:
                return


def may_arrive(attempt: Attempt) -> bool:
    """Tell whether a canary with this attempt can turn up in the mailbox."""
    return isinstance(attempt, Accepted) or (isinstance(attempt, Refused) and refusal.in_doubt(attempt))
