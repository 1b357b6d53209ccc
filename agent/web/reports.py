"""The issues of the report that were made: a list, and each in its forms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.report.archive import Archive
from agent.web.render import POLICY, page

_TYPES = {
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
# The page of a report carries its styles and pictures in itself, and nothing that runs.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Reports:
    """One method per address."""

    archive: Archive

    def routes(self) -> Sequence[Route]:
        """List the addresses."""
        return [Route("/reports/", self.listed), Route("/reports/{name}/{kind}", self.one)]

    async def listed(self, _request: Request) -> Response:
        """Answer with the list, newest first."""
        issues = await asyncio.to_thread(self.archive.issues)
        content = await asyncio.to_thread(page, "reports.html.j2", issues=issues)
        return HTMLResponse(content, headers={"Content-Security-Policy": POLICY})

    async def one(self, request: Request) -> Response:
        """Answer with one form of one report."""
        name, kind = request.path_params["name"], request.path_params["kind"]
        content = await asyncio.to_thread(self.archive.read, name, kind)
        if content is None:
            return PlainTextResponse("there is no such report: /reports/ lists those there are\n", 404)
        headers = {"Content-Type": _TYPES[kind], "Content-Security-Policy": _POLICY}
        if kind != "html":
            headers["Content-Disposition"] = f'attachment; filename="relaycanary-{name.replace(" ", "-")}.{kind}"'
        return Response(content, headers=headers)
