"""Whether this machine can run a testbed, and whether a server answers."""

import os
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from mailservers.endpoints import HOST
from mailservers.errors import TestbedError

POSTFIX, DOVECOT = Path("/usr/sbin/postfix"), Path("/usr/sbin/dovecot")
_PARTS = (POSTFIX, DOVECOT, Path("/usr/lib/dovecot/imap"), Path("/usr/lib/dovecot/lmtp"))
_INSTALL = Path(__file__).parents[1] / "install"
_GREETING_SECONDS = 5.0


def require_servers(parts: Sequence[Path] = _PARTS) -> None:
    """Check that Postfix and Dovecot are installed: the programs that `parts` names.

    Raises:
        TestbedError: they are not; it says how to install them.
    """
    missing = [str(part) for part in parts if not part.exists()]
    if missing:
        raise TestbedError(f"Postfix and Dovecot are needed: run {_INSTALL} as root (missing: {', '.join(missing)})")


def require_root() -> None:
    """Check that this process may start, see and stop the servers.

    Raises:
        TestbedError: it may not.
    """
    if os.geteuid() != 0:
        raise TestbedError("the testbed must be run as root, because Postfix insists on it")


def await_greeting(port: int, context: ssl.SSLContext | None) -> None:
    """Return once a server greets as SMTP and IMAP servers do; with a context, over implicit TLS that it verifies.

    Raises:
        TestbedError: it does not within 5 seconds.
    """
    deadline = time.monotonic() + _GREETING_SECONDS
    while True:
        try:
            greeting = _greeting(port, context)
        except OSError as error:
            greeting = repr(error).encode()
        if greeting.startswith((b"220 ", b"* OK ")):
            return
        if time.monotonic() > deadline:
            raise TestbedError(f"port {port} gives no greeting after {_GREETING_SECONDS:.0f} s, but {greeting!r}")
        time.sleep(0.01)


def _greeting(port: int, context: ssl.SSLContext | None) -> bytes:
    with socket.create_connection((HOST, port), timeout=_GREETING_SECONDS) as connection:
        if context is None:
            return connection.recv(512)
        with context.wrap_socket(connection, server_hostname=HOST) as encrypted:
            return encrypted.recv(512)
