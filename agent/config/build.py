"""Make the configured credentials, paths and mailbox readers. Nothing connects before it is used."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.model import CredentialSettings, EntraCredential, PasswordCredential
from agent.config.secrets import SecretSource
from agent.config.settings import Settings
from checks.ports import Clock, Credential, MailboxReader, SendPath, Tools
from checks.wire.credentials import BearerToken, Password


def build_credentials(settings: Settings, clock: Clock) -> Mapping[str, Credential]:
    """Make the configured credentials; each reads its secret when it is used."""
    return {name: _credential(name, section, clock) for name, section in settings.sections.credentials.items()}


def build_paths(settings: Settings, tools: Tools) -> Mapping[str, SendPath]:
    """Make the configured sending paths."""
    return {name: path.cls(name, path.settings, tools) for name, path in settings.paths.items()}


def build_mailboxes(settings: Settings, tools: Tools) -> Mapping[str, MailboxReader]:
    """Make the readers of the configured mailboxes."""
    return {name: mailbox.cls(name, mailbox.settings, tools) for name, mailbox in settings.mailboxes.items()}


def _credential(name: str, section: CredentialSettings, clock: Clock) -> Credential:
    if isinstance(section, EntraCredential):
        return _app(name, section, clock)
    if isinstance(section, PasswordCredential):
        return Password(section.username, SecretSource(section.password))
    return BearerToken(section.username, SecretSource(section.token))


def _app(name: str, section: EntraCredential, clock: Clock) -> Credential:
    # heavy, and needed only by those who have an app registration
    from checks.wire.entra import CLOUDS, CertificateProof, EntraApp, Registration, SecretProof  # noqa: PLC0415

    cloud = CLOUDS[section.cloud]
    registration = Registration(
        tenant=section.tenant,
        client_id=section.client_id,
        authority=section.authority or cloud.authority,
        graph_url=section.graph_url or cloud.graph,
        graph=cloud.graph,
        outlook=cloud.outlook,
        ca_file=section.ca_file,
    )
    if section.certificate is not None:
        return EntraApp(name, registration, CertificateProof(section.certificate.file), clock)
    assert section.client_secret is not None  # noqa: S101 - the model demands one of the two
    proof = SecretProof(SecretSource(section.client_secret), section.client_secret_expires)
    return EntraApp(name, registration, proof, clock)
