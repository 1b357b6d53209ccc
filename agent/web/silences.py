"""``/api/v1/silences``: who is not to be woken, about what, why, and until when."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.alerts.silencing import Names, SilenceRefused, new_silence
from agent.ledger import Ledger, LedgerError, Silence, silences
from agent.ledger.pages import Questions
from agent.status import AgentView
from agent.web import shapes
from agent.web.bearer import Bearer
from agent.web.limits import Limit
from agent.web.lists import Lists, again_in, answer, tagged
from agent.web.patience import in_time
from checks.settings import parse_duration

ADDRESS = "/api/v1/silences"
_FIELDS = frozenset({"author", "reason", "starts", "ends", "duration", "check", "path", "site"})
_LARGEST = 16 * 1024
_AT_ONCE, _BETWEEN = 30, 10.0
_NOBODY = "somebody with the token"
_T = TypeVar("_T")


class _Unusable(Exception):
    """The request cannot be used; says why, and has the status to answer with."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Silences:
    """One method per address. Reading is as free as the pages; writing demands the token."""

    view: Callable[[], AgentView]
    ledger: Ledger
    lists: Lists
    bearer: Bearer
    limit: Limit = field(default_factory=lambda: Limit(_AT_ONCE, _BETWEEN))

    def routes(self) -> Sequence[Route]:
        """List the addresses."""
        return [
            Route(ADDRESS, self.listed, methods=["GET"]),
            Route(ADDRESS, self.create, methods=["POST"]),
            Route(f"{ADDRESS}/{{id}}", self.one, methods=["GET"]),
            Route(f"{ADDRESS}/{{id}}", self.end, methods=["DELETE"]),
        ]

    async def listed(self, request: Request) -> Response:
        """List the silences that are in force or to come, in the order of their beginning."""
        now = self._now()

        def ask(questions: Questions) -> list[dict[str, Any]]:
            return [shapes.silence(one, now) for one in questions.silences(now)]

        return await self.lists.whole(request, ask)

    async def one(self, request: Request) -> Response:
        """Answer with one silence, also of the past."""
        name = request.path_params["id"]
        try:
            found = await _answered(self.ledger.read(partial(silences.find, name=name)))
        except _Unusable as error:
            return answer({"error": str(error)}, error.status)
        if found is None:
            return answer({"error": f"there is no silence {name}"}, 404)
        return tagged(json.dumps(shapes.silence(found, self._now())).encode(), request)

    async def create(self, request: Request) -> Response:
        """Write a silence down, for whoever has the token."""
        refusal = await self.bearer.refusal(request, "silencing over HTTP")
        if refusal is not None:
            return refusal
        view = self.view()
        now = view.now_wall
        if wait := self.limit.wait("", view.now_at):
            return again_in("so many silences were made just now", wait)
        names = Names(
            site=view.site, checks=[one.check.name for one in view.checks], paths=[one.name for one in view.paths]
        )
        try:
            silence = _silence(await _content(request), now, names)
            self.limit.spend("", view.now_at)
            await _answered(self.ledger.silence(silence))
        except _Unusable as error:
            return answer({"error": str(error)}, error.status)
        return answer(shapes.silence(silence, now), 201, {"Location": f"{ADDRESS}/{silence.id}"})

    async def end(self, request: Request) -> Response:
        """End a silence now, or take back one that has not begun, for whoever has the token."""
        refusal = await self.bearer.refusal(request, "ending a silence over HTTP")
        if refusal is not None:
            return refusal
        name, now = request.path_params["id"], self._now()
        author = request.query_params.get("author", "").strip()[:100] or _NOBODY
        try:
            ended = await _answered(self.ledger.end_silence(name, author=author, at=now))
        except _Unusable as error:
            return answer({"error": str(error)}, error.status)
        if ended is None:
            return answer({"error": f"no silence {name} is in force or to come"}, 404)
        return answer(shapes.silence(ended, now), 200)

    def _now(self) -> float:
        view = self.view()
        return view.now_wall


async def _answered(work: Awaitable[_T]) -> _T:
    try:
        return await in_time(work)
    except LedgerError as error:
        raise _Unusable(str(error), 503) from None


async def _content(request: Request) -> Mapping[str, str]:
    """Read the body: a JSON object of texts. A form, which any page can send, is none."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Unusable("send JSON, with Content-Type: application/json", 415)
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise _Unusable(f"the body is larger than {_LARGEST // 1024} kB", 413)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise _Unusable("the body is not JSON") from None
    if not isinstance(content, dict):
        raise _Unusable("the body is not a JSON object")
    given = {name: value for name, value in content.items() if value is not None}
    if unknown := sorted(given.keys() - _FIELDS):
        raise _Unusable(f"{unknown[0][:60]}: is not known; allowed are {', '.join(sorted(_FIELDS))}")
    if wrong := next((name for name, value in given.items() if not isinstance(value, str)), None):
        raise _Unusable(f"{wrong}: is not text")
    return given


def _silence(content: Mapping[str, str], now: float, names: Names) -> Silence:
    starts = _moment("starts", content["starts"]) if "starts" in content else None
    if ("ends" in content) == ("duration" in content):
        raise _Unusable("say until when by exactly one of ends (like 2026-11-30T06:00:00Z) and duration (like 2h)")
    try:
        ends = (
            _moment("ends", content["ends"])
            if "ends" in content
            else (now if starts is None else starts) + parse_duration(content["duration"])
        )
        about = {name: content.get(name) for name in ("check", "path", "site")}
        return new_silence(
            author=content.get("author", ""),
            reason=content.get("reason", ""),
            starts=starts,
            ends=ends,
            now=now,
            names=names,
            **about,
        )
    except PydanticCustomError as error:
        raise _Unusable(f"duration: {error.message()}") from None
    except SilenceRefused as error:
        raise _Unusable(str(error)) from None


def _moment(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise _Unusable(f"{name}: {text[:60]!r} is no moment with an offset, like 2026-11-30T06:00:00Z")
