"""Look-ups by the system: a name that hangs costs nobody else anything, and is asked for once."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading

import pytest

from checks.core.model import Accepted
from checks.errors import LocalFault
from checks.wire import dns
from checks.wire.dns import Resolver, Unresolvable
from checks.wire.lookups import LookUps

pytestmark = pytest.mark.anyio

LIMIT = 30.0
"""Seconds after which a test that waits for what never comes has failed."""
MORE_THAN_ASYNCIO_HAS = min(32, (os.cpu_count() or 1) + 4) + 1
ENDS_THOUGH_A_NAME_HANGS = """
import asyncio, contextlib, socket, threading
from agent.clock import SystemClock
from checks.wire.dns import Resolver
from checks.wire.entra import EntraApp, Registration, SecretProof

asked = threading.Event()

def hang(*_, **__):
    asked.set()
    threading.Event().wait()

socket.getaddrinfo = hang

def addresses():
    return Resolver().addresses("mx.dead.example", 25)

def token():
    dead = {"authority": "https://login.dead.example", "graph_url": "https://graph.dead.example"}
    app = Registration(tenant="contoso.example", client_id="1", graph="https://graph.dead.example", outlook="x", **dead)
    return EntraApp("app", app, SecretProof(lambda: "secret", None), SystemClock()).login("graph")

async def main():
    waiting = asyncio.ensure_future(WHAT())
    while not asked.is_set():
        await asyncio.sleep(0.001)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting

asyncio.run(main())
print("ended")
"""


class System:
    """The system's resolver; it hangs at names below dead.example, until it is told to fail. `asked` are the hosts."""

    def __init__(self):
        self.asked = []
        self.real = socket.getaddrinfo
        self.fail = threading.Event()

    def __call__(self, host, *arguments):
        self.asked.append(host)
        if host.endswith(".dead.example"):
            self.fail.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return self.real("127.0.0.1", *arguments)

    async def hangs_at(self, *hosts):
        """Ask for *hosts*, and return once all of the look-ups are under way."""
        waiting = [asyncio.ensure_future(Resolver().addresses(host, 25)) for host in hosts]
        while not set(hosts) <= set(self.asked):
            await asyncio.sleep(0.001)
        return waiting


@pytest.fixture
async def system(monkeypatch):
    known = System()
    monkeypatch.setattr(socket, "getaddrinfo", known)
    yield known
    known.fail.set()


async def failed(waiting):
    return all(isinstance(one, Unresolvable) for one in await asyncio.gather(*waiting, return_exceptions=True))


async def test_names_that_hang_do_not_hold_up_another(system, serve, path_to, send):
    async with asyncio.timeout(LIMIT):
        dead = await system.hangs_at(*(f"mx{number}.dead.example" for number in range(MORE_THAN_ASYNCIO_HAS)))

        accepted = await send(path_to(host="mx.healthy.example", port=(await serve()).port))

        assert isinstance(accepted, Accepted)
        assert not any(one.done() for one in dead)
        system.fail.set()
        assert await failed(dead)


async def test_what_is_under_way_is_not_asked_again(system):
    async with asyncio.timeout(LIMIT):
        dead = await system.hangs_at("mx1.dead.example", "mx1.dead.example", "mx2.dead.example")
        assert system.asked == ["mx1.dead.example", "mx2.dead.example"]
        system.fail.set()
        assert await failed(dead)


async def test_who_gives_up_does_not_end_it_for_the_others(system):
    async with asyncio.timeout(LIMIT):
        impatient, patient = *await system.hangs_at("mx.dead.example"), *await system.hangs_at("mx.dead.example")
        impatient.cancel()
        await asyncio.wait([impatient])
        system.fail.set()
        assert await failed([patient])


async def test_a_failure_of_what_began_before_we_asked_is_not_ours():
    """What kept it from an answer may have ended before we came: an interface that was down, a suspended machine."""
    look_ups, begun, end = LookUps(), [], threading.Event()

    def question():
        begun.append(len(begun))
        if begun == [0]:
            end.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return "found"

    async with asyncio.timeout(LIMIT):
        first = asyncio.ensure_future(look_ups.ask(question))
        while not begun:
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(look_ups.ask(question))
        await asyncio.sleep(0)
        end.set()
        with pytest.raises(socket.gaierror):
            await first
        assert await second == "found"


async def test_where_too_many_hang_it_is_our_fault_and_nobody_waits(system, monkeypatch):
    monkeypatch.setattr(dns, "LOOK_UPS", LookUps(at_once=2))
    async with asyncio.timeout(LIMIT):
        dead = await system.hangs_at("mx1.dead.example", "mx2.dead.example")
        with pytest.raises(LocalFault, match=r"cannot look up mx\.healthy\.example: 2 look-ups are under way"):
            await Resolver().addresses("mx.healthy.example", 25)
        system.fail.set()
        assert await failed(dead)
        assert await Resolver().addresses("mx.healthy.example", 25)


@pytest.mark.parametrize("missing", ["thread", "file"])
async def test_what_this_machine_lacks_for_a_look_up_is_our_fault(missing, monkeypatch):
    def no_thread(_):
        raise RuntimeError("can't start new thread")

    def no_file(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    if missing == "thread":
        monkeypatch.setattr(threading.Thread, "start", no_thread)
    else:
        monkeypatch.setattr(socket, "getaddrinfo", no_file)
    with pytest.raises(LocalFault, match=r"cannot look up mx\.healthy\.example: (no more threads|Too many open files)"):
        await Resolver().addresses("mx.healthy.example", 25)


@pytest.mark.parametrize("what", ["addresses", "token"])
def test_a_name_that_hangs_does_not_keep_the_process_from_ending(what):
    command = [sys.executable, "-c", ENDS_THOUGH_A_NAME_HANGS.replace("WHAT", what)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "ended\n", "")
