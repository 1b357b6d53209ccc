"""A way to wake a thread that waits for a socket."""

from __future__ import annotations

import contextlib
import socket
import threading


class Doorbell:
    """Wakes the one thread that polls its file descriptor; any thread may ring.

    It carries no message: whoever is woken looks at the state that was changed before the ring. Rings add up to
    one, and a ring before the poll ends that poll at once, so that none is lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener, self._button = socket.socketpair()
        self._listener.setblocking(False)
        self._button.setblocking(False)
        self._open = True
        self.shut = False

    def fileno(self) -> int:
        """Tell what to poll for reading."""
        return self._listener.fileno()

    def ring(self) -> None:
        """Wake the thread."""
        with self._lock, contextlib.suppress(BlockingIOError):  # a full buffer is a bell that rings already
            if self._open:
                self._button.send(b"\0")

    def shut_down(self) -> None:
        """Ring for the last time: from now on `shut` tells the thread to stop whatever it does."""
        self.shut = True
        self.ring()

    def silence(self) -> None:
        """Take back all rings; only for the thread that is woken, and before it looks at what has changed."""
        with contextlib.suppress(BlockingIOError):
            while self._listener.recv(4096):
                pass

    def close(self) -> None:
        """Let go of both sockets; later rings go nowhere."""
        with self._lock:
            self._open = False
            self._listener.close()
            self._button.close()
