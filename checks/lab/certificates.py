"""The lab's certificate authority, and the certificates that its servers and its client show."""

from __future__ import annotations

import os
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from checks.lab.headers import FRONT_DOOR, SUBMISSION_DOOR
from checks.lab.tenant import APP_NAME, OUTSIDE_DOMAIN, TENANT_DOMAIN

_LOOPBACK = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """TLS for servers, one context for each state of repair, and the files that clients need."""

    valid: ssl.SSLContext
    expired: ssl.SSLContext
    wrong_name: ssl.SSLContext
    ca_file: Path
    client_file: Path
    """Key and certificate of a client that belongs to the tenant."""
    app_file: Path
    """Key and certificate that are registered with the tenant's app."""


def load_certificates(directory: Path) -> Certificates:
    """Make the certificates of a lab; the authority is made once and kept, so that clients may keep trusting it."""
    authority = _authority(directory)
    client_file = directory / "relay-client.pem"
    write_private(client_file, authority.issue_cert(TENANT_DOMAIN).private_key_and_cert_chain_pem.bytes())
    app_file = directory / "app.pem"
    app_name = f"{APP_NAME}.{TENANT_DOMAIN}"
    app = authority.issue_cert(app_name, common_name=app_name, key_type=trustme.KeyType.RSA)
    write_private(app_file, app.private_key_pem.bytes() + app.cert_chain_pems[0].bytes())
    names = (*_LOOPBACK, FRONT_DOOR, SUBMISSION_DOOR, f"imap.{OUTSIDE_DOMAIN}")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    return Certificates(
        valid=_context(authority, authority.issue_cert(*names)),
        expired=_context(
            authority, authority.issue_cert(*names, not_before=yesterday - timedelta(days=90), not_after=yesterday)
        ),
        wrong_name=_context(authority, authority.issue_cert(f"mail.{OUTSIDE_DOMAIN}")),
        ca_file=directory / "ca.pem",
        client_file=client_file,
        app_file=app_file,
    )


def kept_secret(path: Path) -> str:
    """Return the secret in a file; made up once, then kept."""
    try:
        kept = path.read_text("ascii").strip()
    except (OSError, ValueError):
        kept = ""
    if not kept:
        kept = secrets.token_urlsafe(32)
        write_private(path, f"{kept}\n".encode())
    return kept


def _authority(directory: Path) -> trustme.CA:
    certificate, key = directory / "ca.pem", directory / "ca.key"
    try:
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    except (OSError, ValueError):
        authority = trustme.CA(organization_name="relaycanary lab")
        write_private(key, authority.private_key_pem.bytes())
        write_private(certificate, authority.cert_pem.bytes())
        return authority


def _context(authority: trustme.CA, certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.configure_cert(context)
    # A client may show a certificate; the connector then goes by it. One that nobody here issued ends the handshake.
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read; replaced in one step."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  a mode from the start
        file.write(content)
    fresh.replace(path)
