"""Questions to the system's resolver, which blocks as long as it likes: each in a thread of its own.

asyncio would ask in the few threads that it has for everything (processors + 4). A zone whose name servers are silent
soon holds them all, far longer than any stage waits; healthy names then wait in line, and the wait looks like theirs.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

from checks.wire.threads import begin, outcome

AT_ONCE = 128
"""Questions under way at most, each a different one. Well below the threads that a service may have (TasksMax)."""

Answer = TypeVar("Answer")


class LookUps:
    """Asks; whoever asks what is under way already waits for the same answer. Loops of several threads may share it.

    Nobody waits for a thread: there is one, or the question fails at once.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Future[Any]] = {}

    async def ask(self, question: Callable[..., Answer], *arguments: Hashable) -> Answer:
        """Return what *question* returns. Whoever stops waiting does not stop it.

        Raises:
            OSError: besides its own errors, ENOBUFS where too many are under way, or there is no thread for it.
        """
        answer, joined = self._asked(question, arguments)
        try:
            return await outcome(answer)
        except socket.gaierror:
            if not joined:
                raise
        # It had begun before: what kept it from an answer, a network that was gone, may have ended since.
        answer, _ = self._asked(question, arguments)
        return await outcome(answer)

    def _asked(self, question: Callable[..., Answer], arguments: tuple[Hashable, ...]) -> tuple[Future[Answer], bool]:
        """Return the answer to come, and whether others had asked for it before."""
        key = (question, arguments)
        with self._lock:
            if (known := self._under_way.get(key)) is not None:
                return known, True
            if len(self._under_way) >= self._at_once:
                raise OSError(errno.ENOBUFS, f"{self._at_once} look-ups are under way, and none has an answer yet")
            try:
                answer = begin(self._answered, key, question, arguments)
            except RuntimeError as error:
                raise OSError(errno.ENOBUFS, "no more threads can be started for a look-up") from error
            self._under_way[key] = answer
        return answer, False

    def _answered(self, key: Hashable, question: Callable[..., Answer], arguments: tuple[Hashable, ...]) -> Answer:
        try:
            return question(*arguments)
        finally:
            with self._lock:
                del self._under_way[key]


LOOK_UPS = LookUps()
"""Those of this process."""
