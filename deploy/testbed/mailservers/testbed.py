"""One testbed: its directory, its servers, and what a test needs to know about them."""

import datetime as dt
import fcntl
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from mailservers import configuration, ground_truth, readiness, tokens
from mailservers.certificates import Certificates
from mailservers.endpoints import HOST, Ports, busy_port, free_base
from mailservers.errors import TestbedError
from mailservers.processes import Daemon


class Testbed:
    """Postfix and Dovecot on loopback, all below one directory. Use it as a context manager, or start and stop it.

    Mail and ports of a directory stay the same over a restart; certificates and tokens are new.

    Attributes:
        host: where everything listens.
        connector_host: the source address that the MX lets relay.
        password: of every mailbox.
        directory: absolute, without symbolic links; no file is written outside.
        certificates: the authority's certificate, the servers' and the clients'.
        postfix: the SMTP server. A test may stop and start it alone, as it may the next two.
        dovecot: the IMAP and LMTP server, which also checks passwords and tokens for Postfix.
        companion: the token service and the next hop. Stopping it forgets tokens and delayed mail.
    """

    __test__ = False  # pytest collects imported classes whose name starts with Test

    host = HOST
    connector_host = "127.0.0.2"
    password = configuration.PASSWORD

    def __init__(self, directory: Path, *, base_port: int | None = None) -> None:
        """Describe a testbed; nothing is started or written.

        Args:
            directory: made at start if it is not there.
            base_port: the first of a block of ports; by default a free block, the same one for a directory if possible.
        """
        self.directory = directory.resolve()
        self.certificates = Certificates(self.directory / "certificates")
        self._base_port = base_port
        self._lock_file = self.directory / "lock"
        self.postfix = self._daemon(
            "Postfix", [readiness.POSTFIX, "-c", self.directory / "postfix", "start"], "spool/pid/master.pid"
        )
        self.dovecot = self._daemon(
            "Dovecot", [readiness.DOVECOT, "-c", self.directory / "dovecot/dovecot.conf"], "dovecot/run/master.pid"
        )
        self.companion = self._daemon(
            "Companion", [sys.executable, "-m", "mailservers.companion", self.directory], "companion.pid"
        )

    @property
    def ports(self) -> Ports:
        """The ports of the last start.

        Raises:
            TestbedError: it was never started.
        """
        return Ports.load(self.directory)

    @property
    def password_file(self) -> Path:
        """A file with nothing but the password in it, for settings that take secrets by file."""
        return self.directory / "password"

    @property
    def mail_directory(self) -> Path:
        """The mailboxes, as `<domain>/<local part>/Maildir`."""
        return self.directory / "mail"

    def is_running(self) -> bool:
        """Whether all servers are alive."""
        return all(daemon.is_running() for daemon in self._daemons())

    def processes(self) -> list[int]:
        """Every process of this testbed, what a crash left behind included."""
        return [pid for daemon in self._daemons() for pid in daemon.processes()]

    def start(self) -> Self:
        """Start all servers and return once each has greeted; what an earlier crash left running is ended first.

        Raises:
            TestbedError: it runs already, root or a server is missing, a port is taken, or a server failed.
        """
        readiness.require_servers()
        readiness.require_root()
        configuration.prepare(self.directory)
        with self._lock():
            if self.is_running():
                raise TestbedError(f"a testbed is running in {self.directory}")
            self._stop_all()
            try:
                self._configure()
                for daemon in self._daemons():
                    daemon.start()
                self._await_greetings()
            except BaseException:
                self._stop_all()
                raise
        return self

    def stop(self) -> None:
        """Stop all servers and return once none of their processes is left; nothing happens when none runs.

        Raises:
            TestbedError: a process cannot be ended.
        """
        if self._lock_file.exists():
            with self._lock():
                self._stop_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def issue_token(self, address: str, *, lifetime: float = 3600.0) -> str:
        """A bearer token for XOAUTH2 and OAUTHBEARER, good for one mailbox and `lifetime` seconds."""
        answer = tokens.ask(self.ports.tokens, "/issue", username=address.lower(), lifetime=str(lifetime))
        return str(answer["access_token"])

    def expire_token(self, token: str) -> None:
        """Let a token end now."""
        tokens.ask(self.ports.tokens, "/expire", token=token)

    def revoke_token(self, token: str) -> None:
        """Forget a token, as if it had never been issued."""
        tokens.ask(self.ports.tokens, "/revoke", token=token)

    def maildir(self, address: str) -> Path:
        """The Maildir of a mailbox; it is made by the first delivery or login."""
        local_part, _, domain = address.lower().partition("@")
        return self.mail_directory / domain / local_part / "Maildir"

    def arrivals(self, address: str, folder: str = "INBOX") -> list[ground_truth.Arrival]:
        """Ground truth from disk: the messages in a folder of a mailbox, in the order of delivery."""
        return ground_truth.arrivals(self.maildir(address), folder)

    def wait_for_arrivals(
        self, address: str, folder: str = "INBOX", *, count: int = 1, timeout: float = 10.0
    ) -> list[ground_truth.Arrival]:
        """The same, once there are at least `count`.

        Raises:
            TestbedError: there were fewer after `timeout` seconds.
        """
        return ground_truth.wait_for_arrivals(self.maildir(address), folder, count=count, timeout=timeout)

    def wait_for_log(self, text: str, *, timeout: float = 10.0) -> str:
        """The first line of Postfix' log that holds `text`: the ground truth about mail that never arrives.

        Raises:
            TestbedError: there was none after `timeout` seconds.
        """
        return ground_truth.wait_for_log(self.postfix.log, text, timeout=timeout)

    def client_context(self, certificate: Path | None = None) -> ssl.SSLContext:
        """TLS for a client that trusts the testbed's authority, and presents a certificate if one is given."""
        context = ssl.create_default_context(cafile=self.certificates.ca)
        if certificate is not None:
            context.load_cert_chain(certificate)
        return context

    def _daemon(self, name: str, command: list[str | Path], pid_file: str) -> Daemon:
        directory = self.directory
        log = directory / f"logs/{name.lower()}.log"
        return Daemon(name, [str(word) for word in command], directory, directory / pid_file, log)

    def _daemons(self) -> tuple[Daemon, Daemon, Daemon]:
        # Postfix comes first: it makes the folder in which Dovecot opens its sockets for it.
        return self.postfix, self.dovecot, self.companion

    def _configure(self) -> None:
        base = self._base_port or free_base(self.directory)
        ports = Ports.block(base)
        if (taken := busy_port(ports)) is not None:
            raise TestbedError(f"port {taken} is in use: give another --base-port than {base}")
        ports.save(self.directory)
        self.certificates.create(dt.datetime.now(dt.UTC))
        configuration.write(self.directory, ports, self.certificates)

    def _stop_all(self) -> None:
        for daemon in self._daemons():
            daemon.stop()

    def _await_greetings(self) -> None:
        ports = self.ports
        context = self.client_context()
        for port in (ports.mx, ports.submission, ports.imap):
            readiness.await_greeting(port, None)
        for port in (ports.smtps, ports.imaps):
            readiness.await_greeting(port, context)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep others from starting or stopping the same testbed; they wait."""
        with self._lock_file.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
