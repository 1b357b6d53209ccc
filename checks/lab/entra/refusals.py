"""What Entra answers when it issues no token: AADSTS numbers, in the shape that Microsoft documents.

Source: "Microsoft Entra authentication and authorization error codes", and answers that users have published.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import JSONResponse

_UNAUTHORIZED = 401
_BAD_REQUEST = 400
_UNAVAILABLE = 503
TIMESTAMP = "%Y-%m-%d %H:%M:%SZ"


class NoToken(Exception):
    """The request gets no token, for the reason given."""

    def __init__(self, refusal: Refusal, **facts: str) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason; ``{...}`` in the text is filled in."""

    code: int
    error: str
    text: str
    status: int = _BAD_REQUEST
    subcode: str = ""

    def answer(self, correlation: str | None, facts: dict[str, str], authority: str) -> JSONResponse:
        """Return the answer.

        Args:
            correlation: what the client calls its request, or None.
            facts: what fills the text.
            authority: the URL of this identity platform.
        """
        trace, correlation = str(uuid.uuid4()), correlation or str(uuid.uuid4())
        now = f"{datetime.now(UTC):{TIMESTAMP}}"
        said = self.text.format_map(facts)
        body: dict[str, Any] = {
            "error": self.error,
            "error_description": (
                f"AADSTS{self.code}: {said} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
            ),
            "error_codes": [self.code],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"{authority}/error?code={self.code}",
        }
        if self.subcode:
            body["suberror"] = self.subcode
        headers = {"cache-control": "no-store, no-cache", "pragma": "no-cache", "x-ms-request-id": trace}
        return JSONResponse(body, self.status, headers)


UNKNOWN_TENANT = Refusal(
    90002,
    "invalid_request",
    "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct "
    "cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the "
    "tenant.",
)
NO_TENANT = Refusal(
    50059,
    "invalid_request",
    "No tenant-identifying information found in either the request or implied by any provided credentials.",
)
UNKNOWN_INSTANCE = Refusal(50049, "invalid_instance", "Unknown or invalid instance.")
MISSING_PARAMETER = Refusal(
    900144, "invalid_request", "The request body must contain the following parameter: '{parameter}'."
)
UNSUPPORTED_GRANT = Refusal(70003, "unsupported_grant_type", "The app requested an unsupported grant type '{grant}'.")
UNKNOWN_APP = Refusal(
    700016,
    "unauthorized_client",
    "Application with identifier '{app}' was not found in the directory 'Contoso'. This can happen if the application "
    "has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may "
    "have sent your authentication request to the wrong tenant.",
)
NO_PROOF = Refusal(
    7000218,
    "invalid_client",
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    _UNAUTHORIZED,
)
WRONG_SECRET = Refusal(
    7000215,
    "invalid_client",
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the "
    "client secret ID, for a secret added to app '{app}'.",
    _UNAUTHORIZED,
)
EXPIRED_SECRET = Refusal(
    7000222,
    "invalid_client",
    "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your "
    "app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: "
    "https://aka.ms/certCreds.",
    _UNAUTHORIZED,
)
BAD_ASSERTION = Refusal(50027, "invalid_client", "JWT token is invalid or malformed.", _UNAUTHORIZED)
UNKNOWN_CERTIFICATE = Refusal(
    700027,
    "invalid_client",
    "The certificate with identifier used to sign the client assertion is not registered on application. "
    "[Reason - The key was not found., Thumbprint of key used by client: '{thumbprint}', Please visit the Azure "
    "Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id '{app}'.]",
    _UNAUTHORIZED,
)
BAD_SIGNATURE = Refusal(
    700027,
    "invalid_client",
    "Client assertion failed signature validation. [Reason - The key was found, but use of the key to verify the "
    "signature failed., Thumbprint of key used by client: '{thumbprint}', Please visit the Azure Portal, Graph "
    "Explorer or directly use MS Graph to see configured keys for app Id '{app}'.]",
    _UNAUTHORIZED,
)
WRONG_AUDIENCE = Refusal(
    700023,
    "invalid_client",
    "Client assertion audience claim does not match Realm issuer. Review the documentation at "
    "https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials.",
    _UNAUTHORIZED,
)
STALE_ASSERTION = Refusal(
    700024,
    "invalid_client",
    "Client assertion is not within its valid time range. Current time: {now}, expiry time of assertion {expiry}. "
    "Review the documentation at "
    "https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials.",
    _UNAUTHORIZED,
)
WRONG_ISSUER = Refusal(
    700021,
    "invalid_client",
    "Client assertion application identifier doesn't match 'client_id' parameter. Review the documentation at "
    "https://docs.microsoft.com/azure/active-directory/develop/active-directory-certificate-credentials.",
    _UNAUTHORIZED,
)
BAD_SCOPE = Refusal(
    1002012,
    "invalid_scope",
    "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default "
    "suffixed to the resource identifier (application ID URI).",
)
UNKNOWN_RESOURCE = Refusal(
    500011,
    "invalid_resource",
    "The resource principal named {resource} was not found in the tenant named Contoso. This can happen if the "
    "application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "
    "You might have sent your authentication request to the wrong tenant.",
)
WRONG_CLOUD = Refusal(900382, "invalid_request", "Confidential Client is not supported in Cross Cloud request.")
UNAVAILABLE = Refusal(
    90033, "temporarily_unavailable", "A transient error has occurred. Please try again.", _UNAVAILABLE
)
