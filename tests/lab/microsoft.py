"""The lab's Entra and Graph as clients see them: tokens by msal, and answers held against Microsoft's own schema."""

from __future__ import annotations

import functools
import json
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msal

from checks.lab import Lab
from checks.lab.tenant import CLIENT_ID, TENANT_ID

OUTLOOK, GRAPH = "https://outlook.office365.com", "https://graph.microsoft.com"
SCHEMA = Path(__file__).resolve().parents[3] / "shared" / "corpora" / "graph" / "graph_v1.0_mail.schema.json"
PATIENCE = 10.0  # seconds


def authority(lab: Lab, tenant: str = TENANT_ID) -> str:
    return f"https://127.0.0.1:{lab.port('entra')}/{tenant}"


def app(lab: Lab, credential: Any = None, *, client_id: str = CLIENT_ID, tenant: str = TENANT_ID) -> Any:
    """An app of msal's, by the lab's secret unless told."""
    return msal.ConfidentialClientApplication(
        client_id,
        client_credential=credential or (lab.directory / "client-secret").read_text().strip(),
        authority=authority(lab, tenant),
        instance_discovery=False,
        verify=str(lab.info.ca_file),
    )


def ask(lab: Lab, resource: str = OUTLOOK, **how: Any) -> dict[str, Any]:
    return app(lab, **how).acquire_token_for_client([f"{resource}/.default"])


def access_token(lab: Lab, resource: str = OUTLOOK, **how: Any) -> str:
    answer = ask(lab, resource, **how)
    assert "access_token" in answer, answer
    return str(answer["access_token"])


def context(lab: Lab) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(lab.info.ca_file))


def graph_client(lab: Lab, token: str | None = None) -> httpx.Client:
    """A client of Graph; each answer is looked at on the way."""
    return httpx.Client(
        base_url=f"https://127.0.0.1:{lab.port('graph')}/v1.0",
        verify=context(lab),
        headers={"Authorization": f"Bearer {token or access_token(lab, GRAPH)}"},
        event_hooks={"response": [_examine]},
        timeout=PATIENCE,
    )


def _examine(response: httpx.Response) -> None:
    response.read()
    examine(response)


def examine(response: httpx.Response) -> None:
    """Hold an answer against what every answer of Graph has, and against the schema where that is at hand."""
    assert response.headers["request-id"]
    assert response.headers["client-request-id"]
    if not response.headers.get("content-type", "").startswith("application/json"):
        assert response.status_code < 400
        return
    body = response.json()
    if response.status_code >= 400:
        assert set(body) == {"error"}
        assert {"code", "message", "innerError"} == set(body["error"])
        assert {"date", "request-id", "client-request-id"} == set(body["error"]["innerError"])
        return
    for kind, resource in resources(body):
        assert resource["id"]
        if SCHEMA.exists():
            validator(kind).validate(resource)


def resources(body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The resources of an answer, each with the name of its type; @removed is OData's, not of the type."""
    what = str(body.get("@odata.context", "")).partition(")/")[2]
    kind = {"messages": "message", "mailFolders": "mailFolder"}.get(what.partition("/")[0])
    if kind is None:
        return []
    listed = body.get("value", [body])
    return [(kind, {name: value for name, value in one.items() if name != "@removed"}) for one in listed]


@functools.cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    whole = json.loads(SCHEMA.read_text())
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": whole["$defs"]})


def until(look: Callable[[], Any]) -> Any:
    """Look again and again until there is something; each look asks the lab, which is what takes the time."""
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()):
        assert time.monotonic() < deadline, "nothing came"
    return seen
