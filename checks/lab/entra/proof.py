"""How the app proves itself at the token endpoint: by its secret, or by an assertion that its certificate has signed.

Source: "Microsoft identity platform application authentication certificate credentials" and RFC 7523.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes

from checks.lab.entra import refusals
from checks.lab.entra.directory import Directory, Proof
from checks.lab.entra.refusals import NoToken
from checks.lab.tenant import CLIENT_ID

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_THUMBPRINTS: Mapping[str, hashes.HashAlgorithm] = {"x5t": hashes.SHA1(), "x5t#S256": hashes.SHA256()}  # noqa: S303  as Entra has it


def check_proof(form: Mapping[str, str], directory: Directory, audiences: Collection[str]) -> Proof:
    """Check the app's secret or assertion, and return which it was.

    Args:
        form: the request.
        directory: what holds for the app.
        audiences: what an assertion may be addressed to.

    Raises:
        NoToken: it proves nothing.
    """
    app = form["client_id"]
    if form.get("client_assertion_type") == _JWT_BEARER and "client_assertion" in form:
        _check_assertion(form["client_assertion"], app, directory, audiences)
        return Proof.CERTIFICATE
    if "client_secret" not in form:
        raise NoToken(refusals.NO_PROOF)
    if directory.has("secret_expired"):
        raise NoToken(refusals.EXPIRED_SECRET, app=app)
    shown = form["client_secret"].encode()
    right = any(hmac.compare_digest(shown, secret.encode()) for secret in directory.keys.secrets)
    if not right or directory.has("secret_wrong"):
        raise NoToken(refusals.WRONG_SECRET, app=app)
    return Proof.SECRET


def _check_assertion(assertion: str, app: str, directory: Directory, audiences: Collection[str]) -> None:
    thumbprint, registered = _certificate_of(assertion, directory)
    facts = {"app": app, "thumbprint": thumbprint.hex().upper()}
    if not registered or directory.has("certificate_unknown"):
        raise NoToken(refusals.UNKNOWN_CERTIFICATE, **facts)
    try:
        claims: dict[str, Any] = jwt.decode(
            assertion,
            directory.keys.public_key,
            algorithms=["RS256", "PS256"],
            audience=list(audiences),
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
    except jwt.InvalidSignatureError:
        raise NoToken(refusals.BAD_SIGNATURE, **facts) from None
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise NoToken(refusals.STALE_ASSERTION, now=_written(time.time()), expiry=_expiry(assertion)) from None
    except jwt.InvalidAudienceError:
        raise NoToken(refusals.WRONG_AUDIENCE) from None
    except jwt.PyJWTError:
        raise NoToken(refusals.BAD_ASSERTION) from None
    if claims["iss"] != CLIENT_ID or claims["sub"] != CLIENT_ID:
        raise NoToken(refusals.WRONG_ISSUER)


def _certificate_of(assertion: str, directory: Directory) -> tuple[bytes, bool]:
    """Return the thumbprint that the assertion names, and whether it is that of the app's certificate."""
    try:
        header = jwt.get_unverified_header(assertion)
        name = next(name for name in _THUMBPRINTS if name in header)
        said = base64.urlsafe_b64decode(f"{header[name]}==")
    except (jwt.PyJWTError, StopIteration, TypeError, ValueError, binascii.Error):
        raise NoToken(refusals.BAD_ASSERTION) from None
    return said, hmac.compare_digest(said, directory.keys.thumbprint(_THUMBPRINTS[name]))


def _expiry(assertion: str) -> str:
    claims = jwt.decode(assertion, options={"verify_signature": False})
    expiry = claims.get("exp")
    return _written(float(expiry)) if isinstance(expiry, int | float) else "unknown"


def _written(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.0000000Z}"
    except (OverflowError, ValueError, OSError):
        return "unknown"
