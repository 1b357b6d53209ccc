"""Every way to send, through the whole agent and Postfix: what comes of it, and in whose words.

All canaries go out at once from one agent; the tests then read what came of each.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from interop.settings import Setup
from interop.truth import canaries_in, dialogue, transcript_of
from interop.ways import ADDRESS_OF, INSIDE, OUTSIDE, WAYS, Way
from mailservers.testbed import Testbed
from support.running import RunningAgent, running_agent

from checks.core.model import Outcome, Transcript
from checks.core.verdict import SEEN

pytestmark = pytest.mark.servers


@dataclass(frozen=True, slots=True)
class End:
    """What is on record of one canary."""

    row: Any
    transcript: Transcript

    @property
    def reasons(self) -> str:
        """All of them."""
        return str(self.row.reasons)


class Logins:
    """The credentials that rows name, and everything in them that nobody may ever read."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._tokens = {fault: self._token(fault) for fault in ("", "expired", "revoked", "foreign", "invented")}

    def name(self, setup: Setup, login: str) -> str:
        """Add the credential that *login* describes; return its name."""
        if login == "password":
            return setup.password(INSIDE)
        if login == "wrong password":
            return setup.password(INSIDE, "not-the-password")
        return setup.token(INSIDE, self._tokens[login.removesuffix("token").strip()])

    def secrets(self) -> list[str]:
        """List the secrets in each form in which they go over the wire."""
        plain = [self._testbed.password, "not-the-password", *self._tokens.values()]
        packed = [f"\0{INSIDE}\0{plain[0]}", *(f"user={INSIDE}\x01auth=Bearer {one}\x01\x01" for one in plain[2:])]
        return plain + [base64.b64encode(one.encode()).decode() for one in plain + packed]

    def _token(self, fault: str) -> str:
        if fault == "invented":
            return "invented-by-nobody-and-good-for-nothing"
        token = self._testbed.issue_token("somebody@corp.test" if fault == "foreign" else INSIDE)
        if fault == "expired":
            self._testbed.expire_token(token)
        if fault == "revoked":
            self._testbed.revoke_token(token)
        return token


def _add(setup: Setup, testbed: Testbed, name: str, way: Way, logins: Logins, closed_port: int) -> None:
    settings = dict(way.settings)
    if way.login:
        settings["credential"] = logins.name(setup, way.login)
    if way.client:
        settings["client_certificate"] = {"file": str(getattr(testbed.certificates, f"client_{way.client}"))}
    if "ca_file" in settings:
        settings["ca_file"] = str(getattr(testbed.certificates, settings["ca_file"]))
    port = getattr(testbed.ports, way.port) if way.port else closed_port
    check: dict[str, Any] = {"to": way.to} if way.to else {}
    if way.refused:
        check["expect"] = {"refused": way.refused}
    setup.check(name, setup.path(name, way.kind, port, **settings), way.mailbox, **check)


async def _send(agent: RunningAgent, name: str) -> End:
    canary = await agent.send(name)
    return End(await agent.concluded(canary, within=60), await transcript_of(agent, canary))


async def _send_all(settings: Path) -> dict[str, End]:
    async with running_agent(settings) as agent:
        return dict(zip(WAYS, await asyncio.gather(*(_send(agent, name) for name in WAYS)), strict=True))


@pytest.fixture(scope="module")
def logins(testbed: Testbed) -> Logins:
    return Logins(testbed)


@pytest.fixture(scope="module")
def ends(testbed: Testbed, logins: Logins, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, End]:
    """Send a canary each way; return what came of it."""
    setup = Setup(testbed, tmp_path_factory.mktemp("ways"))
    for mailbox, address in ADDRESS_OF.items():
        setup.mailbox(mailbox, address)
    with socket.socket() as closed:
        closed.bind((testbed.host, 0))
        for name, way in WAYS.items():
            _add(setup, testbed, name, way, logins, closed.getsockname()[1])
        return asyncio.run(_send_all(setup.write()))


@pytest.mark.parametrize("name", WAYS)
def test_each_way_ends_as_it_must(ends: Mapping[str, End], name: str) -> None:
    way, end = WAYS[name], ends[name]
    said = dialogue(end.transcript)
    assert (end.row.outcome, end.row.verdict) == way.wanted, (end.reasons, said)
    assert re.search(way.says, end.reasons), end.reasons
    assert [line for line in way.shows if line not in said] == [], said
    assert (end.row.end_to_end is not None) == (way.outcome in SEEN)
    assert (end.transcript.tls is not None) == ("-: TLSv1.3" in said)


def test_what_lies_in_the_mailboxes_is_what_the_ledger_says(testbed: Testbed, ends: Mapping[str, End]) -> None:
    """A green verdict has a message on disk, and a message on disk that was not wanted is no green verdict."""
    there = {OUTSIDE: set(canaries_in(testbed, OUTSIDE)), INSIDE: set(canaries_in(testbed, INSIDE))}
    taken = {Outcome.DELIVERED, Outcome.ACCEPTED}
    for name, end in ends.items():
        address = ADDRESS_OF[WAYS[name].mailbox]
        assert (end.row.id in there[address]) == (end.row.outcome in taken), name


def test_no_secret_is_in_any_dialogue_or_reason(ends: Mapping[str, End], logins: Logins) -> None:
    for name, end in ends.items():
        kept = dialogue(end.transcript) + end.reasons
        assert [secret for secret in logins.secrets() if secret in kept] == [], name
