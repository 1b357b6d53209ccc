"""Libraries look names up by the loop: one that hangs costs no other, and does not hold up the end."""

from __future__ import annotations

import os
import subprocess
import sys

MORE_THAN_ASYNCIO_HAS_THREADS = min(32, (os.cpu_count() or 1) + 4) + 1
LIMIT = 30.0
"""Seconds after which a process that waits for what never comes has failed."""

WATCHDOGS_HANG = """
import asyncio, socket, sys, threading
import httpx
from agent import loop

WATCHDOGS = int(sys.argv[1])
resolve, asked, all_asked = socket.getaddrinfo, [], threading.Event()

def system(host, *arguments, **more):
    name = host.decode() if isinstance(host, bytes) else host
    if not name.endswith(".dead.example"):
        return resolve("127.0.0.1", *arguments, **more)
    asked.append(name)
    if len(asked) == WATCHDOGS:
        all_asked.set()
    threading.Event().wait()

socket.getaddrinfo = system

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        pings = [asyncio.ensure_future(client.get(f"http://hc{n}.dead.example/")) for n in range(WATCHDOGS)]
        while not all_asked.is_set():
            await asyncio.sleep(0.001)
        print((await client.get(f"http://graph.healthy.example:{port}/")).status_code)
        for ping in pings:
            ping.cancel()
        await asyncio.gather(*pings, return_exceptions=True)
    server.close()

loop.run(main())
print("ended")
"""


def test_watchdogs_whose_names_hang_do_not_make_graph_unreachable_nor_hold_up_the_end():
    command = [sys.executable, "-c", WATCHDOGS_HANG, str(MORE_THAN_ASYNCIO_HAS_THREADS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "202\nended\n", "")
