"""The client certificate of a path, and whether a connector could know us by it."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from agent.config.secrets import read_file
from agent.config.settings import Plugin
from agent.doctor.finding import Finding
from agent.doctor.judge.certificates import judge_client_certificate
from agent.doctor.kit import Kit, domain_of
from checks.errors import LocalFault
from checks.settings import FileReference

_LARGEST = 1024 * 1024


def of_path(kit: Kit, plugin: Plugin) -> list[Finding]:
    """Judge the client certificate that a path shows; nothing to say where it has none.

    Raises:
        LocalFault: its file cannot be read.
    """
    reference = getattr(plugin.settings, "client_certificate", None)
    if not isinstance(reference, FileReference):
        return []
    try:
        certificates = x509.load_pem_x509_certificates(read_file(reference.file, _LARGEST))
    except ValueError as error:
        raise LocalFault(f"{reference.file} holds no readable certificate") from error
    roots = _root_names(getattr(plugin.settings, "ca_file", None))
    return judge_client_certificate(certificates, domain_of(plugin), kit.clock.now(), roots)


def _root_names(ca_file: Path | None) -> set[bytes]:
    """Return the names of the CAs that this machine trusts, as near as it gets to those that Microsoft does.

    A server whose own certificate is of a private CA, the path's *ca_file*, will know that CA's clients too.
    """
    trusted = ssl.create_default_context(cafile=ca_file).get_ca_certs(binary_form=True)
    with warnings.catch_warnings():  # about CAs whose serial numbers are not as they should be
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return {x509.load_der_x509_certificate(der).subject.public_bytes() for der in trusted}
