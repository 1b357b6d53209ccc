"""The pages for people: addresses, the files beside them, and what is answered where something is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.ledger import Ledger, LedgerError
from agent.ledger.pages import Questions
from agent.status import AgentView
from agent.web import status_page
from agent.web.render import POLICY, page

T = TypeVar("T")
_PATIENCE = 5.0  # seconds until a ledger that says nothing counts as one that does not answer
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FILES = ("page.css", "page.js", "icon.svg")


@dataclass(frozen=True, slots=True)
class Pages:
    """One method per address. Readers that come while a page is being written share it."""

    view: Callable[[], AgentView]
    ledger: Ledger
    underway: dict[str, asyncio.Task[str]] = field(default_factory=dict)

    def routes(self) -> Sequence[Route]:
        """List the addresses."""
        return [
            Route("/", self.status),
            Route("/static/{name}", self.static),
        ]

    async def status(self, _request: Request) -> Response:
        """Answer with how everything stands."""
        return _answer(await self._shared("status", self._status))

    async def static(self, request: Request) -> Response:
        """Answer with one of our own files."""
        name = request.path_params["name"]
        if name not in _FILES:
            return PlainTextResponse("there is no such file\n", 404)
        content = await asyncio.to_thread((files("agent.web") / "static" / name).read_bytes)
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": "no-cache"})

    async def _status(self) -> str:
        view = self.view()
        now = view.now_at + view.wall_offset
        problem = ""
        known = status_page.NOTHING
        try:
            known = await self._read(lambda questions: status_page.ask(questions, now))
        except LedgerError as error:
            problem = str(error)
        composed = await asyncio.to_thread(status_page.compose, view, known, problem)
        return await asyncio.to_thread(page, "status.html.j2", page=composed)

    async def _read(self, query: Callable[[Questions], T]) -> T:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self.ledger.ask(query)
        except TimeoutError:
            raise LedgerError("the ledger does not answer") from None

    async def _shared(self, name: str, write: Callable[[], Coroutine[Any, Any, str]]) -> str:
        task = self.underway.get(name)
        if task is None:
            task = asyncio.create_task(write(), name=f"page {name}")
            self.underway[name] = task
            task.add_done_callback(lambda _: self.underway.pop(name))
        return await asyncio.shield(task)  # a reader who leaves takes the page away from nobody else


def _answer(content: str, status: int = 200) -> Response:
    return HTMLResponse(content, status, {"Content-Security-Policy": POLICY})
