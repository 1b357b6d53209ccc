"""The event loop of whatever reaches the network: names are looked up in threads of their own, whoever asks."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from checks.wire.lookups import LOOK_UPS

Result = TypeVar("Result")
_Host = bytes | str | None
_Port = bytes | str | int | None

if sys.platform == "win32":
    from asyncio import ProactorEventLoop as Asyncios  # only this one has subprocesses there
else:
    from asyncio import SelectorEventLoop as Asyncios


class Loop(Asyncios):
    """asyncio's, but for look-ups: libraries ask it for them, httpx above all, and one that hangs costs no other."""

    async def getaddrinfo(
        self,
        host: _Host,
        port: _Port,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look a name up, as `socket.getaddrinfo` does."""
        return await LOOK_UPS.ask(socket.getaddrinfo, host, port, family, type, proto, flags)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run *main* as `asyncio.run` does; a look-up that hangs does not hold up its end."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(main)
