"""The testbed's own daemon: the token service and the next hop, in one process beside Postfix and Dovecot.

Run as `python -m mailservers.companion`; it returns once both listen, and goes on in the background.
"""

import argparse
import logging
import os
import sys
import threading
from pathlib import Path

from mailservers.endpoints import Ports
from mailservers.next_hop import NextHop
from mailservers.tokens import TokenService


def main() -> None:
    """Listen, leave the terminal, serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="of a testbed, with its ports in it")
    directory: Path = parser.parse_args().directory
    ports = Ports.load(directory)
    tokens = TokenService(ports.tokens)
    next_hop = NextHop(ports.next_hop, directory / "spool/private/dovecot-lmtp")
    _become_daemon(directory)
    threading.Thread(target=next_hop.serve_forever, daemon=True).start()
    tokens.serve_forever()


def _become_daemon(directory: Path) -> None:
    """Go on as the leader of a session of its own; the process that was called ends, as success."""
    child = os.fork()
    if child:
        (directory / "companion.pid").write_text(str(child), encoding="ascii")
        os._exit(0)
    os.setsid()
    os.chdir(directory)
    log = os.open(directory / "logs/companion.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(log, stream.fileno())
    os.close(log)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)


if __name__ == "__main__":
    main()
