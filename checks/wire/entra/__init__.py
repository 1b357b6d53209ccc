"""Tokens from Microsoft Entra ID for an app registration: the client credentials grant (RFC 6749 4.4), by msal."""

from checks.wire.entra.clouds import CLOUDS, Cloud
from checks.wire.entra.credential import EntraApp, Registration
from checks.wire.entra.proof import CertificateProof, SecretProof

__all__ = ["CLOUDS", "CertificateProof", "Cloud", "EntraApp", "Registration", "SecretProof"]
