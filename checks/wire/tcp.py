"""TCP connections: addresses tried as RFC 8305 (Happy Eyeballs) says, from a source address where one is set."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from checks.errors import LocalFault

ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried beside one that has not answered (RFC 8305 section 5)."""

OURS = frozenset(
    {
        errno.ENETUNREACH,  # no route
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,  # the source address is not one of this machine
        errno.EAFNOSUPPORT,  # no IPv6 in this kernel
        errno.EACCES,  # a local packet filter or sandbox
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)
"""Errors of connect() that are this machine's own doing."""

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Address:
    """One socket address of a host, as `socket.connect` wants it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    @property
    def ip(self) -> str:
        """The IP address in text."""
        return str(self.sockaddr[0])


class ConnectFailed(Exception):
    """None of the addresses took a connection; the text says what each answered."""


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Order *addresses* so that the families take turns, the resolver's first choice first (RFC 8305 section 4)."""
    families = dict.fromkeys(address.family for address in addresses)
    turns = [[address for address in addresses if address.family == family] for family in families]
    return [address for turn in itertools.zip_longest(*turns) for address in turn if address is not None]


async def connect(addresses: Sequence[Address], source: str | None) -> socket.socket:
    """Return a connected, non-blocking socket to the first of *addresses* that answers.

    Raises:
        ConnectFailed: the other side, or the network on the way, refused all of them.
        LocalFault: it never came to that: no route, or *source* is not an address of this machine.
    """
    usable = _matching(addresses, source)
    waiting = deque(interleave(usable))
    failures: list[tuple[Address, OSError]] = []
    running: dict[asyncio.Task[socket.socket], Address] = {}
    try:
        while waiting or running:
            if waiting:
                address = waiting.popleft()
                running[asyncio.create_task(_attempt(address, source))] = address
            delay = ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(running, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    del running[task]
                    return task.result()
                failures.append((running.pop(task), _as_os_error(error)))
    finally:
        await _give_up(running)
    raise _verdict(failures, source)


async def _attempt(address: Address, source: str | None) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        # One write per command is one packet at once: with Nagle's algorithm it would wait for the last one's ACK.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            connection.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(connection, address.sockaddr)
    except BaseException:
        connection.close()
        raise
    return connection


async def _give_up(running: dict[asyncio.Task[socket.socket], Address]) -> None:
    for task in running:
        task.cancel()
    for outcome in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(outcome, socket.socket):  # it had connected as well, only later
            outcome.close()


def _matching(addresses: Sequence[Address], source: str | None) -> Sequence[Address]:
    if source is None:
        return addresses
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    usable = [address for address in addresses if address.family == family]
    if not usable:
        shown = ", ".join(address.ip for address in addresses[:_SHOWN])
        raise LocalFault(
            f"source_address {source} is of another address family than all addresses of the host: {shown}"
        )
    return usable


def _as_os_error(error: BaseException) -> OSError:
    if isinstance(error, OSError):
        return error
    raise error


def _verdict(failures: Sequence[tuple[Address, OSError]], source: str | None) -> Exception:
    theirs = [(address, error) for address, error in failures if error.errno not in OURS]
    shown = "; ".join(f"{address.ip}: {_words(error)}" for address, error in (theirs or failures)[:_SHOWN])
    if theirs:
        return ConnectFailed(f"no TCP connection: {shown}")
    origin = f" from source_address {source}" if source else ""
    return LocalFault(f"this machine cannot connect{origin}: {shown}")


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
