"""The app registration of the tenant: how it proves itself, and what it has been granted.

What is granted is looked up at each use, with the faults of the moment: `lab break` acts at once, where in Microsoft's
cloud a change of roles waits for the next token, and one of mailbox permissions for up to two hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from checks.lab.certificates import kept_secret
from checks.lab.faults import ENTRA, FaultBoard
from checks.lab.tenant import PathName

PRINCIPAL_ID = "c2a9e7d1-5b34-4f86-9e02-71f8d3a6b4c5"
"""The object id of the app's service principal."""


class Resource(StrEnum):
    """Whom a token is for: the `aud` of Microsoft's own tokens."""

    OUTLOOK = "https://outlook.office365.com"
    GRAPH = "https://graph.microsoft.com"


class Proof(StrEnum):
    """How an app has proved itself; the values are those of the claim `appidacr`."""

    SECRET = "1"  # noqa: S105  a number of Microsoft's
    CERTIFICATE = "2"


ROLES: Mapping[Resource, tuple[str, ...]] = MappingProxyType(
    {
        Resource.OUTLOOK: ("IMAP.AccessAsApp", "SMTP.SendAsApp"),
        Resource.GRAPH: ("Mail.ReadWrite", "Mail.Send"),
    }
)
"""What an administrator has consented to."""

ROLE_FOR: Mapping[str, str] = MappingProxyType(
    {
        PathName.SUBMISSION: "SMTP.SendAsApp",
        PathName.GRAPH: "Mail.Send",
        "inbox": "IMAP.AccessAsApp",
        "noreply": "Mail.ReadWrite",
    }
)
"""Which role the fault role_missing takes away, by target. Roles are the app's: they hold for all mailboxes."""


_SECRET_FILE = "client-secret"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class AppKeys:
    """What the app may prove itself with: the secrets in files `client-secret*` of a directory, or a certificate."""

    directory: Path
    certificate: x509.Certificate
    """Of an RSA key, as Entra wants it."""

    def __repr__(self) -> str:
        """Keep them out of logs and tracebacks."""
        return "AppKeys(***)"

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets at this moment: one may be added and another removed at any time, as an administrator does."""
        return [kept_secret(file) for file in self.directory.glob(f"{_SECRET_FILE}*")]

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        """The certificate's key."""
        key = self.certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101  the lab has made it
        return key

    def thumbprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """Return the certificate's fingerprint."""
        return self.certificate.fingerprint(algorithm)


def load_app_keys(directory: Path, app_file: Path) -> AppKeys:
    """Make the app a secret, once, and return what it may prove itself with."""
    kept_secret(directory / _SECRET_FILE)
    certificate = x509.load_pem_x509_certificates(app_file.read_bytes())[0]
    return AppKeys(directory, certificate)


class Directory:
    """What holds for the app at this moment."""

    def __init__(self, keys: AppKeys, faults: FaultBoard) -> None:
        self.keys = keys
        self._faults = faults

    def roles(self, resource: Resource) -> list[str]:
        """Return the roles that a token for *resource* carries now."""
        gone = {role for target, role in ROLE_FOR.items() if self._faults.is_on(target, "role_missing")}
        return [role for role in ROLES[resource] if role not in gone]

    def may_use(self, target: str) -> bool:
        """Tell whether the app has a permission on the mailbox that is used through *target*, a path or mailbox."""
        return not self._faults.is_on(target, "mailbox_not_permitted")

    def has(self, fault: str) -> bool:
        """Tell whether a fault of the identity platform is on."""
        return self._faults.is_on(ENTRA, fault)

    async def outlast(self, fault: str) -> None:
        """Return when a fault of the identity platform is off."""
        await self._faults.outlast(ENTRA, fault)

    def seconds(self, fault: str) -> float:
        """Return the value of a fault of the identity platform; 0 while it is off."""
        return self._faults.seconds(ENTRA, fault)
