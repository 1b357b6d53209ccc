"""Logging in, by the best mechanism that the server offers for the kind of secret there is."""

from __future__ import annotations

import base64
from collections.abc import Callable

from checks.core.roles import Use, doubt
from checks.errors import MailboxUnreadable
from checks.ports import Login
from checks.wire.imap.client import Client
from checks.wire.imap.exchange import Dialogue


def log_in(client: Client, dialogue: Dialogue, login: Login) -> None:
    """Log in, and learn what the server can do from here on.

    A bearer token goes by XOAUTH2 (Microsoft: "Authenticate an IMAP, POP or SMTP connection using OAuth"), a password
    by PLAIN (RFC 4616) or, where that is not offered, by LOGIN, which carries ASCII only.

    Raises:
        MailboxUnreadable: reason login, or what else went wrong.
    """
    _presentable(login)
    if login.bearer:
        mechanism, response = "XOAUTH2", f"user={login.username}\1auth=Bearer {login.secret}\1\1".encode()
    else:
        mechanism, response = "PLAIN", f"\0{login.username}\0{login.secret}".encode()
    encoded = [base64.b64encode(form).decode() for form in (response, login.secret.encode())]
    dialogue.secrets = (login.secret, *encoded)
    send = _sender(client, login, mechanism, response)
    try:
        dialogue.exchange(f"log in as {login.username}", send, refused="login")
    except MailboxUnreadable as error:
        lacking = doubt(login.roles, Use.IMAP) if error.reason == "login" else ""
        if not lacking:
            raise
        raise MailboxUnreadable("login", f"{error.detail}; {lacking}") from None
    dialogue.exchange("learn what the server can do", client.capabilities)


def _presentable(login: Login) -> None:
    for name, value in (("user name", login.username), ("password or token", login.secret)):
        if not value or any(character < " " for character in value):
            detail = f"could not log in: the {name} is empty or has a line break or control character in it"
            raise MailboxUnreadable("login", detail)


def _sender(client: Client, login: Login, mechanism: str, response: bytes) -> Callable[[], object]:
    if f"AUTH={mechanism}" in client.offered:
        if "SASL-IR" in client.offered:
            return lambda: client.wire.authenticate_at_once(mechanism, response)
        # The response answers the first challenge; one more means failure and is answered by an empty line.
        responses = iter((response,))
        return lambda: client.sasl_login(mechanism, lambda _challenge: next(responses, b""))
    if login.bearer or "LOGINDISABLED" in client.offered or not (login.username + login.secret).isascii():
        offered = ", ".join(sorted(word for word in client.offered if word.startswith("AUTH="))) or "none"
        detail = f"could not log in: the server does not offer {mechanism} (mechanisms it offers: {offered[:200]})"
        raise MailboxUnreadable("login", detail)
    return lambda: client.wire.log_in(login.username.encode(), login.secret.encode())
