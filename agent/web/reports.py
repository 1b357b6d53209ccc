"""The issues of the report that were made: a list, and each in its forms."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.report.archive import Archive, Issue

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
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reports - relaycanary</title>
</head>
<body>
<h1>Reports</h1>
{issues}
</body>
</html>
"""


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
        listed = f"<ul>\n{''.join(map(_line, issues))}</ul>" if issues else "<p>No report has been made yet.</p>"
        return HTMLResponse(_PAGE.format(issues=listed))

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


def _line(issue: Issue) -> str:
    name = html.escape(issue.name)
    links = " ".join(f'<a href="/reports/{quote(issue.name)}/{kind}">{kind}</a>' for kind in issue.kinds)
    sent = "not sent"
    if issue.sent_at is not None:
        sent = f"sent {datetime.fromtimestamp(issue.sent_at, UTC):%Y-%m-%d %H:%M} UTC"
    return f"<li>{name}: {links} ({sent})</li>\n"
