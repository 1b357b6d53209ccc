"""The testbed's private certification authority and everything it signs, made anew at each start.

An identity is one PEM file with the private key and then the certificate: Postfix (`smtpd_tls_chain_files`), Dovecot
and `ssl.SSLContext.load_cert_chain` all take it. The authority's own key is never written.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """Paths of the PEM files below one directory."""

    directory: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate, for clients to trust."""
        return self.directory / "ca.pem"

    @property
    def server(self) -> Path:
        """What the servers present: valid for localhost, 127.0.0.1 and mx.corp.test."""
        return self.directory / "server.pem"

    @property
    def expired(self) -> Path:
        """Right name and right authority, but it ended yesterday."""
        return self.directory / "expired.pem"

    @property
    def wrong_name(self) -> Path:
        """Valid, but for mx.wrong.test only."""
        return self.directory / "wrong-name.pem"

    @property
    def self_signed(self) -> Path:
        """Right name, vouched for by nobody."""
        return self.directory / "self-signed.pem"

    @property
    def client_listed(self) -> Path:
        """The client certificate that the MX knows as a connector."""
        return self.directory / "client-listed.pem"

    @property
    def client_unlisted(self) -> Path:
        """A client certificate of the same authority that the MX does not know."""
        return self.directory / "client-unlisted.pem"

    def client_fingerprint(self) -> str:
        """SHA-256 of the listed client certificate, in the form that Postfix's `relay_clientcerts` compares."""
        certificate = x509.load_pem_x509_certificate(self.client_listed.read_bytes())
        return certificate.fingerprint(hashes.SHA256()).hex(":").upper()

    def create(self, now: dt.datetime) -> None:
        """Write all files, replacing those of an earlier start.

        Args:
            now: the present, with a time zone; the good certificates are valid from an hour before until 30 days after.
        """
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        authority = _Authority.create(now)
        self.ca.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        names = ["localhost", "127.0.0.1", "mx.corp.test"]
        yesterday = now - _DAY
        authority.issue(self.server, names, now)
        authority.issue(self.expired, names, now, start=now - 30 * _DAY, end=yesterday)
        authority.issue(self.wrong_name, ["mx.wrong.test"], now)
        _Authority.create(now).issue(self.self_signed, names, now, self_signed=True)
        authority.issue(self.client_listed, ["relay.corp.test"], now)
        authority.issue(self.client_unlisted, ["stranger.corp.test"], now)


@dataclass(frozen=True)
class _Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, now: dt.datetime) -> "_Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Testbed CA")
        certificate = (
            _builder(name, name, key, now - _DAY, now + 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def issue(
        self,
        path: Path,
        names: Sequence[str],
        now: dt.datetime,
        *,
        start: dt.datetime | None = None,
        end: dt.datetime | None = None,
        self_signed: bool = False,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(names[0])
        issuer, signer = (subject, key) if self_signed else (self.certificate.subject, self.key)
        not_before = start or now - dt.timedelta(hours=1)
        certificate = (
            _builder(subject, issuer, key, not_before, end or now + 30 * _DAY)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    # Python 3.13 verifies with VERIFY_X509_STRICT, which wants this extension on an authority.
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
