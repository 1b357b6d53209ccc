"""Calls that block as long as the network likes, each in a thread of its own, which does not hold up anybody's end.

The threads are daemons: asyncio and Python wait at their end for those of their own executors, however long.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from checks.errors import LocalFault

Result = TypeVar("Result")


async def in_own_thread(call: Callable[..., Result], *arguments: object) -> Result:
    """Return what *call* returns, or raise what it raises. Whoever stops waiting does not stop it.

    Raises:
        LocalFault: the system, or the service manager, allows no more threads.
    """
    try:
        future = begin(call, *arguments)
    except RuntimeError as error:
        raise LocalFault("this machine can start no more threads") from error
    return await outcome(future)


def begin(call: Callable[..., Result], *arguments: object) -> Future[Result]:
    """Begin *call* in a thread; several may wait for its `outcome`.

    Raises:
        RuntimeError: the system, or the service manager, allows no more threads.
    """
    future: Future[Result] = Future()
    threading.Thread(target=_work, args=(future, call, arguments), daemon=True).start()
    return future


async def outcome(future: Future[Result]) -> Result:
    """Return or raise what became of a call."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def tell(_: Future[Result]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(told.set)

    future.add_done_callback(tell)
    await told.wait()
    return future.result()


def _work(future: Future[Result], call: Callable[..., Result], arguments: tuple[object, ...]) -> None:
    try:
        result = call(*arguments)
    except BaseException as error:  # noqa: BLE001 - whatever it is, those who wait are told
        future.set_exception(error)
    else:
        future.set_result(result)
