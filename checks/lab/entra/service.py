"""The endpoints of the identity platform that a client with an authority of its own asks for."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from checks.lab.entra import refusals
from checks.lab.entra.directory import Directory, Resource
from checks.lab.entra.proof import check_proof
from checks.lab.entra.refusals import NoToken
from checks.lab.entra.tokens import TokenAuthority
from checks.lab.https import cut
from checks.lab.tenant import CLIENT_ID, TENANT_DOMAIN, TENANT_ID

_TENANT_NAMES = frozenset({TENANT_ID, TENANT_DOMAIN, "contoso.onmicrosoft.com"})
_COMMON = frozenset({"common", "organizations", "consumers"})
_FORM_LIMIT = 64 * 1024  # bytes
_DEFAULT = "/.default"
_RESOURCES: Mapping[str, Resource] = {
    "https://graph.microsoft.com": Resource.GRAPH,
    "00000003-0000-0000-c000-000000000000": Resource.GRAPH,
    "https://outlook.office365.com": Resource.OUTLOOK,
    "https://outlook.office.com": Resource.OUTLOOK,
    "00000002-0000-0ff1-ce00-000000000000": Resource.OUTLOOK,
}


def identity_platform(directory: Directory, authority: TokenAuthority) -> Starlette:
    """Return the application."""
    platform = _Platform(directory, authority)
    return Starlette(
        routes=[
            Route("/common/discovery/instance", platform.instances),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", platform.configuration),
            Route("/{tenant}/.well-known/openid-configuration", platform.configuration),
            Route("/{tenant}/discovery/v2.0/keys", platform.keys),
            Route("/{tenant}/discovery/keys", platform.keys),
            Route("/{tenant}/oauth2/v2.0/token", platform.token, methods=["POST"]),
        ],
        exception_handlers={NoToken: _refuse},
    )


class _Platform:
    def __init__(self, directory: Directory, authority: TokenAuthority) -> None:
        self._directory = directory
        self._authority = authority

    async def instances(self, request: Request) -> Response:
        """Say which hosts are one cloud; the lab is a cloud of its own."""
        asked = urlsplit(request.query_params.get("authorization_endpoint", ""))
        here = request.url.netloc
        # msal leaves the port out of the host that it asks about
        if asked.hostname != request.url.hostname:
            raise NoToken(refusals.UNKNOWN_INSTANCE)
        tenant = asked.path.strip("/").partition("/")[0] or TENANT_ID
        network = {"preferred_network": here, "preferred_cache": here, "aliases": [here]}
        endpoint = f"https://{here}/{tenant}/v2.0/.well-known/openid-configuration"
        return JSONResponse({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": [network]})

    async def configuration(self, request: Request) -> Response:
        """Return the OpenID configuration of the tenant."""
        tenant = _tenant(request)
        base = _authority(request)
        return JSONResponse(
            {
                "token_endpoint": f"{base}/{tenant}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{base}/{tenant}/discovery/v2.0/keys",
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "issuer": f"{base}/{TENANT_ID}/v2.0",
                "authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/{tenant}/oauth2/v2.0/devicecode",
                "end_session_endpoint": f"{base}/{tenant}/oauth2/v2.0/logout",
                "tenant_region_scope": "EU",
                "cloud_instance_name": request.url.netloc,
                "msgraph_host": "graph.microsoft.com",
            }
        )

    async def keys(self, request: Request) -> Response:
        """Return the keys with which tokens are signed."""
        _tenant(request)
        return JSONResponse(self._authority.keys(f"{_authority(request)}/{TENANT_ID}/v2.0"))

    async def token(self, request: Request) -> Response:
        """Issue a token for client credentials (RFC 6749 section 4.4)."""
        form = await _form(request)
        if self._directory.has("entra_silent"):
            await self._directory.outlast("entra_silent")
            cut(request)
        if self._directory.has("entra_unavailable"):
            raise NoToken(refusals.UNAVAILABLE)
        tenant = _tenant(request)
        if self._directory.has("wrong_cloud"):
            raise NoToken(refusals.WRONG_CLOUD)
        for parameter in ("grant_type", "client_id", "scope"):
            if not form.get(parameter):
                raise NoToken(refusals.MISSING_PARAMETER, parameter=parameter)
        if form["grant_type"] != "client_credentials":
            raise NoToken(refusals.UNSUPPORTED_GRANT, grant=form["grant_type"][:60])
        if form["client_id"].lower() != CLIENT_ID or self._directory.has("app_unknown"):
            raise NoToken(refusals.UNKNOWN_APP, app=form["client_id"][:60])
        base = _authority(request)
        audiences = {f"{base}/{tenant}/oauth2/v2.0/token", f"{base}/{TENANT_ID}/v2.0", f"{base}/{tenant}/v2.0"}
        proof = check_proof(form, self._directory, audiences)
        token, lifetime = self._authority.issue(_resource(form["scope"]), proof)
        answer = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        return JSONResponse(answer, headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"})


def _authority(request: Request) -> str:
    return f"https://{request.url.netloc}"


def _tenant(request: Request) -> str:
    """Return the tenant as the client calls it."""
    tenant = str(request.path_params["tenant"])
    if tenant.lower() in _TENANT_NAMES:
        return tenant
    raise NoToken(refusals.NO_TENANT if tenant.lower() in _COMMON else refusals.UNKNOWN_TENANT, tenant=tenant[:100])


def _resource(scope: str) -> Resource:
    named, suffix, rest = scope.strip().partition(_DEFAULT)
    if not suffix or rest:
        raise NoToken(refusals.BAD_SCOPE, scope=scope[:100])
    try:
        return _RESOURCES[named.rstrip("/").lower()]
    except KeyError:
        raise NoToken(refusals.UNKNOWN_RESOURCE, resource=named[:100]) from None


async def _form(request: Request) -> dict[str, str]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _FORM_LIMIT:
            break
    return dict(parse_qsl(data[:_FORM_LIMIT].decode("utf-8", "replace"), keep_blank_values=True))


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, NoToken)  # noqa: S101  what it is registered for
    return error.refusal.answer(request.headers.get("client-request-id"), error.facts, _authority(request))
