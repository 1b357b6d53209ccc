"""A mailbox that is read over Microsoft Graph: Exchange Online, with an app's token and no IMAP."""

from __future__ import annotations

import asyncio
import difflib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from checks.core.model import MessageRef
from checks.ports import Endpoint, Look, Tools
from checks.settings import Address, Duration, Section, Text, wrong
from checks.wire.graph import GraphClient, graph_target
from checks.wire.graph.folders import folder_id, ids_of
from checks.wire.graph.reading import GraphReading
from checks.wire.graph.survey import survey
from checks.wire.survey import Survey

_JUNK, _SENT = "junkemail", "sentitems"
_WELL_KNOWN = (
    *("inbox", _JUNK, _SENT, "archive", "clutter", "conflicts", "deleteditems", "drafts", "localfailures"),
    *("msgfolderroot", "outbox", "recoverableitemsdeletions", "scheduled", "serverfailures", "syncissues"),
)
_ID = re.compile(r"[A-Za-z0-9_=+/-]{40,400}")


def _folder(value: str) -> str:
    if value.casefold() in _WELL_KNOWN:
        return value.casefold()
    if _ID.fullmatch(value) is None:
        bare = re.sub(r"[^a-z]", "", value.casefold())
        close = difflib.get_close_matches(bare, _WELL_KNOWN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise wrong(
            f"{value[:60]!r} is not a folder of Graph: use an id, or a well-known name like inbox, junkemail, sentitems"
            f"{hint}"
        )
    return value


class GraphSettings(Section):
    """Which mailbox, and what to watch in it."""

    credential: Text
    """The app, one of `credentials`, of kind `entra`; it also says where Graph is. Example: `app`"""
    address: Address
    """The address that canaries are sent to. Example: `canary@contoso.com`"""
    folders: Annotated[tuple[Annotated[Text, AfterValidator(_folder)], ...], Field(min_length=1, max_length=20)] = (
        "inbox",
        _JUNK,
    )
    """The folders to watch: by their well-known names, which are the same in every language, or by ids.

    Example: `[inbox, junkemail, sentitems]`
    """
    poll: Duration = 5.0
    """How often they are looked into: Graph gives no notice to who cannot be called back. Example: `10s`"""
    timeout: Duration = 30.0
    """How long one answer may take. Example: `20s`"""

    def is_junk(self, folder: str) -> bool:
        """Tell whether *folder* is the Junk folder by its well-known name."""
        return folder == _JUNK

    def is_sent(self, folder: str) -> bool:
        """Tell whether *folder* is the one with copies of sent mail, by its well-known name."""
        return folder == _SENT


class Graph:
    """Reads one mailbox by delta queries, one folder after the other.

    A message that somebody changes (read, flagged) may be shown again, under the same reference: Graph's list of
    changes has it again, and says itself that it may repeat what it told.
    """

    Settings = GraphSettings
    credential_kinds = ("entra",)

    def __init__(self, name: str, settings: GraphSettings, tools: Tools) -> None:
        target = graph_target(f"mailbox {name}", settings.credential, settings.address, tools)
        self._settings = settings
        self._client = GraphClient(target, settings.timeout)
        self._now = tools.clock.now
        self._reading = GraphReading(self._client, tools.clock.now)
        self._woken = asyncio.Event()
        self._ids: Mapping[str, str] = {}

    @property
    def folders(self) -> Sequence[str]:
        """List the watched folders."""
        return self._settings.folders

    @property
    def poll(self) -> float:
        """Tell how often to look, in seconds."""
        return self._settings.poll

    def is_junk(self, folder: str) -> bool:
        """Tell whether *folder* is the Junk folder, by its well-known name or by its id.

        Which id that is, is known from the first look on, or, where there was no such folder then, by the time that a
        look shows mail in it.
        """
        return self._settings.is_junk(folder) or self._ids.get(_JUNK) == folder_id(folder)

    def is_sent(self, folder: str) -> bool:
        """Tell whether *folder* is Sent Items, by its well-known name or by its id."""
        return self._settings.is_sent(folder) or self._ids.get(_SENT) == folder_id(folder)

    async def look(self, folder: str, cursor: str | None, *, since: datetime) -> Look:
        """Return one page of what is new in *folder* after *cursor*, a link of Graph's."""
        by = self._now()
        if not self._ids:
            await self._learn_ids()
        found = await self._reading.look(folder, cursor, since, by=by, sent=self.is_sent(folder))
        if found.messages and not self._is_clear(folder):
            await self._learn_ids()
        return found

    async def wait(self, at_most: float) -> bool:
        """Wait until a `wake`, or *at_most* seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most):
                await self._woken.wait()
        self._woken.clear()
        return False

    def wake(self) -> None:
        """End the `wait` that is under way, or else the next one, at once."""
        self._woken.set()

    async def headers(self, refs: Sequence[MessageRef]) -> Mapping[MessageRef, bytes]:
        """Fetch whole header blocks, or what stands in for them; those that are gone are left out."""
        return await self._reading.headers(refs)

    async def content(self, ref: MessageRef, limit: int) -> bytes | None:
        """Fetch the first *limit* bytes of a message; None if it is gone."""
        return await self._reading.content(ref, limit)

    async def delete(self, refs: Sequence[MessageRef]) -> Sequence[MessageRef]:
        """Delete exactly these messages for good; return those that are gone now."""
        return await self._reading.delete(refs)

    async def survey(self) -> Survey:
        """Ask for the watched folders. Nothing in the mailbox is changed."""
        await self._learn_ids()
        return await survey(self._client, self.folders, self._now)

    def endpoint(self) -> Endpoint:
        """Tell where it connects to."""
        return self._client.target.endpoint()

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _is_clear(self, folder: str) -> bool:
        """Tell whether it is known what *folder* is for without asking Graph."""
        return folder in _WELL_KNOWN or self.is_junk(folder) or self.is_sent(folder)

    async def _learn_ids(self) -> None:
        """Ask which folders Junk and Sent Items are, as far as it is not known, if one is watched by its id.

        A new mailbox has them later than its Inbox, so that there is none is never the last word.
        """
        unknown = [name for name in (_JUNK, _SENT) if not self._ids.get(name)]
        if unknown and any(folder not in _WELL_KNOWN for folder in self.folders):
            self._ids = {**self._ids, **await ids_of(self._client, unknown, self._now)}
