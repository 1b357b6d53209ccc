"""The server behind Postfix, which mistreats mail by the name of its recipient; the rest of the path is real.

Postfix passes it one recipient a message (`smtp_destination_recipient_limit`). What it delivers, it hands to Dovecot by
LMTP.
"""

import logging
import re
import smtplib
import socketserver
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from mailservers.endpoints import HOST
from mailservers.undeliverable import undeliverable

_LOG = logging.getLogger(__name__)
_DEFAULT_DELAY_MS = 1000
_IDLE_SECONDS = 300.0


class NextHop(socketserver.ThreadingTCPServer):
    """The server; it listens as soon as it exists, and answers while `serve_forever` runs."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, lmtp_socket: Path) -> None:
        self._lmtp_socket = lmtp_socket
        super().__init__((HOST, port), _Session)

    def take(self, sender: str, recipient: str, message: bytes) -> None:
        """Do what the recipient's name asks for.

        Raises:
            OSError: Dovecot cannot be reached, or refuses (`smtplib.SMTPException`).
        """
        action, _, rest = recipient.partition("@")[0].partition("-")
        if action == "delay":
            number = re.match(r"\d+", rest)
            milliseconds = int(number[0]) if number else _DEFAULT_DELAY_MS
            timer = threading.Timer(milliseconds / 1000, self._deliver_late, (sender, recipient, message))
            timer.daemon = True
            timer.start()
        elif action == "duplicate":
            self._deliver(sender, recipient, message)
            self._deliver(sender, recipient, message)
        elif action == "ndr" and sender:  # nobody is told of an undelivered report: RFC 5321, section 6.1
            self._deliver("", sender, undeliverable(message, sender, recipient, datetime.now(UTC)))

    def _deliver_late(self, sender: str, recipient: str, message: bytes) -> None:
        try:
            self._deliver(sender, recipient, message)
        except OSError:
            _LOG.exception("a delayed message to %s is lost", recipient)

    def _deliver(self, sender: str, recipient: str, message: bytes) -> None:
        with smtplib.LMTP(str(self._lmtp_socket), local_hostname="next-hop.corp.test") as lmtp:
            lmtp.sendmail(sender, [recipient], message)


class _Session(socketserver.StreamRequestHandler):
    """One SMTP dialogue with Postfix: the commands that Postfix sends, and no others (RFC 5321)."""

    server: NextHop  # type: ignore[mutable-override] # socketserver's own idiom
    timeout: ClassVar[float | None] = _IDLE_SECONDS

    def handle(self) -> None:
        sender = recipient = ""
        self._reply("220 next-hop.corp.test ESMTP")
        for line in iter(self.rfile.readline, b""):
            verb, _, argument = line.decode("utf-8", errors="replace").strip().partition(" ")
            match verb.upper():
                case "EHLO" | "HELO" | "RSET" | "NOOP":
                    self._reply("250 OK")
                case "MAIL":
                    sender = _address(argument)
                    self._reply("250 2.1.0 Ok")
                case "RCPT":
                    recipient = _address(argument)
                    self._answer_recipient(recipient)
                case "DATA":
                    self._reply("354 End data with <CR><LF>.<CR><LF>")
                    self._take(sender, recipient, self._read_message())
                case "QUIT":
                    self._reply("221 2.0.0 Bye")
                    return
                case _:
                    self._reply("502 5.5.2 Command not recognized")

    def _answer_recipient(self, recipient: str) -> None:
        if recipient.startswith("bounce"):
            self._reply(f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown")
        else:
            self._reply("250 2.1.5 Ok")

    def _read_message(self) -> bytes:
        lines = []
        for line in iter(self.rfile.readline, b".\r\n"):
            if not line:
                raise ConnectionAbortedError("the connection ended inside a message")
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def _take(self, sender: str, recipient: str, message: bytes) -> None:
        try:
            self.server.take(sender, recipient, message)
        except OSError as error:
            _LOG.warning("cannot deliver to %s: %r", recipient, error)
            self._reply("451 4.3.0 Dovecot is not there, try again later")
        else:
            self._reply("250 2.0.0 Ok: taken")

    def _reply(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


def _address(argument: str) -> str:
    """The address in `FROM:<a@b>` or `TO:<a@b>`, in lower case; "" for the null sender."""
    return argument.partition("<")[2].partition(">")[0].lower()
