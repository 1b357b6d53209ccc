"""The pages for people: addresses, the files beside them, and what is answered where something is missing."""

from __future__ import annotations

import asyncio
import re
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
from agent.web import canary_page, check_page, status_page
from agent.web.patience import in_time
from agent.web.render import POLICY, page
from agent.web.stages import GROUPS

T = TypeVar("T")
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_NUMBER = re.compile(r"-?[0-9]{1,18}")
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
            Route("/checks/{name}", self.check),
            Route("/canaries/{canary}", self.canary),
            Route("/static/{name}", self.static),
        ]

    async def status(self, _request: Request) -> Response:
        """Answer with how everything stands."""
        return _answer(await self._shared("status", self._status))

    async def check(self, request: Request) -> Response:
        """Answer with one check."""
        name, given = request.path_params["name"], request.query_params.get("before")
        before, chosen = _number(given), request.query_params.get("span", "")
        if chosen and chosen not in check_page.SPANS:
            return _missing("No such span", f"One of {', '.join(check_page.SPANS)} is wanted after span=.", 400)
        if given is not None and before is None:
            return _missing("No such page", "The number of a canary is wanted after before=.", 400)
        try:
            now = self._now()
            known = await self._read(lambda questions: check_page.ask(questions, name, before, now, chosen))
        except LedgerError as error:
            return _missing("The ledger cannot be read", str(error), 503)
        composed = await asyncio.to_thread(check_page.compose, self.view(), known, name, before, chosen)
        if composed is None:
            return _missing("No such check", f"Neither the settings nor the ledger have a check {name}.")
        more = {"expects": check_page.expectations(composed.check), "spans": check_page.SPANS, "groups": GROUPS}
        return _answer(await asyncio.to_thread(page, "check.html.j2", page=composed, **more))

    async def canary(self, request: Request) -> Response:
        """Answer with the evidence about one canary."""
        canary = request.path_params["canary"]
        try:
            case = await self._read(lambda questions: questions.case(canary))
        except LedgerError as error:
            return _missing("The ledger cannot be read", str(error), 503)
        if case is None:
            why = f"The ledger has no canary {canary}: it never had, or the canary is older than agent.ledger_keep."
            return _missing("No such canary", why)
        composed = await asyncio.to_thread(canary_page.compose, self.view(), case)
        return _answer(await asyncio.to_thread(page, "canary.html.j2", page=composed))

    async def static(self, request: Request) -> Response:
        """Answer with one of our own files."""
        name = request.path_params["name"]
        if name not in _FILES:
            return PlainTextResponse("there is no such file\n", 404)
        content = await asyncio.to_thread((files("agent.web") / "static" / name).read_bytes)
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers={"Cache-Control": "no-cache"})

    async def _status(self) -> str:
        view, now = self.view(), self._now()
        problem = ""
        known = status_page.NOTHING
        try:
            known = await self._read(lambda questions: status_page.ask(questions, now))
        except LedgerError as error:
            problem = str(error)
        composed = await asyncio.to_thread(status_page.compose, view, known, problem)
        return await asyncio.to_thread(page, "status.html.j2", page=composed)

    def _now(self) -> float:
        view = self.view()
        return view.now_wall

    async def _read(self, query: Callable[[Questions], T]) -> T:
        return await in_time(self.ledger.ask(query))

    async def _shared(self, name: str, write: Callable[[], Coroutine[Any, Any, str]]) -> str:
        task = self.underway.get(name)
        if task is None:
            task = asyncio.create_task(write(), name=f"page {name}")
            self.underway[name] = task
            task.add_done_callback(lambda _: self.underway.pop(name))
        return await asyncio.shield(task)  # a reader who leaves takes the page away from nobody else


def _answer(content: str, status: int = 200) -> Response:
    return HTMLResponse(content, status, {"Content-Security-Policy": POLICY})


def _missing(title: str, why: str, status: int = 404) -> Response:
    return _answer(page("missing.html.j2", title=title, why=why), status)


def _number(text: str | None) -> int | None:
    """Read the number of a canary; None if it is none, or larger than any database counts."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None
