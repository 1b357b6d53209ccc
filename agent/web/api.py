"""The API for programs, under ``/api/v1``: what the pages show as JSON, in pages of its own; and a canary on demand.

`openapi.json` beside this file describes it; a test holds answers and addresses against it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.ledger.pages import Questions
from agent.report.archive import Archive
from agent.status import AgentView
from agent.web import incidents, shapes, status_page
from agent.web.bearer import Bearer
from agent.web.evidence import evidence
from agent.web.lists import Lists, again_in, answer, tagged
from agent.web.on_demand import OnDemand


@dataclass(frozen=True, slots=True)
class Api:
    """One method per address."""

    view: Callable[[], AgentView]
    lists: Lists
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
            Route("/api/v1/canaries/{canary}", self.canary),
            Route("/api/v1/incidents", self.incidents),
            Route("/api/v1/mailboxes", self.mailboxes),
            Route("/api/v1/endings", self.endings),
            Route("/api/v1/reports", self.reports),
        ]

    async def described(self, request: Request) -> Response:
        """Answer with the description of the API."""
        content = await asyncio.to_thread((files("agent.web") / "openapi.json").read_bytes)
        return tagged(content, request)

    async def checks(self, request: Request) -> Response:
        """List the configured checks and how they stand."""
        view = self.view()

        def ask(questions: Questions) -> list[dict[str, Any]]:
            taken = questions.standings()
            quiet = questions.silences(view.now_wall)
            return [shapes.check(view, taken, quiet, one) for one in view.checks]

        return await self.lists.whole(request, ask)

    async def incidents(self, request: Request) -> Response:
        """List the incidents of the last days, newest first."""
        view = self.view()
        since = view.now_wall - incidents.SPAN

        def ask(questions: Questions) -> list[dict[str, Any]]:
            failures = questions.newest_failures(since, incidents.MOST)
            found = incidents.recent(failures, questions.failing_since(failures), view)
            return [shapes.incident(one) for one in reversed(found.incidents)]

        return await self.lists.whole(request, ask)

    async def reports(self, request: Request) -> Response:
        """List the issues of the report, newest first."""
        issues = await asyncio.to_thread(self.archive.issues)
        return await self.lists.whole(request, lambda _: [shapes.report(one) for one in issues])

    async def canaries(self, request: Request) -> Response:
        """List canaries, newest first; of one check, or of all."""
        check = request.query_params.get("check")

        def ask(questions: Questions, before: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
            found = questions.canaries(check, before=before, limit=limit + 1)
            more = found[limit - 1].seq if len(found) > limit else None
            return [shapes.canary(one) for one in found[:limit]], more

        return await self.lists.paged(request, ask)

    async def canary(self, request: Request) -> Response:
        """Answer with the evidence about one canary."""
        view, name = self.view(), request.path_params["canary"]
        return await self.lists.one(
            request,
            lambda questions: questions.case(name),
            lambda case: evidence(view, case),
            f"the ledger has no canary {name}",
        )

    async def mailboxes(self, request: Request) -> Response:
        """List the mailboxes that are watched, and how reading them goes."""
        view = self.view()

        def ask(questions: Questions) -> list[dict[str, Any]]:
            taken = questions.standings()
            return [shapes.mailbox(status_page.mailbox(one, view, taken)) for one in view.mailboxes]

        return await self.lists.whole(request, ask)

    async def endings(self, request: Request) -> Response:
        """List what is known to end, the first one first."""
        found = [shapes.ending(one) for one in status_page.endings(self.view())]
        return await self.lists.whole(request, lambda _: found)

    async def run_check(self, request: Request) -> Response:
        """Start a canary now, for whoever has the token."""
        refusal = await self.bearer.refusal(request, "running a check over HTTP")
        if refusal is not None:
            return refusal
        name = request.path_params["name"]
        if wait := self.on_demand.wait(name):
            return again_in(f"check {name} was run just now", wait)
        if self.on_demand.start(name) is None:
            return answer({"error": f"there is no check {name}"}, 404)
        return answer({"check": name, "started": True}, 202)
