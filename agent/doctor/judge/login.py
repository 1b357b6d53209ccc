"""What the server lets us do: the mechanisms that it offers, the login, sender and recipient."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.doctor.finding import Finding, Status, failure, not_tested, ok
from agent.doctor.judge import dialogue
from agent.doctor.judge.diagnosed import of_refusal
from checks.core.model import Cause, Refused, Stage
from checks.wire.rehearsal import Rehearsal

_OAUTH = 'Microsoft Learn, "Authenticate an IMAP, POP or SMTP connection using OAuth"'
ENVELOPE = frozenset({Stage.MAIL, Stage.RCPT, Stage.ENVELOPE})
"""The stages in which sender and recipient are named, and taken back."""

_BEFORE_LOGIN = {Stage.DNS, Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS}


def judge_login(rehearsal: Rehearsal, *, username: str | None, bearer: bool, method: str) -> list[Finding]:
    """Judge AUTH; *username* is None on a path where nobody logs in."""
    refused = rehearsal.refused
    if username is None:
        return []
    if refused is not None and refused.stage in _BEFORE_LOGIN:
        return [not_tested("smtp.login", f"it did not come to the login: {_short(refused)}")]
    offered = dialogue.mechanisms(rehearsal.transcript.dialogue)
    if refused is not None and refused.stage is Stage.TOKEN:
        return [_offered(offered), of_refusal("smtp.token", refused, method=method)]
    if refused is not None and refused.stage is Stage.AUTH:
        if refused.cause is Cause.NOT_OFFERED:
            return [_no_mechanism(offered, bearer=bearer)]
        return [_offered(offered), of_refusal("smtp.login", refused, method=method)]
    return [_offered(offered), ok("smtp.login", f"logged in as {username} by {_used(rehearsal)}")]


def _offered(offered: Sequence[str]) -> Finding:
    return ok("smtp.auth", f"offered for login: {' '.join(offered)}")


def _no_mechanism(offered: Sequence[str], *, bearer: bool) -> Finding:
    shown = " ".join(offered) or "nothing"
    if bearer:
        return failure(
            "smtp.auth",
            f"offered for login: {shown}; a token needs XOAUTH2",
            meaning="This server takes no OAuth tokens.",
            fix="Check that the host is the submission host (smtp.office365.com, port 587) and not an MX; for another"
            " provider, use a credential of kind password.",
            source=_OAUTH,
        )
    return failure(
        "smtp.auth",
        f"offered for login: {shown}; a password needs PLAIN or LOGIN",
        meaning="Passwords are not taken here: basic authentication is off, for good or by policy.",
        fix="Log in by OAuth: a credential of kind entra (app registration with SMTP.SendAsApp), or of kind token.",
        source=_OAUTH,
    )


def _used(rehearsal: Rehearsal) -> str:
    for line in rehearsal.transcript.dialogue:
        if line.who == "C" and line.text.startswith("AUTH "):
            return line.text.split()[1]
    return "AUTH"


def judge_envelope(
    rehearsal: Rehearsal, sender: str, recipient: str, *, method: str, wanted: str | None
) -> list[Finding]:
    """Judge what was said to MAIL and RCPT; *wanted* is what a negative check expects of the refusal."""
    refused = rehearsal.refused
    if refused is not None and refused.stage not in ENVELOPE:
        return [not_tested("smtp.envelope", f"it did not come to sender and recipient: {_short(refused)}")]
    if wanted is not None:
        return [_negative(refused, recipient, wanted, method)]
    if refused is not None:
        return [of_refusal("smtp.envelope", refused, method=method)]
    return [
        ok("smtp.envelope", f"mail from {sender} to {recipient} is taken up to DATA; nothing was sent"),
        not_tested(
            "smtp.message",
            "what is decided only with the message (content, sending limits, SendAs, deferred logon)",
            fix="Send a canary: relaycanary probe CHECK.",
        ),
    ]


def _negative(refused: Refused | None, recipient: str, wanted: str, method: str) -> Finding:
    if refused is None:
        return not_tested(
            "smtp.envelope",
            f"{recipient} is not refused up to DATA; whether it is with the message, only a canary shows",
            fix="Send one: relaycanary probe CHECK.",
        )
    found = refused.reply.enhanced if refused.reply is not None else None
    if found is not None and re.fullmatch(wanted, found):
        return ok("smtp.envelope", f"mail to {recipient} is refused, as it should be: {refused.reply}")
    return of_refusal("smtp.envelope", refused, method=method, status=Status.WARNING)


def _short(refused: Refused) -> str:
    return str(refused.reply) if refused.reply is not None else refused.detail
