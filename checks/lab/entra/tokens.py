"""Access tokens: issued as Entra issues them to an app (version 1.0, RS256), and checked as Exchange and Graph do."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from checks.lab.certificates import write_private
from checks.lab.entra.directory import PRINCIPAL_ID, Directory, Proof, Resource
from checks.lab.tenant import APP_NAME, CLIENT_ID, TENANT_ID

LIFETIME = 3599
"""Seconds, of an ordinary token."""
_KEY_BITS = 2048
_ISSUER = f"https://sts.windows.net/{TENANT_ID}/"
_REVOKED_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        Proof.SECRET: ("secret_wrong", "secret_expired", "app_unknown", "wrong_cloud"),
        Proof.CERTIFICATE: ("certificate_unknown", "app_unknown", "wrong_cloud"),
    }
)


class Wrong(StrEnum):
    """What is wrong with a token."""

    MALFORMED = "malformed"
    SIGNATURE = "signature"
    AUDIENCE = "audience"
    EXPIRED = "expired"


class TokenRefused(Exception):
    """The token is no good."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.value)
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    app: str
    roles: frozenset[str]


class TokenAuthority:
    """Issues tokens and knows them again. Its key is kept, so that tokens outlive a restart of the lab."""

    def __init__(self, key_file: Path, directory: Directory) -> None:
        self._directory = directory
        self._key = _kept_key(key_file)
        public = self._key.public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self._kid = base64.urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_OID, der.hex()).bytes).decode().rstrip("=")

    def keys(self, issuer: str) -> dict[str, Any]:
        """Return the public key as a JWK set (RFC 7517)."""
        key = dict(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True))
        return {"keys": [{**key, "use": "sig", "kid": self._kid, "x5t": self._kid, "alg": "RS256", "issuer": issuer}]}

    def issue(self, resource: Resource, proof: Proof) -> tuple[str, int]:
        """Return a token for *resource*, for an app that has proved itself, and its lifetime in seconds."""
        now = int(time.time())
        lifetime = int(self._directory.seconds("token_expires_soon")) or LIFETIME
        claims = {
            "aud": resource.value,
            "iss": _ISSUER,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "app_displayname": APP_NAME,
            "appid": CLIENT_ID,
            "appidacr": proof.value,
            "idp": _ISSUER,
            "idtyp": "app",
            "oid": PRINCIPAL_ID,
            "roles": self._directory.roles(resource),
            "sub": PRINCIPAL_ID,
            "tid": TENANT_ID,
            "uti": uuid.uuid4().hex[:22],
            "ver": "1.0",
        }
        if not claims["roles"]:
            del claims["roles"]
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid, "x5t": self._kid}), lifetime

    def verify(self, token: str, resource: Resource) -> Claims:
        """Check a token that somebody shows to *resource*.

        A token whose roles are not those of this moment, or whose app could not get another one for a reason that
        `lab break` made, counts as expired: nobody has to wait for an hour to see a fault, or that it has gone.

        Raises:
            TokenRefused: it is not good for that.
        """
        try:
            said = jwt.decode(
                token,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=resource.value,
                issuer=_ISSUER,
                options={"require": ["exp", "aud", "appid"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefused(Wrong.EXPIRED) from None
        except jwt.InvalidAudienceError:
            raise TokenRefused(Wrong.AUDIENCE) from None
        except (jwt.InvalidSignatureError, jwt.InvalidIssuerError):
            raise TokenRefused(Wrong.SIGNATURE) from None
        except jwt.PyJWTError:
            raise TokenRefused(Wrong.MALFORMED) from None
        roles = frozenset(said.get("roles", ()))
        revoked = any(map(self._directory.has, _REVOKED_BY[said["appidacr"]]))
        if revoked or roles != frozenset(self._directory.roles(resource)):
            raise TokenRefused(Wrong.EXPIRED)
        return Claims(str(said["appid"]), roles)


def _kept_key(path: Path) -> rsa.RSAPrivateKey:
    try:
        kept = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError):
        kept = None
    if isinstance(kept, rsa.RSAPrivateKey):
        return kept
    fresh = rsa.generate_private_key(65537, _KEY_BITS)
    pem = fresh.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)
    return fresh
