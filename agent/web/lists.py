"""What lists of the API have in common: pages by cursor, an ETag, and plain errors."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from agent.ledger import Ledger, LedgerError
from agent.ledger.pages import Questions
from agent.web.patience import in_time

T = TypeVar("T")
Item = Mapping[str, Any]
_MOST, _USUAL = 500, 100
_CURSOR = re.compile(r"-?[0-9]{1,18}")
_LIMIT = re.compile(r"[0-9]{1,4}")


class _WrongQuestion(Exception):
    """The query is not understood; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Answers with pages of what the ledger tells."""

    ledger: Ledger

    async def whole(self, request: Request, ask: Callable[[Questions], Sequence[Item]]) -> Response:
        """Answer with one page of a list that is short enough to be made whole."""

        def page(questions: Questions, after: int | None, limit: int) -> tuple[Sequence[Item], int | None]:
            found, first = ask(questions), max(0, after or 0)
            last = first + limit
            return found[first:last], last if last < len(found) else None

        return await self.paged(request, page)

    async def paged(
        self,
        request: Request,
        ask: Callable[[Questions, int | None, int], tuple[Sequence[Item], int | None]],
    ) -> Response:
        """Answer with the page that *ask* makes from a cursor and a limit, and with where the next one begins."""
        try:
            cursor, limit = _page_of(request.query_params)
            items, more = await in_time(self.ledger.ask(lambda questions: ask(questions, cursor, limit)))
        except _WrongQuestion as error:
            return answer({"error": str(error)}, 400)
        except LedgerError as error:
            return answer({"error": str(error)}, 503)
        content = {"items": list(items), "next": None if more is None else str(more)}
        return tagged(json.dumps(content).encode(), request)

    async def one(
        self, request: Request, ask: Callable[[Questions], T | None], shape: Callable[[T], Item], missing: str
    ) -> Response:
        """Answer with one thing, in its *shape*; 404 says that it is *missing*."""
        try:
            found = await in_time(self.ledger.ask(ask))
        except LedgerError as error:
            return answer({"error": str(error)}, 503)
        if found is None:
            return answer({"error": missing}, 404)
        return tagged(await asyncio.to_thread(lambda: json.dumps(shape(found)).encode()), request)


def tagged(content: bytes, request: Request) -> Response:
    """Answer with *content*, or, to a client that has it already, with 304 (RFC 9110 15.4.5)."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def answer(content: Item, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a JSON object."""
    return Response(json.dumps(content), status, headers, "application/json")


def again_in(error: str, wait: float) -> Response:
    """Answer 429 (RFC 6585 4): *wait* seconds are to pass."""
    seconds = int(wait) + 1
    return answer({"error": f"{error}: try again in {seconds} s"}, 429, {"Retry-After": str(seconds)})


def _page_of(query: Mapping[str, str]) -> tuple[int | None, int]:
    cursor, limit = query.get("cursor"), query.get("limit", str(_USUAL))
    if cursor is not None and _CURSOR.fullmatch(cursor) is None:
        raise _WrongQuestion("cursor: take it from `next` of the page before")
    if _LIMIT.fullmatch(limit) is None or not 1 <= int(limit) <= _MOST:
        raise _WrongQuestion(f"limit: a number from 1 to {_MOST} is wanted")
    return None if cursor is None else int(cursor), int(limit)
