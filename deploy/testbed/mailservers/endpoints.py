"""The block of ports that a testbed listens on, and what is behind each."""

import contextlib
import itertools
import json
import socket
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from mailservers.errors import TestbedError

HOST = "127.0.0.1"
_STATE = "testbed.json"

# Below Linux' ephemeral range (32768 and up): no outgoing connection takes a port between the look and the start.
_FIRST_BASE, _LAST_BASE, _STRIDE = 20000, 31984, 16


@dataclass(frozen=True)
class Ports:
    """One port each, consecutive in this order; all are on 127.0.0.1."""

    mx: int
    mx_no_tls: int
    mx_expired: int
    mx_wrong_name: int
    mx_self_signed: int
    submission: int
    smtps: int
    imap: int
    imaps: int
    tokens: int
    next_hop: int
    submission_login: int
    mx_strict: int

    @classmethod
    def block(cls, base: int) -> Self:
        """The ports from `base` upward."""
        return cls(*range(base, base + len(fields(cls))))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The ports of the last start in a directory.

        Raises:
            TestbedError: there was none.
        """
        try:
            state = json.loads((directory / _STATE).read_text(encoding="ascii"))
        except FileNotFoundError:
            raise TestbedError(f"no testbed was started in {directory}") from None
        return cls.block(state["base_port"])

    def save(self, directory: Path) -> None:
        """Remember the ports in the directory, for every process that works with this testbed."""
        (directory / _STATE).write_text(json.dumps({"base_port": self.mx}), encoding="ascii")

    def by_name(self) -> dict[str, int]:
        """All of them, in order."""
        return asdict(self)


DESCRIPTIONS = {
    "mx": "SMTP, STARTTLS: direct send to corp.test; relay from 127.0.0.2 or with the listed client certificate",
    "mx_no_tls": "the same without STARTTLS",
    "mx_expired": "the same with an expired certificate",
    "mx_wrong_name": "the same with a certificate for another name",
    "mx_self_signed": "the same with a self-signed certificate",
    "submission": "SMTP, STARTTLS and AUTH required: PLAIN LOGIN XOAUTH2 OAUTHBEARER",
    "smtps": "SMTP over implicit TLS, AUTH required",
    "imap": "IMAP with STARTTLS",
    "imaps": "IMAP over implicit TLS",
    "tokens": "HTTP: issues, expires, revokes and introspects tokens",
    "next_hop": "the server behind Postfix that bounces, delays and duplicates",
    "submission_login": "SMTP, STARTTLS and AUTH required: LOGIN XOAUTH2, as Exchange Online offers",
    "mx_strict": "SMTP, STARTTLS: refuses early, and every message of more than 500 bytes",
}


def busy_port(ports: Ports) -> int | None:
    """The first port of the block that another process listens on, or None."""
    with contextlib.ExitStack() as stack:
        for port in ports.by_name().values():
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
                listener.listen()
            except OSError:
                return port
    return None


def free_base(directory: Path) -> int:
    """The first port of a free block: the same for a directory as long as nothing else takes it.

    Raises:
        TestbedError: every block is taken.
    """
    blocks = range(_FIRST_BASE, _LAST_BASE, _STRIDE)
    preferred = zlib.crc32(bytes(directory)) % len(blocks)
    for base in itertools.chain(blocks[preferred:], blocks[:preferred]):
        if busy_port(Ports.block(base)) is None:
            return base
    raise TestbedError(f"no free block of ports between {_FIRST_BASE} and {_LAST_BASE}: give --base-port")
