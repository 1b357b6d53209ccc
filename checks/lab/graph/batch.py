"""$batch: up to twenty requests in one, each answered as if it had come alone.

Source: "Combine multiple HTTP requests using JSON batching".
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from checks.lab.graph.changing import json_body
from checks.lab.graph.errors import bad_request
from checks.lab.graph.reading import odata

MOST = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE"})
_FAILED_DEPENDENCY = 424
_FIRST_ERROR = 400


async def batch(request: Request, app: ASGIApp) -> Response:
    """Answer all requests of a batch; those that depend on others come after them."""
    listed = (await json_body(request)).get("requests")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise bad_request("Invalid batch payload format.")
    if not 0 < len(listed) <= MOST:
        raise bad_request(f"The batch must have 1 to {MOST} requests, not {len(listed)}.")
    waiting = {str(one.get("id")): one for one in listed}
    if len(waiting) != len(listed):
        raise bad_request("The ids of the requests must differ.")
    answers: dict[str, dict[str, Any]] = {}
    base = f"https://{request.url.netloc}/v1.0/"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
        while waiting:
            ready = [name for name, one in waiting.items() if set(_needs(one)) <= answers.keys()]
            if not ready:
                raise bad_request("The requests depend on each other, or on one that is not there.")
            wave = [_one(client, request, waiting.pop(name), answers) for name in ready]
            answers.update(zip(ready, await asyncio.gather(*wave), strict=True))
    return odata({"responses": list(answers.values())})


def _needs(one: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in one.get("dependsOn") or ()]


async def _one(
    client: httpx.AsyncClient, outer: Request, one: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    name, method, url = str(one.get("id")), str(one.get("method", "")).upper(), str(one.get("url", ""))
    if any(answers[needed]["status"] >= _FIRST_ERROR for needed in _needs(one)):
        error = {"code": "FailedDependency", "message": "The request it depends on has failed."}
        return {"id": name, "status": _FAILED_DEPENDENCY, "headers": {}, "body": {"error": error}}
    if method not in _METHODS or "$batch" in url or "://" in url:
        error = {"code": "BadRequest", "message": "The request of the batch has no valid method or url."}
        return {"id": name, "status": _FIRST_ERROR, "headers": {}, "body": {"error": error}}
    headers = {"authorization": outer.headers.get("authorization", "")}
    headers |= {str(key).lower(): str(value) for key, value in dict(one.get("headers") or {}).items()}
    body = one.get("body")
    content = None if body is None else json.dumps(body).encode() if isinstance(body, dict) else str(body).encode()
    answer = await client.request(method, url.lstrip("/"), headers=headers, content=content)
    return {"id": name, "status": answer.status_code, "headers": _shown(answer), "body": _body(answer)}


def _shown(answer: httpx.Response) -> dict[str, str]:
    return {key.title(): answer.headers[key] for key in ("content-type", "retry-after") if key in answer.headers}


def _body(answer: httpx.Response) -> Any:
    if not answer.content:
        return None
    if answer.headers.get("content-type", "").startswith("application/json"):
        return answer.json()
    return base64.b64encode(answer.content).decode()
