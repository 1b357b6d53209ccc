"""The rig of the fault matrix: the whole agent, the lab, and between them proxies and a name server that fail as told.

    check           path                                    mailbox
    patient         submission, through the SMTP proxy      inbox, through the IMAP proxy
    impatient       the same, gives up after 1.5 s          the same
    timely          the same, late after 0.6 s              the same
    brisk           the same, gives up after 4 s            the same
    by-name         direct send, host found by MX           the same
    witness         relay, straight to the lab              outside, straight to the lab

`noreply`, where bounces land, is read straight from the lab too. The witness shares nothing with the others but the
agent: whatever goes wrong, it has to be delivered, and its figures must not move by anybody else's doing.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import trustme
import yaml
from faults.imap_proxy import ImapProxy
from faults.name_server import NameServer, Records, name_server
from faults.smtp_proxy import SmtpProxy
from imapclient import IMAPClient
from support.running import RunningAgent, running_agent

from agent.metrics import Collector, Picture
from checks.core.model import Canary, Verdict
from checks.lab import Lab
from checks.lab.headers import FRONT_DOOR

DOMAIN = "contoso.example"
GOOD_RECORDS: Records = {
    (DOMAIN, "MX"): [f"10 {FRONT_DOOR}."],
    (FRONT_DOOR.lower(), "A"): ["127.0.0.1"],
}
BRIEF = "2s"  # the limit of each stage where something hangs, and is waited for in vain
AMPLE = "30s"  # and where nothing does: what works takes its time on a busy machine
_LIMITS = {
    "patient": {"every": "60s", "late_after": "60s", "lost_after": "120s"},
    "impatient": {"every": "1s", "late_after": "700ms", "lost_after": "1500ms", "observe_within": "2s"},
    "brisk": {"every": "60s", "late_after": "3s", "lost_after": "4s"},
    "timely": {"every": "1s", "late_after": "600ms", "lost_after": "60s"},
    "by-name": {"every": "60s", "late_after": "60s", "lost_after": "120s"},
    "witness": {"every": "60s", "late_after": "60s", "lost_after": "120s"},
}
_PATHS = {"by-name": "by-name", "witness": "relay"}
# How long something took, and what the lab's filters thought of it, differ from run to run.
_NOT_COUNTED = {"stage_seconds_sum", "stage_seconds_count", "authentication", "canaries_attributed"}
_MOST = 60.0  # seconds to wait for anything that has to come

Books = Counter[str]


class Rig:
    """Everything that a row of the matrix may break. `agent` is running.

    `hits` is how often what is broken was met: by the word of the proxies, the name server, or whoever breaks it.
    """

    def __init__(self, lab: Lab, authority: trustme.CA, smtp: SmtpProxy, imap: ImapProxy, names: NameServer) -> None:
        self.lab = lab
        self.authority = authority
        self.smtp = smtp
        self.imap = imap
        self.names = names
        self.agent: RunningAgent = None  # type: ignore[assignment]
        self.hits = 0
        self._hit = asyncio.Event()
        for one in (smtp, imap, names):
            one.reached = self.hit

    def hit(self) -> None:
        """Count that the agent has met what is broken."""
        self.hits += 1
        self._hit.set()

    async def until_hit(self) -> None:
        """Wait until the agent has met what is broken."""
        async with asyncio.timeout(_MOST):
            await self._hit.wait()

    async def heal(self) -> None:
        """Make all good again."""
        self.smtp.fault, self.smtp.change, self.smtp.context = None, bytes, server_context(self.authority)
        await self.smtp.plug_in()
        self.names.records, self.names.rcode, self.names.silent = GOOD_RECORDS, None, False
        await self.imap.heal()
        await asyncio.to_thread(self.lab.heal)

    async def books(self) -> Books:
        """Read every total of the ledger: "owner metric label=value ..." and how much."""
        picture = await self.agent.ledger.snapshot()
        found = Books()
        for one in picture.totals:
            if one.metric not in _NOT_COUNTED:
                labels = (f"{name}={value}" for name, value in sorted(one.labels.items()) if name != "method")
                found[" ".join((one.owner, one.metric, *labels))] = int(one.value)
        for histogram in picture.histograms:
            if histogram.family == "end_to_end":
                found[f"{histogram.owner} latencies"] += sum(histogram.counts)
        return found

    async def moved(self, before: Books, expected: Books) -> Books:
        """Wait until the books have moved by *expected* since *before*; return by how much they really did."""
        moved = Books()
        try:
            async with asyncio.timeout(_MOST):
                while (moved := _difference(before, await self.books())) != expected:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass  # the caller shows the difference
        return moved

    async def current(self, check: str, *, later: float = 0.0) -> Verdict:
        """Tell the current verdict of *check* as the metrics show it, or would in *later* seconds with nothing new."""
        picture = await self._picture(later)
        (known,) = [one for one in picture.checks if one.name == check]
        return picture.verdict(known)

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of one metric, written without its prefix, that carry *labels*."""
        families = Collector(await self._picture()).collect()
        samples = (sample for family in families for sample in family.samples if sample.name == f"relaycanary_{name}")
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    async def _picture(self, later: float = 0.0) -> Picture:
        snapshot = await self.agent.ledger.snapshot()
        view = self.agent.pipeline.view()
        return Picture(replace(view, now_at=view.now_at + later), snapshot)

    def mailbox_up(self, name: str = "inbox") -> bool:
        """Tell whether the agent can read the mailbox, as far as it knows."""
        return any(one.name == name and one.status.up for one in self.agent.pipeline.view().mailboxes)

    async def until_mailbox(self, *, up: bool) -> None:
        """Wait until the agent has noticed that it can (not) read the inbox."""
        async with asyncio.timeout(_MOST):
            while self.mailbox_up() is not up:
                await asyncio.sleep(0.02)

    async def another_client(self, work: Callable[[IMAPClient], Any], mailbox: str = "inbox") -> Any:
        """Do *work* in INBOX as another mail client that has the mailbox open."""
        return await asyncio.to_thread(_with_client, self.lab, mailbox, work)

    async def text_of(self, canary: Canary) -> bytes:
        """Return the delivered message of *canary* as it lies in the inbox."""

        def find(client: IMAPClient) -> bytes:
            fetched = client.fetch(client.search(["ALL"]), ["BODY.PEEK[]"])
            return next(one[b"BODY[]"] for one in fetched.values() if canary.id.encode() in one[b"BODY[]"])

        return bytes(await self.another_client(find))

    async def copies(self, canary: Canary) -> int:
        """Count the messages of *canary* that lie in the mailbox, as another client finds them."""

        def count(client: IMAPClient) -> int:
            found = 0
            for folder in ("INBOX", "Junk Email"):
                client.select_folder(folder, readonly=True)
                found += len(client.search(["TEXT", canary.id]))
            return found

        return int(await self.another_client(count))

    async def put(self, message: bytes, mailbox: str = "inbox") -> None:
        """Put a message into INBOX of a mailbox, as if it had been delivered."""
        await self.another_client(lambda client: client.append("INBOX", message), mailbox)


def _as_they_are(settings: dict[str, Any]) -> None:
    del settings


@asynccontextmanager
async def a_rig(
    lab: Lab,
    authority: trustme.CA,
    ca_file: Path,
    folder: Path,
    *,
    limit: str = AMPLE,
    amend: Callable[[dict[str, Any]], None] = _as_they_are,
) -> AsyncIterator[Rig]:
    """Put the rig together, with the settings that *amend* has changed; at the end the agent's books must be right.

    *limit* is how long a path waits in a stage, and a reader for an answer.
    """
    trust = ssl.create_default_context(cafile=str(lab.info.ca_file))
    async with AsyncExitStack() as stack:
        smtp = await stack.enter_async_context(SmtpProxy(lab.port("submission"), server_context(authority), trust))
        imap = await stack.enter_async_context(ImapProxy(lab.port("inbox"), trust))
        names = await stack.enter_async_context(name_server(GOOD_RECORDS))
        rig = Rig(lab, authority, smtp, imap, names)
        await rig.heal()
        known = settings_for(rig, ca_file, folder, limit)
        amend(known)
        file = folder / "relaycanary.yaml"
        file.write_text(yaml.safe_dump(known))
        stack.push_async_callback(asyncio.to_thread, lab.heal)
        rig.agent = await stack.enter_async_context(running_agent(file))
        yield rig


def settings_for(rig: Rig, ca_file: Path, folder: Path, limit: str) -> dict[str, Any]:
    """Make the settings of the agent from those that the lab wrote for itself."""
    known: dict[str, Any] = yaml.safe_load(rig.lab.info.settings.read_text())
    known["agent"]["ledger"] = f"sqlite:///{folder / 'ledger.db'}"
    limits = dict.fromkeys(("dns", "connect", "greeting", "starttls", "auth", "envelope", "data"), limit)
    paths = known["paths"]
    paths["submission"] |= {"port": rig.smtp.port, "ca_file": str(ca_file), "timeouts": limits}
    by_name = {key: value for key, value in paths.pop("direct").items() if key != "host"}
    paths["by-name"] = {**by_name, "domain": DOMAIN, "nameservers": [rig.names.address], "timeouts": limits}
    inbox = known["mailboxes"]["inbox"]
    del inbox["ca_file"]
    inbox |= {"port": rig.imap.port, "tls": "none", "timeout": limit}
    known["checks"] = {
        name: {
            "path": _PATHS.get(name, "submission"),
            "mailbox": "outside" if name == "witness" else "inbox",
            **limits,
        }
        for name, limits in _LIMITS.items()
    }
    return known


def server_context(authority: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    """Make a TLS context for a server, by default with a certificate that is good for the SMTP proxy."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("127.0.0.1",)), **options).configure_cert(context)
    return context


def _difference(before: Books, after: Books) -> Books:
    return Books({key: after[key] - before[key] for key in {*before, *after} if after[key] != before[key]})


@contextmanager
def _client(lab: Lab, mailbox: str) -> Iterator[IMAPClient]:
    accounts = yaml.safe_load(lab.info.settings.read_text())["mailboxes"]
    password = (lab.directory / f"password-{mailbox}").read_text().strip()
    context = ssl.create_default_context(cafile=str(lab.info.ca_file))
    with IMAPClient("127.0.0.1", lab.port(mailbox), ssl_context=context, timeout=10) as client:
        client.login(accounts[mailbox]["address"], password)
        client.select_folder("INBOX")
        yield client


def _with_client(lab: Lab, mailbox: str, work: Callable[[IMAPClient], Any]) -> Any:
    with _client(lab, mailbox) as client:
        return work(client)
