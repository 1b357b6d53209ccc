"""What the settings say will end: certificates and client secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from pathlib import Path

from agent.config import certificates
from agent.config.model import EntraCredential
from agent.config.secrets import read_file
from agent.config.settings import Settings
from agent.report.figures import Ahead
from checks.errors import LocalFault
from checks.settings import FileReference

_LARGEST_PEM = 1024 * 1024


def ahead(settings: Settings, now: datetime) -> Iterator[Ahead]:
    """List what will end, each with what to do about it."""
    for name, path in settings.paths.items():
        reference = getattr(path.settings, "client_certificate", None)
        if isinstance(reference, FileReference):
            yield from _certificate(f"the client certificate of path {name}", reference.file, now)
    for name, credential in settings.sections.credentials.items():
        if not isinstance(credential, EntraCredential):
            continue
        if credential.client_secret_expires is not None:
            end = datetime.combine(credential.client_secret_expires, time(), UTC)
            fix = "make a new client secret, replace the old one, and change client_secret_expires"
            yield Ahead(what=f"the client secret of credential {name} expires", when=end.timestamp(), fix=fix)
        if credential.certificate is not None:
            yield from _certificate(f"the certificate of credential {name}", credential.certificate.file, now)


def _certificate(what: str, file: Path, now: datetime) -> Iterator[Ahead]:
    try:
        end = certificates.not_after(read_file(file, _LARGEST_PEM), now)
    except (LocalFault, certificates.UnusableCertificate):
        return  # loading the settings has said so
    yield Ahead(what=f"{what} expires", when=end.timestamp(), fix=f"renew it before then, and replace {file}")
