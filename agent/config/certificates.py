"""Look at the certificates that the settings name, before a connection depends on them."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class UnusableCertificate(ValueError):
    """What is in the file cannot serve; the message says what it is and what is needed."""


class UnusableKey(UnusableCertificate):
    """The certificate is sound, the private key is not."""


def not_after(pem: bytes, now: datetime, *, key: bytes | None = None) -> datetime:
    """Tell until when a certificate with its private key can be used; the key is in *pem*, or else in *key*.

    Raises:
        UnusableCertificate: the certificate is missing or damaged, or *now* is outside its validity.
        UnusableKey: the key is missing or damaged, or belongs to another certificate.
    """
    leaf = _certificates(pem)[0]
    try:
        private = load_pem_private_key(pem if key is None else key, password=None)
    except TypeError:
        raise UnusableKey("has an encrypted private key: store it without a passphrase, mode 0600") from None
    except ValueError:
        where = ": append it to the certificate, in PEM" if key is None else " in PEM (-----BEGIN PRIVATE KEY-----)"
        raise UnusableKey(f"has no private key{where}") from None
    if private.public_key() != leaf.public_key():
        whose = "its first certificate (leaf first)" if key is None else "the certificate"
        raise UnusableKey(f"has a private key that does not belong to {whose}")
    if now >= leaf.not_valid_after_utc:
        raise UnusableCertificate(f"has a certificate that expired on {leaf.not_valid_after_utc:%Y-%m-%d}")
    if now < leaf.not_valid_before_utc:
        raise UnusableCertificate(f"has a certificate that is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}")
    return leaf.not_valid_after_utc


def check_authorities(pem: bytes, now: datetime) -> None:
    """Check that a file of CA certificates can serve as trust anchors.

    Raises:
        UnusableCertificate: it has no certificate, or none that is still valid.
    """
    newest = max(certificate.not_valid_after_utc for certificate in _certificates(pem))
    if now >= newest:
        raise UnusableCertificate(f"has only expired certificates, the last since {newest:%Y-%m-%d}")


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusableCertificate("has no readable certificate in PEM (-----BEGIN CERTIFICATE-----)") from None
