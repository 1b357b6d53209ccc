"""What the agent answers over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Scope

from agent.config.pieces import split_listen
from agent.ledger import Ledger, LedgerError
from agent.metrics import Exposition
from agent.report.archive import Archive
from agent.status import AgentView
from agent.web.api import Api
from agent.web.bearer import Bearer
from agent.web.guard import Hardened, HostCheck
from agent.web.limits import Limit
from agent.web.lists import Lists
from agent.web.login import Failures, LoginCheck, too_many
from agent.web.on_demand import OnDemand, Run
from agent.web.pages import Pages
from agent.web.passwords import Passwords
from agent.web.patience import in_time
from agent.web.probe import ProbePage
from agent.web.reports import Reports
from agent.web.silences import ADDRESS as SILENCES
from agent.web.silences import Silences

_HEALTHY = "/-/healthy"
_RELOAD = "/-/reload"
_PROBE = "/probe"
_CHANGES = re.compile(rf"{_RELOAD}|/api/v1/checks/[^/]+/run|{SILENCES}(/[^/]+)?")
_RELOADS_AT_ONCE, _BETWEEN_RELOADS = 5, 5.0


def create_app(  # noqa: PLR0913 - everything that the addresses need comes together here
    *,
    view: Callable[[], AgentView],
    ledger: Ledger,
    reload: Callable[[], Awaitable[str | None]],
    token: Callable[[], str] | None,
    users: Mapping[str, Callable[[], str]],
    listen: str,
    archive: Archive,
    run: Run = lambda _name: None,
    hosts: Sequence[str] = (),
) -> Starlette:
    """Make the application.

    Args:
        view: shows the agent as it is now.
        ledger: where the metrics come from.
        reload: reads the settings again and tells what is wrong with them, or None once they are in force.
        token: reads the token that changes of state demand, or raises LocalFault; without it there are none.
        users: reads the bcrypt hash of each user who may read; without any, everybody may who can connect.
        listen: the address and port that the server listens on, as in the settings.
        archive: where the reports are kept.
        run: starts a canary of the check of this name now.
        hosts: further names that requests may call the agent by.
    """
    failures = Failures(lambda: view().now_at)
    bearer = Bearer(token, failures)
    on_demand = OnDemand(run, lambda: view().now_at)
    lists = Lists(ledger)
    answers = _Answers(view, ledger, reload, bearer, Exposition(view, ledger.snapshot))
    middleware = [
        Middleware(Hardened),
        Middleware(HostCheck, listen=split_listen(listen)[0], hosts=hosts),
    ]
    if users:

        def exempt(scope: Scope) -> bool:
            """Ask no login where the token is demanded, in the same header field, nor for the health of the process."""
            path = scope["path"]
            reads = scope["method"] in {"GET", "HEAD"}
            by_token = (token is not None and path == _PROBE) if reads else _CHANGES.fullmatch(path) is not None
            return by_token or path == _HEALTHY

        passwords = Passwords(users)
        middleware.append(Middleware(LoginCheck, passwords=passwords, failures=failures, exempt=exempt))
    app = Starlette(
        routes=[
            Route("/metrics", answers.metrics),
            Route(_HEALTHY, answers.healthy),
            Route("/-/ready", answers.ready),
            Route(_RELOAD, answers.reloaded, methods=["POST"]),
            *Pages(view, ledger).routes(),
            *Reports(archive).routes(),
            *Api(view, lists, archive, bearer, on_demand).routes(),
            *Silences(view, ledger, lists, bearer).routes(),
            *ProbePage(bearer, on_demand).routes(),
        ],
        middleware=middleware,
    )
    app.router.redirect_slashes = False  # a redirect would repeat the host name that the request claims
    return app


@dataclass(frozen=True, slots=True)
class _Answers:
    """One method per address."""

    view: Callable[[], AgentView]
    ledger: Ledger
    reload: Callable[[], Awaitable[str | None]]
    bearer: Bearer
    exposition: Exposition
    reloads: Limit = field(default_factory=lambda: Limit(_RELOADS_AT_ONCE, _BETWEEN_RELOADS))

    async def metrics(self, request: Request) -> Response:
        if not self.view().applied:  # an empty answer would read as "no checks"
            return PlainTextResponse("not ready: the settings are not in force yet\n", 503)
        blocks, form = await self.exposition.scrape(
            request.headers.get("accept", ""), request.headers.get("accept-encoding", "")
        )
        headers = {
            "Content-Type": form.content_type,
            "Content-Length": str(sum(map(len, blocks))),
            "Vary": "Accept, Accept-Encoding",
        }
        if form.gzip:
            headers["Content-Encoding"] = "gzip"
        return StreamingResponse(_one_by_one(blocks), headers=headers)

    async def healthy(self, _request: Request) -> Response:
        return PlainTextResponse("healthy\n")

    async def ready(self, _request: Request) -> Response:
        if not self.view().applied:
            return PlainTextResponse("not ready: the settings are not in force yet\n", 503)
        try:
            await in_time(self.ledger.next_due())
        except LedgerError as error:
            return PlainTextResponse(f"not ready: {error}\n", 503)
        return PlainTextResponse("ready\n")

    async def reloaded(self, request: Request) -> Response:
        refusal = await self.bearer.refusal(request, "reloading over HTTP", ", or send SIGHUP")
        if refusal is not None:
            return refusal
        now_at = self.view().now_at
        if wait := self.reloads.wait("", now_at):
            return too_many("reloaded often enough for now", wait)
        self.reloads.spend("", now_at)
        problems = await self.reload()
        if problems is not None:
            return PlainTextResponse(f"{problems}\n", 400)
        return PlainTextResponse("reloaded\n")


async def _one_by_one(blocks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:  # the server pauses in between until the client has taken them
        yield block
