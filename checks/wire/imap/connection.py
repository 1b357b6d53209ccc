"""A session and the thread that it lives in, as an event loop uses them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from checks.errors import MailboxUnreadable
from checks.wire.imap.doorbell import Doorbell
from checks.wire.imap.session import Opening, Server, Session

_Result = TypeVar("_Result")

_GRACE = 5.0
"""Seconds that `close` waits for the thread, which leaves whatever it does as soon as it is told to."""


class _NotOpen(Exception):
    """There is no session, or the server has ended it while it was idle."""


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Connection:
    """One connection to *server*, made when it is first needed and again after a failure.

    IMAPClient is not thread-safe, and it blocks; so the session belongs to one thread, which does what it is handed
    in order. *prepare* brings the `Opening` of a new session, in the event loop. All methods are for that loop.
    """

    def __init__(
        self, name: str, server: Server, prepare: Callable[[], Awaitable[Opening]], steady: Callable[[], float]
    ) -> None:
        self._name = name
        self._server = server
        self._prepare = prepare
        self._steady = steady
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._opening = asyncio.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._doorbell: Doorbell | None = None
        self._ended: Future[None] = Future()
        self._session: Session | None = None

    @property
    def busy(self) -> bool:
        """Tell whether anything waits for the thread; for what is running there to ask."""
        return not self._jobs.empty()

    def ring(self) -> None:
        """Have an operation that listens look at what has changed."""
        if self._doorbell is not None:
            self._doorbell.ring()

    async def run(self, operation: Callable[[Session], _Result]) -> _Result:
        """Run *operation* in the thread, in a session that works as far as is known.

        If the caller is cancelled meanwhile, it still runs to its end, and nobody learns the result.

        Raises:
            MailboxUnreadable: it failed, or no session could be opened; the next call opens another.
        """
        with contextlib.suppress(_NotOpen):
            return await self._submit(lambda: operation(self._living()))
        await self._open()
        with contextlib.suppress(_NotOpen):
            return await self._submit(lambda: operation(self._living()))
        raise MailboxUnreadable("closed", "the server closed the connection right after the login")

    async def close(self) -> None:
        """End the session and the thread, whatever they are at; they cannot be used again."""
        self._closed = True
        if self._thread is None or self._doorbell is None:
            return
        self._doorbell.shut_down()
        self._jobs.put(None)
        await asyncio.wait({asyncio.wrap_future(self._ended)}, timeout=_GRACE)
        self._thread.join(timeout=_GRACE if self._ended.done() else 0)

    # In the event loop

    async def _submit(self, work: Callable[[], _Result]) -> _Result:
        if self._closed:
            raise MailboxUnreadable("closed", "the reader is closed")
        job = _Job(work)
        self._jobs.put(job)
        if self._thread is None:
            self._doorbell = Doorbell()
            self._thread = threading.Thread(target=self._serve, args=(self._doorbell,), name=self._name, daemon=True)
            self._thread.start()
        self.ring()
        result: _Result = await asyncio.wrap_future(job.future)
        return result

    async def _open(self) -> None:
        async with self._opening:  # one at a time: a server counts connections
            if await self._submit(lambda: self._session is not None):
                return
            # Whoever takes it out owns it: the thread, or, if we are cancelled before that, this method.
            offer = [await self._prepare()]
            try:
                await self._submit(partial(self._establish, offer))
            finally:
                if (left := _taken(offer)) is not None:
                    left.sock.close()

    # In the thread

    def _serve(self, doorbell: Doorbell) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._execute(job)
        finally:
            self._drop()
            doorbell.close()
            self._ended.set_result(None)

    def _execute(self, job: _Job) -> None:
        if not job.future.set_running_or_notify_cancel():
            return
        try:
            result = job.work()
        except _NotOpen as notice:
            job.future.set_exception(notice)
        except Exception as error:  # noqa: BLE001 - it is raised again, where the result is awaited
            self._drop()
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    def _establish(self, offer: list[Opening]) -> None:
        if self._doorbell is not None and (opening := _taken(offer)) is not None:
            self._session = Session(self._server, opening, self._doorbell, self._steady)

    def _living(self) -> Session:
        if self._closed:
            raise MailboxUnreadable("closed", "the reader is being closed")
        if self._session is not None and self._session.hung_up():
            self._drop()
        if self._session is None:
            raise _NotOpen
        return self._session

    def _drop(self) -> None:
        if self._session is not None:
            # A LOGOUT would be no help to a connection that has failed; one that we end deserves it.
            self._session.close(politely=self._closed)
            self._session = None


def _taken(offer: list[Opening]) -> Opening | None:
    try:
        return offer.pop()
    except IndexError:
        return None
