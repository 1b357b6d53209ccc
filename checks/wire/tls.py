"""TLS as a client: whom we trust, which certificate we show, and what was negotiated."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from checks.core.model import Certificate, TlsFacts
from checks.core.reply import clean_text
from checks.errors import LocalFault

_MAX_NAMES = 100
_MAX_NAME = 300
_MAX_CHAIN = 10
_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----")
_ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")
_DER = 2  # _ssl.ENCODING_DER

_Stamp = tuple[tuple[int, int, int], ...]


class TlsClient:
    """The TLS side of one path or reader. Servers are always verified, by name too, and TLS 1.2 is the least.

    *ca_file* (PEM) is trusted instead of the system's CAs. *client_certificate* (PEM: key, certificate and
    intermediates, which Exchange Online does not fetch by itself) is shown to a server that asks.
    """

    def __init__(self, ca_file: Path | None = None, client_certificate: Path | None = None) -> None:
        self._ca_file = ca_file
        self._client_certificate = client_certificate
        self._context: ssl.SSLContext | None = None
        self._stamp: _Stamp = ()

    async def context(self) -> ssl.SSLContext:
        """Return the context, built anew only when one of its files has changed: the system's CAs take 40 ms to load.

        Raises:
            LocalFault: a file cannot be used; the message names it and says why.
        """
        stamp = self._files_as_they_are()
        if self._context is None or stamp != self._stamp:
            self._context = await asyncio.to_thread(_build, self._ca_file, self._client_certificate)
            self._stamp = stamp
        return self._context

    def client_certificate(self) -> Certificate | None:
        """Describe the certificate that we show, None where there is none.

        Raises:
            LocalFault: the file cannot be used; the message names it and says why.
        """
        return None if self._client_certificate is None else read_client_certificate(self._client_certificate)

    def _files_as_they_are(self) -> _Stamp:
        system = ssl.get_default_verify_paths().cafile
        trust = self._ca_file or (Path(system) if system else None)
        stamps = []
        for path in (trust, self._client_certificate):
            if path is not None:
                try:
                    found = path.stat()
                except OSError as error:
                    raise LocalFault(f"cannot read {path}: {error.strerror}") from error
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)


def read_client_certificate(path: Path) -> Certificate:
    """Describe the certificate in a client-certificate file, after checking that the file is fit for use.

    Raises:
        LocalFault: it cannot be read, or key or certificate is missing, or the key is encrypted.
    """
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise LocalFault(f"cannot read the client certificate {path}: {error.strerror}") from error
    if _ENCRYPTED.search(pem):
        raise LocalFault(
            f"the key in {path} is encrypted, and nobody is there to type its passphrase: store it decrypted"
        )
    if not _KEY.search(pem):
        raise LocalFault(f"{path} holds no private key: put key, certificate and intermediates into it, as PEM")
    try:
        return _describe(x509.load_pem_x509_certificates(pem)[0])
    except ValueError as error:
        raise LocalFault(f"{path} holds no readable certificate: put it into the file after the key, as PEM") from error


def tls_facts(connection: ssl.SSLObject) -> TlsFacts:
    """Tell what was negotiated on a connection whose handshake has ended."""
    cipher = connection.cipher()
    return TlsFacts(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        chain=tuple(known for der in sent_chain(connection)[:_MAX_CHAIN] if (known := describe_certificate(der))),
    )


@lru_cache(maxsize=64)  # the same few certificates come with every canary
def describe_certificate(der: bytes) -> Certificate | None:
    """Describe one certificate that a server sent; None where it cannot be read, though OpenSSL may have taken it."""
    try:
        return _describe(x509.load_der_x509_certificate(der))
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm):
        return None


def tls_failure(error: ssl.SSLError, host: str) -> str:
    """Say in one sentence why the handshake with *host* failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {host} was refused: {clean_text(error.verify_message, _MAX_NAME)}"
    reason = (error.reason or "").replace("_", " ").lower()
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return f"{host} did not answer in TLS ({reason}): does it speak plain text on this port?"
    return f"the TLS handshake with {host} failed: {reason or clean_text(str(error), _MAX_NAME)}"


def _build(ca_file: Path | None, client_certificate: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=os.fspath(ca_file) if ca_file else None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError: no PEM, or no certificate in it
        raise LocalFault(
            f"{ca_file or 'the system bundle'} cannot be used as the CAs to trust: {_why(error)}"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        _demand_trust(context)
    if client_certificate is not None:
        read_client_certificate(client_certificate)
        try:
            # The empty passphrase keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(client_certificate, password="")
        except (OSError, ValueError) as error:
            raise LocalFault(f"{client_certificate} cannot be used as client certificate: {_why(error)}") from error
    return context


def _demand_trust(context: ssl.SSLContext) -> None:
    """Refuse to go on where the system trusts nobody: every server's certificate would look bad."""
    folder = ssl.get_default_verify_paths().capath
    if not context.cert_store_stats()["x509_ca"] and not (folder and any(Path(folder).iterdir())):
        raise LocalFault("this machine has no CA certificates: install its ca-certificates package, or set ca_file")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "its key does not belong to its first certificate"
        return (error.reason or "it is not PEM").replace("_", " ").lower()
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _describe(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        subject=clean_text(certificate.subject.rfc4514_string(), _MAX_NAME),
        issuer=clean_text(certificate.issuer.rfc4514_string(), _MAX_NAME),
        names=tuple(clean_text(name, _MAX_NAME) for name in _alternative_names(certificate)),
        not_after=certificate.not_valid_after_utc,
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    """List the host names and addresses that it is for (RFC 5280 4.2.1.6)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names = extension.value.get_values_for_type(x509.DNSName)
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [*names, *map(str, addresses)][:_MAX_NAMES]


def sent_chain(connection: ssl.SSLObject | ssl.SSLSocket) -> Sequence[bytes]:
    """Return the certificates as the server sent them, leaf first, in DER.

    Python has a public method for it since 3.13; before, only the object underneath has it.
    """
    public = getattr(connection, "get_unverified_chain", None)
    if public is not None:
        return list(public())
    inner = getattr(getattr(connection, "_sslobj", None), "get_unverified_chain", None)
    chain = inner() if inner is not None else None
    if chain:
        return [certificate.public_bytes(_DER) for certificate in chain]
    leaf = connection.getpeercert(binary_form=True)
    return [leaf] if leaf else []
