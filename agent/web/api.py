"""The API for programs, under ``/api/v1``: what the pages show as JSON, in pages of its own; and a canary on demand.

`openapi.json` beside this file describes it; a test holds answers and addresses against it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.ledger import Ledger, LedgerError
from agent.ledger.pages import Questions
from agent.report.archive import Archive
from agent.status import AgentView
from agent.web import incidents, shapes
from agent.web.bearer import Bearer
from agent.web.on_demand import OnDemand

_PATIENCE = 5.0  # seconds until a ledger that says nothing counts as one that does not answer
_MOST, _USUAL = 500, 100
_CURSOR = re.compile(r"-?[0-9]{1,18}")
_LIMIT = re.compile(r"[0-9]{1,4}")


class _WrongQuestion(Exception):
    """The query is not understood; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Api:
    """One method per address."""

    view: Callable[[], AgentView]
    ledger: Ledger
    archive: Archive
    bearer: Bearer
    on_demand: OnDemand

    def routes(self) -> Sequence[Route]:
        """List the addresses."""
        return [
            Route("/api/openapi.json", self.described),
            Route("/api/v1/checks", self.checks),
            Route("/api/v1/checks/{name}/run", self.run_check, methods=["POST"]),
            Route("/api/v1/canaries", self.canaries),
            Route("/api/v1/incidents", self.incidents),
            Route("/api/v1/reports", self.reports),
        ]

    async def described(self, request: Request) -> Response:
        """Answer with the description of the API."""
        content = await asyncio.to_thread((files("agent.web") / "openapi.json").read_bytes)
        return _tagged(content, request)

    async def checks(self, request: Request) -> Response:
        """List the configured checks and how they stand."""
        view = self.view()

        def ask(questions: Questions) -> list[dict[str, Any]]:
            taken = questions.standings()
            return [shapes.check(view, taken, one) for one in view.checks]

        return await self._listed(request, ask)

    async def incidents(self, request: Request) -> Response:
        """List the incidents of the last days, newest first."""
        view = self.view()
        since = view.now_at + view.wall_offset - incidents.SPAN

        def ask(questions: Questions) -> list[dict[str, Any]]:
            failures = questions.newest_failures(since, incidents.MOST)
            found = incidents.recent(failures, questions.failing_since(), view.alert_after)
            return [shapes.incident(one) for one in reversed(found.incidents)]

        return await self._listed(request, ask)

    async def reports(self, request: Request) -> Response:
        """List the issues of the report, newest first."""
        issues = await asyncio.to_thread(self.archive.issues)
        return await self._listed(request, lambda _: [shapes.report(one) for one in issues])

    async def canaries(self, request: Request) -> Response:
        """List canaries, newest first; of one check, or of all."""
        check = request.query_params.get("check")

        def ask(questions: Questions, before: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
            found = questions.canaries(check, before=before, limit=limit + 1)
            more = found[limit - 1].seq if len(found) > limit else None
            return [shapes.canary(one) for one in found[:limit]], more

        return await self._paged(request, ask)

    async def run_check(self, request: Request) -> Response:
        """Start a canary now, for whoever has the token."""
        refusal = await self.bearer.refusal(request, "running a check over HTTP")
        if refusal is not None:
            return refusal
        name = request.path_params["name"]
        if wait := self.on_demand.wait(name):
            seconds = int(wait) + 1
            return _answer(
                {"error": f"check {name} was run just now: try again in {seconds} s"},
                429,
                {"Retry-After": str(seconds)},
            )
        if self.on_demand.start(name) is None:
            return _answer({"error": f"there is no check {name}"}, 404)
        return _answer({"check": name, "started": True}, 202)

    async def _listed(self, request: Request, ask: Callable[[Questions], Sequence[dict[str, Any]]]) -> Response:
        """Answer with one page of a list that is short enough to be made whole."""

        def page(questions: Questions, after: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
            found, first = ask(questions), max(0, after or 0)
            last = first + limit
            return list(found[first:last]), last if last < len(found) else None

        return await self._paged(request, page)

    async def _paged(
        self,
        request: Request,
        ask: Callable[[Questions, int | None, int], tuple[list[dict[str, Any]], int | None]],
    ) -> Response:
        try:
            cursor, limit = _page_of(request.query_params)
            async with asyncio.timeout(_PATIENCE):
                items, more = await self.ledger.ask(lambda questions: ask(questions, cursor, limit))
        except _WrongQuestion as error:
            return _answer({"error": str(error)}, 400)
        except LedgerError as error:
            return _answer({"error": str(error)}, 503)
        except TimeoutError:
            return _answer({"error": "the ledger does not answer"}, 503)
        content = {"items": items, "next": None if more is None else str(more)}
        return _tagged(json.dumps(content).encode(), request)


def _page_of(query: Mapping[str, str]) -> tuple[int | None, int]:
    cursor, limit = query.get("cursor"), query.get("limit", str(_USUAL))
    if cursor is not None and _CURSOR.fullmatch(cursor) is None:
        raise _WrongQuestion("cursor: take it from `next` of the page before")
    if _LIMIT.fullmatch(limit) is None or not 1 <= int(limit) <= _MOST:
        raise _WrongQuestion(f"limit: a number from 1 to {_MOST} is wanted")
    return None if cursor is None else int(cursor), int(limit)


def _tagged(content: bytes, request: Request) -> Response:
    """Answer with *content*, or, to a client that has it already, with 304 (RFC 9110 15.4.5)."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _answer(content: Mapping[str, object], status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(content), status, headers, "application/json")
