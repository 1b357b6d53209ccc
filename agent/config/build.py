"""Make the configured credentials, paths and mailbox readers. Nothing connects before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.config.model import CredentialSettings, EntraCredential, PasswordCredential
from agent.config.secrets import SecretSource
from agent.config.settings import Settings
from checks.errors import LocalFault
from checks.ports import Credential, Login, MailboxReader, SendPath, Tools
from checks.wire.credentials import BearerToken, Password


@dataclass(frozen=True, slots=True)
class UnusableCredential:
    """A credential that is configured, but that this version cannot log in with.

    What needs it fails as our own fault, so that its verdict is `unknown`, and is not mistaken for the tenant's.
    """

    name: str
    kind: str

    @property
    def bearer(self) -> bool:
        """It would yield tokens."""
        return True

    async def login(self, audience: str) -> Login:
        """Refuse.

        Raises:
            LocalFault: always.
        """
        raise LocalFault(f"the credential {self.name} is of kind {self.kind}: this version cannot log in to {audience}")


def build_credentials(settings: Settings) -> Mapping[str, Credential]:
    """Make the configured credentials; each reads its secret when it is used."""
    return {name: _credential(name, section) for name, section in settings.sections.credentials.items()}


def build_paths(settings: Settings, tools: Tools) -> Mapping[str, SendPath]:
    """Make the configured sending paths."""
    return {name: path.cls(name, path.settings, tools) for name, path in settings.paths.items()}


def build_mailboxes(settings: Settings, tools: Tools) -> Mapping[str, MailboxReader]:
    """Make the readers of the configured mailboxes."""
    return {name: mailbox.cls(name, mailbox.settings, tools) for name, mailbox in settings.mailboxes.items()}


def _credential(name: str, section: CredentialSettings) -> Credential:
    if isinstance(section, EntraCredential):
        return UnusableCredential(name, "entra")
    if isinstance(section, PasswordCredential):
        return Password(section.username, SecretSource(section.password))
    return BearerToken(section.username, SecretSource(section.token))
