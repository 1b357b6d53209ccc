"""How an app proves who it is: a client secret, or a certificate whose key signs an assertion (RFC 7523)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from checks.errors import LocalFault
from checks.wire.tls import read_client_certificate


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof as it is now, in msal's form. Two are equal if showing the second one would be no other attempt."""

    material: Any = field(repr=False)


class Proof(Protocol):
    """Reads the proof anew for each token, so that it can be renewed without a restart."""

    def read(self) -> Shown:
        """Return it.

        Raises:
            LocalFault: it cannot be read, or cannot serve.
        """
        ...

    def not_after(self) -> datetime | None:
        """Tell when it ends; None where nobody knows."""
        ...


class SecretProof:
    """A client secret; *expires* is the day that the app registration shows for it."""

    def __init__(self, read: Callable[[], str], expires: date | None) -> None:
        self._read = read
        self._expires = expires

    def read(self) -> Shown:
        """Return the secret."""
        return Shown(self._read())

    def not_after(self) -> datetime | None:
        """Tell when it ends: at the beginning of that day in UTC, as nobody told the hour."""
        return None if self._expires is None else datetime.combine(self._expires, datetime.min.time(), UTC)


class CertificateProof:
    """A PEM file with an RSA key and its certificate.

    msal works the SHA-256 thumbprint out (``x5t#S256``) and signs with PS256, as Microsoft recommends ("Microsoft
    identity platform application authentication certificate credentials").
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> Shown:
        """Return key and certificate."""
        read_client_certificate(self._file)  # has the words for what may be wrong with such a file
        try:
            pem = self._file.read_bytes()
            key = load_pem_private_key(pem, password=None)
            leaf = x509.load_pem_x509_certificates(pem)[0]
        except (OSError, ValueError, TypeError) as error:
            raise LocalFault(f"the private key in {self._file} cannot be read") from error
        if not isinstance(key, RSAPrivateKey):
            raise LocalFault(f"the key in {self._file} is not RSA, which Entra demands of an app's certificate")
        if key.public_key() != leaf.public_key():
            raise LocalFault(f"the key in {self._file} does not belong to its first certificate")
        return Shown(
            {
                "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"),
                "public_certificate": leaf.public_bytes(Encoding.PEM).decode("ascii"),
            }
        )

    def not_after(self) -> datetime | None:
        """Tell when the certificate ends; None while the file cannot be read, as each canary says then."""
        try:
            return read_client_certificate(self._file).not_after
        except LocalFault:
            return None
