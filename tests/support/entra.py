"""Entra's token endpoint by hand, in its documented shapes: discovery, tokens with roles, errors with AADSTS codes."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from support.https import Answer, Request, Response

TENANT = "contoso.example"
CLIENT = "4b1c0a53-0000-4000-8000-000000000001"
SECRET = 's3cret~of."the"/app'
DISCOVERY = f"/{TENANT}/v2.0/.well-known/openid-configuration"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"


def jwt(roles: Sequence[str] | None, number: int = 1, **claims: Any) -> str:
    """Make a token as the service could: nobody but the service checks its signature."""
    payload = {"aud": "https://outlook.office365.com", "jti": number, **claims}
    if roles is not None:
        payload["roles"] = list(roles)
    parts = ({"alg": "RS256", "typ": "JWT"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


def refusal(status: int, code: str, error: str = "invalid_client", words: str = "It was refused.") -> Response:
    number = int(code.removeprefix("AADSTS"))
    description = f"{code}: {words} Trace ID: 1b2c Correlation ID: 3d4e Timestamp: 2026-11-26 03:00:00Z"
    return Response(status, {"error": error, "error_description": description, "error_codes": [number]})


class Entra:
    """Answers for one app. `refuse` is answered instead of tokens while it is set; `tokens` are those given out."""

    def __init__(self) -> None:
        self.url = ""
        self.roles: Sequence[str] | None = ("SMTP.SendAsApp", "IMAP.AccessAsApp", "Mail.ReadWrite", "Mail.Send")
        self.lifetime: Any = 3600
        self.refuse: Response | Answer | None = None
        self.refuse_discovery: Response | None = None
        self.token_endpoint: str | None = None
        self.tokens: list[str] = []

    def __call__(self, request: Request) -> Response:
        if request.path == DISCOVERY:
            return self.refuse_discovery or Response(body=self._metadata())
        if request.path != TOKEN or request.method != "POST":
            return Response(404, "not found")
        if self.refuse is not None:
            return self.refuse(request) if callable(self.refuse) else self.refuse
        self.tokens.append(jwt(self.roles, len(self.tokens) + 1))
        answer = {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": self.tokens[-1]}
        return Response(body=answer)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": f"{self.url}/{TENANT}/v2.0",
            "token_endpoint": self.token_endpoint or f"{self.url}{TOKEN}",
            "authorization_endpoint": f"{self.url}/{TENANT}/oauth2/v2.0/authorize",
        }
