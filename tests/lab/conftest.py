"""One lab for the whole folder, healed after each test, and clients for it that others wrote."""

from __future__ import annotations

import contextlib
import logging
import smtplib
import ssl
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from imapclient import IMAPClient
from lab.microsoft import access_token, graph_client

from checks.lab import Lab
from checks.lab.settings import has_connector_address

CANARY = "canary@contoso.example"
NOREPLY = "noreply@contoso.example"
OUTSIDE = "canary@outside.example"
ADDRESS = {"inbox": CANARY, "noreply": NOREPLY, "outside": OUTSIDE}
CONNECTOR = {"source": "127.0.0.2"} if has_connector_address() else {"certificate": True}
PATIENCE = 10.0
LOOKS = 400


class Complaints(logging.Handler):
    """Collects what a lab logs as an error, such as the traceback of a session.

    A lab has a thread of its own: what agents, libraries and servers of other tests complain of is not its doing.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName == "lab":
            self.heard.append(self.format(record))


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """Whatever clients and faults do to the lab, it must not stumble."""
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    with Lab() as lab:
        yield lab
    logging.getLogger().removeHandler(complaints)
    assert complaints.heard == []


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    yield shared_lab
    shared_lab.heal()


@dataclass
class Outcome:
    """How far a client came: the stage that ended the dialogue, or "accepted", and what the server said there."""

    stage: str
    code: int = 0
    text: str = ""
    fault: Exception | None = None
    subject: str = ""
    extensions: dict[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.stage == "accepted"


@dataclass
class Sender:
    """smtplib against one path of a lab, with what that path needs in the lab's settings."""

    lab: Lab
    path: str
    sender: str
    recipient: str
    source: str = "127.0.0.1"
    login: Callable[[smtplib.SMTP], tuple[int, bytes]] | None = None
    certificate: bool = False
    timeout: float = PATIENCE

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.lab.info.ca_file))
        if self.certificate:
            context.load_cert_chain(self.lab.info.client_certificate)
        return context

    def connect(self) -> smtplib.SMTP:
        return smtplib.SMTP(
            "127.0.0.1", self.lab.port(self.path), "client.example", self.timeout, source_address=(self.source, 0)
        )

    def secured(self) -> smtplib.SMTP:
        """Connect, and go up to the point where a message can be handed over."""
        client = self.connect()
        client.starttls(context=self.context())
        client.ehlo()
        if self.login is not None:
            assert self.login(client)[0] == 235
        return client

    def send(self, subject: str | None = None, *, body: bytes = b"hello\r\n", author: str | None = None) -> Outcome:
        outcome = Outcome("greeting", subject=subject or f"s{uuid.uuid4().hex}")
        try:
            self._dialogue(outcome, author or self.sender, body)
        except (OSError, smtplib.SMTPException) as error:
            outcome.fault = error
            if isinstance(error, smtplib.SMTPResponseException):
                outcome.code, outcome.text = error.smtp_code, _text(error.smtp_error)
        return outcome

    def _dialogue(self, outcome: Outcome, author: str, body: bytes) -> None:
        with contextlib.closing(self.connect()) as client:
            steps: list[tuple[str, Callable[[], tuple[int, bytes]]]] = [
                ("ehlo", client.ehlo),
                ("starttls", lambda: client.starttls(context=self.context())),
                ("ehlo", client.ehlo),
                *([("auth", lambda: self.login(client))] if self.login else []),
                ("mail", lambda: client.mail(self.sender)),
                ("rcpt", lambda: client.rcpt(self.recipient)),
                ("data", lambda: client.docmd("DATA")),
                ("message", lambda: _end(client, self.message(outcome.subject, author, body))),
            ]
            for stage, step in steps:
                outcome.stage = stage
                code, text = step()
                if code >= 400:
                    outcome.code, outcome.text = code, _text(text)
                    return
                if stage == "message":
                    outcome.stage, outcome.code, outcome.text = "accepted", code, _text(text)
                outcome.extensions = client.esmtp_features

    @staticmethod
    def message(subject: str, author: str, body: bytes) -> bytes:
        lines = [
            f"From: {author}",
            f"Subject: {subject}",
            f"Message-ID: <{subject}@client.example>",
            f"X-Relaycanary: rc1.{'ab' * 8}.check.k1.{'A-_z9' * 8}AbC",
        ]
        return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def _end(client: smtplib.SMTP, message: bytes) -> tuple[int, bytes]:
    client.send(message + b".\r\n")
    return client.getreply()


def _text(said: bytes | str) -> str:
    return said.decode() if isinstance(said, bytes) else said


def xoauth2(user: str, token: str) -> Callable[..., str]:
    return lambda *_: f"user={user}\x01auth=Bearer {token}\x01\x01"


@pytest.fixture
def secret() -> Callable[[Lab, str], str]:
    """Read what the lab wrote, such as password-noreply."""
    return lambda lab, name: (lab.directory / name).read_text().strip()


@pytest.fixture(scope="session", autouse=True)
def no_other_authorities() -> Iterator[None]:
    """In requests, these win over the CA that msal and azure-identity are told to trust."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def token() -> Callable[..., str]:
    """Get an access token, for Exchange Online unless told, as programs of the tenant do."""
    return access_token


@pytest.fixture
def sender(lab: Lab, token: Callable[..., str]) -> Callable[..., Sender]:
    """A client of a path, as the settings of the lab have it; anything may be changed."""

    def make(path: str, of: Lab | None = None, **changes: Any) -> Sender:
        where = of or lab
        usual: dict[str, dict[str, Any]] = {
            "relay": {"sender": CANARY, "recipient": OUTSIDE, **CONNECTOR},
            "direct": {"sender": CANARY, "recipient": CANARY},
            "submission": {
                "sender": NOREPLY,
                "recipient": CANARY,
                "login": lambda client: client.auth("XOAUTH2", xoauth2(NOREPLY, token(where))),
            },
        }
        return Sender(where, path, **{**usual[path], **changes})

    return make


class Reader:
    """IMAPClient on one mailbox; waits by IDLE, never by sleeping."""

    def __init__(self, client: IMAPClient) -> None:
        self.client = client

    def uids(self, subject: str, folder: str = "INBOX") -> list[int]:
        self.client.select_folder(folder)
        return self.client.search(["SUBJECT", subject])

    def wait(self, subject: str, folder: str = "INBOX", count: int = 1) -> list[bytes]:
        """Wait until there are messages with this subject, and return them.

        Mail that arrives during the search is announced in the answer to it, and not again by IDLE: so look again.
        """
        self.client.select_folder(folder)
        for _ in range(LOOKS):
            if len(uids := self.client.search(["SUBJECT", subject])) >= count:
                break
            self.client.idle()
            self.client.idle_check(timeout=PATIENCE / LOOKS)
            self.client.idle_done()
        assert len(uids) >= count, f"nothing arrived in {folder}"
        found = self.client.fetch(uids, ["BODY.PEEK[]"])
        return [found[uid][b"BODY[]"] for uid in uids]


@pytest.fixture
def reader(lab: Lab, secret: Callable[[Lab, str], str]) -> Iterator[Callable[..., Reader]]:
    """A logged-in reader of a mailbox."""
    with contextlib.ExitStack() as stack:

        def open_(mailbox: str, of: Lab | None = None) -> Reader:
            where = of or lab
            context = ssl.create_default_context(cafile=str(where.info.ca_file))
            client = IMAPClient("127.0.0.1", where.port(mailbox), ssl_context=context, timeout=PATIENCE)
            stack.callback(client.shutdown)
            client.login(ADDRESS[mailbox], secret(where, f"password-{mailbox}"))
            return Reader(client)

        yield open_


@pytest.fixture
def graph(lab: Lab) -> Iterator[httpx.Client]:
    """A client of Graph with a good token, for what an official client does not ask."""
    with graph_client(lab) as client:
        yield client
