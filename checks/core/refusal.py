"""What a hand-over that was not accepted amounts to. The first rule that matches wins."""

from __future__ import annotations

from checks.core.model import Cause, Outcome, Protocol, Refused, Stage

_SERVICE_CLOSING = 421  # RFC 5321 3.8: the server may say so at any time and close
_TRANSIENT = range(400, 500)
_PERMANENT = range(500, 600)
_UP_TO_GREETING = frozenset({Stage.DNS, Stage.CONNECT, Stage.GREETING})
_SILENCE = frozenset({Cause.TIMEOUT, Cause.DROPPED, Cause.GARBAGE})
_HTTP_DENIED = frozenset({401, 403})
_HTTP_THROTTLED = 429


def in_doubt(refused: Refused) -> bool:
    """Tell whether the message may have been accepted all the same.

    The last byte was written and no answer to it was read: RFC 5321 4.5.3.2.6 and RFC 1047 explain why the
    server may well have taken it.
    """
    answered = refused.cause is Cause.REPLY and refused.reply is not None and refused.reply.code != _SERVICE_CLOSING
    return refused.sent and not answered


def outcome_of(refused: Refused, *, online: bool) -> Outcome:
    """Name the outcome of *refused*. Without a network of our own, no path can be called unreachable."""
    if in_doubt(refused):
        return Outcome.INDETERMINATE
    if refused.cause in {Cause.NAME, Cause.CONNECT}:
        if not online:
            return Outcome.LOCAL_FAULT
        return Outcome.DEFERRED if refused.protocol is Protocol.ENTRA else Outcome.UNREACHABLE
    if refused.cause is Cause.TLS:
        return Outcome.TLS_FAILED
    if refused.cause is Cause.NOT_OFFERED:
        return Outcome.TLS_FAILED if refused.stage is Stage.STARTTLS else Outcome.AUTH_FAILED
    if refused.cause in _SILENCE or refused.reply is None:
        return _silence(refused, online=online)
    return _HTTP_RULES[refused.protocol](refused.reply.code) if refused.protocol in _HTTP_RULES else _smtp(refused)


def reasons_of(refused: Refused) -> tuple[str, ...]:
    """Say why, in a fixed word first where there is one, then in the words of whoever said it."""
    words: list[str] = []
    if refused.cause is not Cause.REPLY:
        up_to_greeting = refused.stage in _UP_TO_GREETING or refused.stage is Stage.STARTTLS
        lost = refused.cause in _SILENCE and not up_to_greeting and not refused.sent
        words.append("dropped" if lost else refused.cause.value)
    if refused.reply is not None:
        words.append(str(refused.reply))
    if refused.detail:
        words.append(refused.detail)
    return tuple(words)


def _silence(refused: Refused, *, online: bool) -> Outcome:
    if refused.stage is Stage.CONNECT or refused.stage is Stage.DNS:
        return Outcome.UNREACHABLE if online else Outcome.LOCAL_FAULT
    if refused.stage is Stage.GREETING:
        return Outcome.UNREACHABLE
    if refused.stage is Stage.STARTTLS:
        return Outcome.TLS_FAILED
    return Outcome.DEFERRED


def _smtp(refused: Refused) -> Outcome:
    code = refused.reply.code if refused.reply is not None else 0
    if code in _TRANSIENT:
        return Outcome.DEFERRED
    if code in _PERMANENT:
        by_stage = {Stage.STARTTLS: Outcome.TLS_FAILED, Stage.AUTH: Outcome.AUTH_FAILED}
        return by_stage.get(refused.stage, Outcome.REJECTED)
    return _silence(refused, online=True)  # a code that is no answer to the command, like 250 to DATA


def _graph(status: int) -> Outcome:
    if status in _HTTP_DENIED:
        return Outcome.AUTH_FAILED
    if status == _HTTP_THROTTLED or status not in _TRANSIENT:
        return Outcome.DEFERRED
    return Outcome.REJECTED


def _entra(status: int) -> Outcome:
    return Outcome.AUTH_FAILED if status in _TRANSIENT and status != _HTTP_THROTTLED else Outcome.DEFERRED


_HTTP_RULES = {Protocol.GRAPH: _graph, Protocol.ENTRA: _entra}
