"""Who may log in to SMTP and IMAP: by password, or by an access token of the app."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from checks.lab.entra import Directory, Resource, TokenAuthority, TokenRefused
from checks.lab.tenant import Account, Secrets


class Logins:
    """Checks what a client shows."""

    def __init__(self, secrets: Mapping[str, Secrets], directory: Directory, authority: TokenAuthority) -> None:
        self._secrets = secrets
        self._directory = directory
        self._authority = authority

    def password_is_right(self, account: Account, password: str) -> bool:
        """Tell whether this is the account's password."""
        return hmac.compare_digest(password.encode(), self._secrets[account.mailbox].password.encode())

    def password(self, account: Account) -> str:
        """Return the account's password, for a server that compares it itself."""
        return self._secrets[account.mailbox].password

    def token_is_good(self, account: Account, token: str, role: str) -> bool:
        """Tell whether a token lets the app in, with this role, where *account* is a mailbox of the tenant.

        As at Exchange Online, whether the app has a permission on the mailbox shows later only.
        """
        try:
            claims = self._authority.verify(token, Resource.OUTLOOK)
        except TokenRefused:
            return False
        return account.hosted and role in claims.roles

    def may_use(self, target: str) -> bool:
        """Tell whether the app has a permission on the mailbox that is used through *target*, a path or mailbox."""
        return self._directory.may_use(target)
