"""How a running lab is told to break and heal: HTTP on loopback, with a token that only the lab's owner can read."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import http.client
import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from checks.lab.certificates import write_private
from checks.lab.errors import LabError
from checks.lab.faults import CATALOGUE, FaultBoard
from checks.lab.listener import HOST

CONTROL_FILE = "control.json"
_TIMEOUT = 10.0  # seconds
_REPLY_LIMIT = 1024 * 1024  # bytes
_BODY_LIMIT = 4096  # bytes


class Control:
    """A client of the lab whose state is in *directory*. It blocks: from a coroutine, call it in a thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def faults(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """List the catalogue: name, one line of description, and the targets that the fault applies to.

        This needs no running lab.
        """
        return [(fault.name, fault.summary, tuple(sorted(fault.targets))) for fault in CATALOGUE.values()]

    def break_(self, target: str, fault: str) -> None:
        """Switch a fault on. *fault* is a name, or ``name=SECONDS`` where the fault takes a value.

        Raises:
            LabError: not running, unknown target or fault, a fault that does not apply, or a bad value.
        """
        self._call("POST", "/break", {"target": target, "fault": fault})

    def heal(self, target: str | None = None, fault: str | None = None) -> None:
        """Switch off one fault, all faults of a target, or all.

        Raises:
            LabError: not running, unknown target or fault, or a port that cannot be opened again.
        """
        self._call("POST", "/heal", {"target": target, "fault": fault})

    def status(self) -> dict[str, Any]:
        """Return ``pid``, ``ports``, ``faults`` (by target), ``on_the_way`` and ``mails`` (by mailbox and folder).

        Raises:
            LabError: not running.
        """
        return self._call("GET", "/status")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        gone = LabError(f"the lab is not running in {self._directory}")
        try:
            known = json.loads((self._directory / CONTROL_FILE).read_bytes())
            port, token = int(known["port"]), str(known["token"])
        except (OSError, ValueError, KeyError, TypeError):
            raise gone from None
        connection = http.client.HTTPConnection(HOST, port, timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read(_REPLY_LIMIT))
        except (OSError, ValueError, http.client.HTTPException):
            # Nobody there, or somebody else who has taken the port since.
            raise gone from None
        finally:
            connection.close()
        if not isinstance(answer, dict) or response.status not in {200, 400}:
            raise gone
        if response.status != 200:  # noqa: PLR2004  OK
            raise LabError(str(answer.get("error", "the lab refused"))[:1000])
        return answer


class ControlServer:
    """The lab's side."""

    def __init__(
        self,
        directory: Path,
        faults: FaultBoard,
        *,
        apply: Callable[[], Awaitable[None]],
        status: Callable[[], dict[str, Any]],
    ) -> None:
        self._file = directory / CONTROL_FILE
        self._faults = faults
        self._apply = apply
        self._status = status
        self._token = secrets.token_urlsafe(32)
        routes = [
            Route("/status", self._get_status, methods=["GET"]),
            Route("/break", self._post_break, methods=["POST"]),
            Route("/heal", self._post_heal, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={LabError: _refuse})
        config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False)
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen on a free port, and write down which."""
        listening = socket.create_server((HOST, 0))
        port = listening.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve([listening]))
        write_private(self._file, json.dumps({"port": port, "token": self._token, "pid": os.getpid()}).encode())

    async def stop(self) -> None:
        """Close the port and remove the file."""
        self._file.unlink(missing_ok=True)
        if self._task is not None:
            self._server.should_exit = True
            await self._task

    async def _get_status(self, request: Request) -> Response:
        self._check(request)
        return JSONResponse({**self._status(), "pid": os.getpid(), "faults": self._faults.status()})

    async def _post_break(self, request: Request) -> Response:
        self._check(request)
        body = await _body(request)
        self._faults.break_(_text(body, "target"), _text(body, "fault"))
        await self._apply()
        return JSONResponse({})

    async def _post_heal(self, request: Request) -> Response:
        self._check(request)
        body = await _body(request)
        target, fault = (None if body.get(key) is None else _text(body, key) for key in ("target", "fault"))
        self._faults.heal(target, fault)
        await self._apply()
        return JSONResponse({})

    def _check(self, request: Request) -> None:
        given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise HTTPException(401)


class _Server(uvicorn.Server):
    """uvicorn, without its signal handlers: signals belong to the program that runs the lab."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _refuse(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _body(request: Request) -> dict[str, Any]:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _BODY_LIMIT:
            raise LabError("the request is too long")
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise LabError("the request is not a JSON object")
    return body


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise LabError(f"the request names no {key}")
    return value
