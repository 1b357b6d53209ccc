"""What it means for a mailbox that Graph did not answer, or said no: a word for metrics, a sentence for people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from checks.core.http import retry_after
from checks.core.model import Cause, Protocol
from checks.core.roles import Use, doubt
from checks.errors import LocalFault, MailboxUnreadable, TokenRefused
from checks.knowledge import Statement, diagnose_statement
from checks.wire.credentials import unreadable_without
from checks.wire.graph.client import GraphAnswer, GraphClient, GraphRequest, NoAnswer

_REASONS = {
    Cause.NAME: "connect",
    Cause.CONNECT: "connect",
    Cause.TLS: "tls",
    Cause.TIMEOUT: "timeout",
    Cause.DROPPED: "closed",
    Cause.GARBAGE: "protocol",
}
_BY_STATUS = {401: "login", 403: "login", 404: "folder", 429: "throttled", 503: "throttled", 509: "throttled"}
_SERVER_ERROR = 500
_NO_MAILBOX = frozenset(
    {
        "ErrorInvalidUser",
        "MailboxNotEnabledForRESTAPI",
        "MailboxNotSupportedForRESTAPI",
        "Request_ResourceNotFound",
        "ResourceNotFound",
    }
)


async def ask(client: GraphClient, request: GraphRequest, aim: str) -> GraphAnswer:
    """Ask Graph, for a reader; *aim* says what for ("look into inbox").

    Raises:
        MailboxUnreadable: there is no answer.
    """
    try:
        return await client.ask(request)
    except TokenRefused as refused:
        raise unreadable_without(refused) from refused
    except LocalFault as fault:
        raise MailboxUnreadable("local", f"could not {aim}: {fault}") from fault
    except NoAnswer as failed:
        failure = failed.failure
        raise MailboxUnreadable(_REASONS[failure.cause], f"could not {aim}: {failure.detail}") from None


def refusal(
    client: GraphClient, answer: GraphAnswer, aim: str, use: Use, now: Callable[[], datetime]
) -> MailboxUnreadable:
    """Say what an answer that is no success means, with the fix where that is known; a token denied is not kept."""
    reply = answer.reply
    reason = _BY_STATUS.get(answer.status, "unavailable" if answer.status >= _SERVER_ERROR else "protocol")
    if answer.codes & _NO_MAILBOX:
        reason = "login"
    parts = [f"could not {aim}: {reply}"]
    if reason == "login" and answer.login is not None:
        client.target.credential.reject(answer.login)
        lacking = doubt(answer.login.roles, use)
        known = diagnose_statement(Statement(reply.code, reply.enhanced, reply.text, Protocol.GRAPH))
        parts += [part for part in (lacking, known.fix if known is not None else "") if part]
    return MailboxUnreadable(reason, "; ".join(parts), retry_after=retry_after(answer.headers, now()))
