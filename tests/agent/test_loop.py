"""What reaches the network costs nobody else anything while a name hangs, and does not hold up the end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MORE_THAN_ASYNCIO_HAS_THREADS = min(32, (os.cpu_count() or 1) + 4) + 1
LIMIT = 60.0
"""Seconds after which a process that waits for what never comes has failed."""

NAMES_HANG = """
import asyncio, socket, sys, threading
import httpx
from agent import loop

HOW_MANY = int(sys.argv[1])
resolve, asked, all_asked = socket.getaddrinfo, set(), threading.Event()

def system(host, *arguments, **more):
    name = host.decode() if isinstance(host, bytes) else host
    if not name.endswith(".dead.example"):
        return resolve("127.0.0.1", *arguments, **more)
    asked.add(name)
    if len(asked) == HOW_MANY:
        all_asked.set()
    threading.Event().wait()

socket.getaddrinfo = system

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    await writer.drain()
    writer.close()

async def ping(number):
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        await client.get(f"http://hc{number}.dead.example/")

async def metrics(number):
    from agent.clock import SystemClock
    from agent.metrics import otlp
    async def picture():
        return None, 0.0
    point = otlp.NumberDataPoint({}, 0, 0, 1.0)
    scope = otlp.ScopeMetrics(otlp.InstrumentationScope("x"), [otlp.Metric("up", "", "", otlp.Gauge([point]))], "")
    data = otlp.MetricsData([otlp.ResourceMetrics(otlp.Resource({}), [scope], "")])
    otlp.metrics_data = lambda *_: data
    where = f"http://otlp{number}.dead.example/v1/metrics"
    await otlp.Exporter(
        endpoint=where, headers=dict, ca_file=None, every=1.0, picture=picture, clock=SystemClock()
    ).run()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    waiting = [asyncio.ensure_future(WHAT(number)) for number in range(HOW_MANY)]
    while not all_asked.is_set():
        await asyncio.sleep(0.001)
    async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
        print((await client.get(f"http://graph.healthy.example:{port}/")).status_code)
    print(await asyncio.to_thread(str, "as /metrics does"))
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    server.close()

loop.run(main())
print("ended")
"""


@pytest.mark.parametrize(
    ("what", "how_many"),
    [("ping", MORE_THAN_ASYNCIO_HAS_THREADS), ("metrics", 1)],
)
def test_names_that_hang_make_graph_no_slower_and_do_not_hold_up_the_end(what, how_many):
    command = [sys.executable, "-c", NAMES_HANG.replace("WHAT", what), str(how_many)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "202\nas /metrics does\nended\n", "")
