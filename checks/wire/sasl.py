"""SASL over SMTP AUTH (RFC 4954): PLAIN, LOGIN and XOAUTH2."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from checks.core.model import Cause, Reply, Stage
from checks.core.reply import clean_text
from checks.ports import Login
from checks.wire.handover import HandoverEnded
from checks.wire.session import Answer, Session

_DONE = {235}
_CHALLENGE = 334
_MAX_STATUS = 300
_OAUTH_FIELDS = ("status", "schemes", "scope")


def encode_plain(login: Login) -> str:
    """Return the one message of PLAIN (RFC 4616), in base64."""
    return _base64(f"\0{login.username}\0{login.secret}")


def encode_xoauth2(login: Login) -> str:
    """Return the one message of XOAUTH2, in base64, as Microsoft's page "Authenticate an IMAP, POP or SMTP connection
    using OAuth" gives it.
    """  # noqa: D205
    return _base64(f"user={login.username}\x01auth=Bearer {login.secret}\x01\x01")


def choose_mechanism(offered: Sequence[str], *, bearer: bool) -> str | None:
    """Pick the mechanism for a credential from those *offered* (lower case); None where none fits."""
    fitting = ("xoauth2",) if bearer else ("plain", "login")
    return next((mechanism for mechanism in fitting if mechanism in offered), None)


def oauth_status(challenge: str) -> str | None:
    """Read the error that an XOAUTH2 server packs into a challenge (base64 of JSON); None if it is none."""
    try:
        error: Any = json.loads(base64.b64decode(challenge, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(error, dict):
        return None
    known = (f"{field} {error[field]}" for field in _OAUTH_FIELDS if isinstance(error.get(field), str | int))
    return clean_text(", ".join(known), _MAX_STATUS) or None


async def authenticate(session: Session, login: Login) -> None:
    """Log in.

    Raises:
        HandoverEnded: refused, or no mechanism that fits the credential is offered.
    """
    mechanism = choose_mechanism(session.mechanisms, bearer=login.bearer)
    session.conceal(login.secret.encode(), _base64(login.secret).encode())
    if mechanism is None:
        offered = ", ".join(session.mechanisms).upper() or "no AUTH at all"
        wanted = "XOAUTH2 for a bearer token" if login.bearer else "PLAIN or LOGIN for a password"
        raise HandoverEnded(Stage.AUTH, Cause.NOT_OFFERED, clean_text(f"{wanted} is needed; offered: {offered}", 400))
    if mechanism == "login":
        await _login(session, login)
        return
    message = encode_xoauth2(login) if mechanism == "xoauth2" else encode_plain(login)
    session.conceal(message.encode())
    command = f"AUTH {mechanism.upper()}"
    answer = await session.ask(Stage.AUTH, f"{command} {message}", shown=f"{command} ***")
    if mechanism == "xoauth2" and answer.code == _CHALLENGE:
        answer = await _oauth_refusal(session, answer)
    session.check(Stage.AUTH, answer, _DONE)


async def _login(session: Session, login: Login) -> None:
    """Do LOGIN, which has no standard of its own: user name and password, each to a challenge of its own."""
    await session.demand(Stage.AUTH, "AUTH LOGIN", {_CHALLENGE})
    user = await session.ask(Stage.AUTH, _base64(login.username), shown="*** (user name)")
    session.check(Stage.AUTH, user, {_CHALLENGE})
    password = await session.ask(Stage.AUTH, _base64(login.secret), shown="*** (password)")
    session.check(Stage.AUTH, password, _DONE)


async def _oauth_refusal(session: Session, challenge: Answer) -> Answer:
    """Answer the challenge that carries an OAuth error with an empty line; only then comes the refusal itself."""
    status = oauth_status(challenge.reply.text)
    refusal = await session.ask(Stage.AUTH, "", shown="(empty line)")
    if status is None:
        return refusal
    redacted = session.record.redacted(status.encode()).decode()
    reply: Reply = refusal.reply
    return replace(refusal, reply=replace(reply, text=clean_text(f"{reply.text} (OAuth: {redacted})")))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
