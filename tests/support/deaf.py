"""An address that neither answers nor refuses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def a_deaf_address() -> Iterator[tuple[str, int]]:
    """Listen on loopback with a queue of connections that is full, so that SYNs are dropped; yield host and port."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()
        for filler in fillers:
            filler.close()
