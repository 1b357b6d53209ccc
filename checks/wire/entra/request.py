"""One token request, in plain blocking calls, for a thread: msal does the protocol, and what comes of it is ours."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from checks.core.http import error_reply, retry_after, roles_of
from checks.core.model import Cause
from checks.errors import TokenRefused
from checks.wire.entra.proof import Shown
from checks.wire.entra.transport import Transport
from checks.wire.http import endpoint_of, failure_of

LIMIT = 20.0
"""Seconds that a request may take in all: finding the endpoint and asking it."""

_LONGEST_LIFE = 2 * 86400.0
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who asks whom for what: `authority` has the tenant in its path, `scope` is a resource with ``/.default``."""

    client_id: str
    authority: str
    scope: str
    proof: Shown


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, for how many seconds it lasts, and its roles; None where it does not show them."""

    value: str = field(repr=False)
    lifetime: float
    roles: frozenset[str] | None = field(repr=False)


def ask(question: Question, context: ssl.SSLContext, steady: Callable[[], float], now: datetime) -> Issued:
    """Ask for a token.

    The endpoint is looked up in the authority's own metadata and nowhere else (no instance discovery), so that a
    national cloud or a private authority does not depend on login.microsoftonline.com.

    Raises:
        TokenRefused: the identity provider said no, or did not answer.
        LocalFault: this machine cannot connect.
    """
    import msal  # noqa: PLC0415 - heavy, and needed only by those who have an app registration

    host, port = endpoint_of(question.authority)
    endpoint = f"{host}:{port}"
    with Transport(context, LIMIT, steady) as transport:
        try:
            client = msal.ConfidentialClientApplication(
                question.client_id,
                client_credential=question.proof.material,
                authority=question.authority,
                instance_discovery=False,
                http_client=transport,
            )
            answer = client.acquire_token_for_client([question.scope])
        except httpx.HTTPError as error:
            failure = failure_of(error, host)
            raise TokenRefused(
                failure.cause, endpoint, detail=failure.detail, connected=failure.connected
            ) from None  # the chain holds the request, and with it the secret
        except (msal.exceptions.MsalError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            answer = None  # msal does not say what it was told, the transport does
        return _issued(answer) or _refused(transport, endpoint, now)


def _issued(answer: Any) -> Issued | None:
    if not isinstance(answer, dict):
        return None
    value, lifetime = answer.get("access_token"), answer.get("expires_in")
    if not (isinstance(value, str) and _BEARER.fullmatch(value)):
        return None
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime <= _LONGEST_LIFE:
        return None
    return Issued(value, float(lifetime), roles_of(value))


def _refused(transport: Transport, endpoint: str, now: datetime) -> Issued:
    last = transport.last
    if last is None or last.status_code < httpx.codes.BAD_REQUEST:
        detail = f"{endpoint} answers, but not with a token: is this the authority?"
        raise TokenRefused(Cause.GARBAGE, endpoint, detail=detail, connected=last is not None)
    reply = error_reply(last.status_code, transport.redacted(last.text))
    wish = retry_after(last.headers, now)
    raise TokenRefused(Cause.REPLY, endpoint, reply=reply, connected=True, retry_after=wish)
