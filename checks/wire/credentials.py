"""Credentials that are a secret: a password, or a bearer token that somebody else obtained; and none at all."""

from __future__ import annotations

from collections.abc import Callable

from checks.core.model import Stage
from checks.errors import LocalFault, MailboxUnreadable, TokenRefused
from checks.knowledge import diagnose
from checks.ports import CredentialFacts, Login


class _Secret:
    """A user name and a source of its secret, which is read for every login so that rotation needs no restart."""

    bearer: bool

    def __init__(self, username: str, secret: Callable[[], str]) -> None:
        self._username = username
        self._secret = secret

    def __repr__(self) -> str:
        """Name the user only."""
        return f"{type(self).__name__}(username={self._username!r})"

    async def login(self, audience: str) -> Login:
        """Return the login, whatever it is for.

        Raises:
            LocalFault: the secret cannot be read, or is empty.
        """
        secret = self._secret()
        if not secret:
            raise LocalFault(f"the secret of {self._username} for {audience} is empty")
        return Login(self._username, secret, bearer=self.bearer)

    def reject(self, login: Login) -> None:
        """Keep nothing: the secret is read anew each time."""

    def facts(self) -> CredentialFacts:
        """Tell nothing: nobody knows when it ends."""
        return CredentialFacts()

    @property
    def graph(self) -> None:
        """It is for no Graph."""
        return


def unreadable_without(refused: TokenRefused) -> MailboxUnreadable:
    """Say why a mailbox cannot be read without the token, and how to mend it where that is known."""
    known = diagnose(refused.reply, stage=Stage.TOKEN) if refused.reply is not None else None
    detail = f"{refused}; {known.fix}" if known is not None else str(refused)
    return MailboxUnreadable("token", detail, retry_after=refused.retry_after)


class Password(_Secret):
    """A user name and a password."""

    bearer = False


class BearerToken(_Secret):
    """A user name and an OAuth 2.0 access token (RFC 6750) that is renewed outside of this program."""

    bearer = True
