"""Every named fault of the lab gives the outcome that the rules say, and breaks nothing but its own path.

All rows run first, several at a time, each worker with a lab and an agent of its own; the tests then read what came
of each. So a fault that waits for a timeout holds up nobody, and each row still has a test, and a name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.running import RunningAgent, running_agent

from agent.metrics import Picture
from checks.core.model import Outcome, Verdict
from checks.core.verdict import DEFAULT_VERDICT, SEEN, current
from checks.lab import Control, Lab

WORKERS = 6
PATIENT = {"every": "60s", "late_after": "60s", "lost_after": "120s"}
HURRIED = {"every": "1s", "late_after": "1s", "lost_after": "3s"}
TIMELY = {"every": "60s", "late_after": "1s", "lost_after": "120s"}
LIMITS = {"patient": PATIENT, "hasty": PATIENT, "hurried": HURRIED, "timely": TIMELY}
MAILBOX_OF = {"relay": "outside", "submission": "inbox", "direct": "inbox", "login": "inbox"}
MAILBOXES = ("inbox", "noreply", "outside")
STAGES = ("dns", "connect", "greeting", "starttls", "auth", "envelope", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a fault of a path makes of a canary.

    `says` is a pattern in the reasons, `counts` what the books show beside the canary itself, `path` another path
    than the broken one to send by, `value` the seconds that the fault takes. `after` is how many canaries come first:
    a token that was good until now fails one canary before there is another, or none.
    """

    outcome: Outcome
    says: str = ""
    patience: str = "patient"
    counts: Mapping[str, int] = field(default_factory=dict)
    path: str | None = None
    value: str = ""
    after: int = 0


def replied(outcome: Outcome, reply: str) -> Expected:
    return Expected(outcome=outcome, says=re.escape(reply))


def silent(outcome: Outcome, says: str) -> Expected:
    return Expected(outcome=outcome, says=says)


PATH_FAULTS = {
    "connector_mismatch": replied(Outcome.REJECTED, "550 5.7.64 TenantAttribution"),
    "direct_send_rejected": replied(Outcome.REJECTED, "550 5.7.68 TenantInboundAttribution"),
    "basic_auth_retired": Expected(outcome=Outcome.AUTH_FAILED, says="550 5.7.30", path="login"),
    "oauth_challenge": replied(Outcome.AUTH_FAILED, "535 5.7.3"),
    "refuse_greeting": replied(Outcome.REJECTED, "554 5.3.2"),
    "defer_greeting": replied(Outcome.DEFERRED, "421 4.3.2"),
    "refuse_ehlo": replied(Outcome.REJECTED, "501 5.5.4"),
    "defer_ehlo": replied(Outcome.DEFERRED, "421 4.3.2"),
    "refuse_starttls": replied(Outcome.TLS_FAILED, "554 5.7.3"),
    "defer_starttls": replied(Outcome.DEFERRED, "454 4.7.0"),
    "refuse_auth": replied(Outcome.AUTH_FAILED, "535 5.7.3"),
    "defer_auth": replied(Outcome.DEFERRED, "454 4.7.0"),
    "smtp_auth_disabled": replied(Outcome.AUTH_FAILED, "535 5.7.139"),
    "refuse_mail": replied(Outcome.REJECTED, "550 5.7.606"),
    "defer_mail": replied(Outcome.DEFERRED, "451 4.3.2"),
    "refuse_rcpt": replied(Outcome.REJECTED, "550 5.4.1"),
    "recipient_not_found": replied(Outcome.REJECTED, "550 5.1.10"),
    "defer_rcpt": replied(Outcome.DEFERRED, "451 4.7.500"),
    "refuse_data": replied(Outcome.REJECTED, "550 5.7.705"),
    "defer_data": replied(Outcome.DEFERRED, "452 4.3.1"),
    "refuse_message": replied(Outcome.REJECTED, "550 5.7.509"),
    "defer_message": replied(Outcome.DEFERRED, "430 4.2.0"),
    "drop_greeting": silent(Outcome.UNREACHABLE, "dropped"),
    "hang": silent(Outcome.UNREACHABLE, "timeout"),
    "drop_ehlo": silent(Outcome.DEFERRED, "dropped"),
    "hang_ehlo": silent(Outcome.DEFERRED, "dropped"),
    "drop_starttls": silent(Outcome.TLS_FAILED, "dropped"),
    "hang_starttls": silent(Outcome.TLS_FAILED, "timeout"),
    "drop_auth": silent(Outcome.DEFERRED, "dropped"),
    "hang_auth": silent(Outcome.DEFERRED, "dropped"),
    "drop_mail": silent(Outcome.DEFERRED, "dropped"),
    "hang_mail": silent(Outcome.DEFERRED, "dropped"),
    "drop_rcpt": silent(Outcome.DEFERRED, "dropped"),
    "hang_rcpt": silent(Outcome.DEFERRED, "dropped"),
    "drop_data": silent(Outcome.DEFERRED, "dropped"),
    "hang_data": silent(Outcome.DEFERRED, "dropped"),
    "drop_after_dot": Expected(outcome=Outcome.DELIVERED),
    "hang_after_dot": Expected(outcome=Outcome.DELIVERED),
    "drop_after_dot_lost": Expected(outcome=Outcome.INDETERMINATE, says="no answer to the message", patience="hurried"),
    "port_closed": silent(Outcome.UNREACHABLE, "connect"),
    "tls_not_offered": silent(Outcome.TLS_FAILED, "not_offered"),
    "tls_broken": silent(Outcome.TLS_FAILED, "handshake"),
    "tls_expired": silent(Outcome.TLS_FAILED, "expired"),
    "tls_wrong_name": silent(Outcome.TLS_FAILED, "mismatch|not valid for"),
    "delay": Expected(outcome=Outcome.LATE, patience="timely", value="=3"),
    "lose": Expected(outcome=Outcome.LOST, says="not seen", patience="hurried"),
    "junk": Expected(outcome=Outcome.JUNK, says="Junk Email"),
    "duplicate": Expected(outcome=Outcome.DELIVERED, counts={"canaries_duplicates": 1}),
    "bounce": Expected(outcome=Outcome.BOUNCED, says="550 5.1.10"),
    "forged_canary": Expected(outcome=Outcome.LOST, patience="hurried", counts={"messages_ignored": 1}),
    "role_missing": Expected(outcome=Outcome.AUTH_FAILED, says="no role SMTP.SendAsApp", after=1),
    "mailbox_not_permitted": replied(Outcome.DEFERRED, "430 4.2.0 STOREDRV"),
}
ENTRA_FAULTS = {
    "secret_wrong": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS7000215", after=1),
    "secret_expired": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS7000222", after=1),
    "app_unknown": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS700016", after=1),
    "wrong_cloud": Expected(outcome=Outcome.AUTH_FAILED, says="AADSTS900382", after=1),
    "certificate_unknown": Expected(outcome=Outcome.DELIVERED),
    "token_expires_soon": Expected(outcome=Outcome.DELIVERED, value="=1"),
    "entra_unavailable": Expected(outcome=Outcome.DELIVERED),
    "entra_silent": Expected(outcome=Outcome.DELIVERED),
    "entra_down": Expected(outcome=Outcome.DELIVERED),
}
MAILBOX_FAULTS = {
    "imap": {
        "imap_down": "connect",
        "imap_login_refused": "login",
        "imap_bye": "closed",
        "imap_silent": "timeout",
        "role_missing": "login",
        "mailbox_not_permitted": "login",
    },
}
READ_BY = {"inbox": "imap", "noreply": "imap", "outside": "imap"}

Row = tuple[str, str]
"""A fault and its target."""

CATALOGUE = sorted((name, str(target)) for name, _, targets in Control(Path()).faults() for target in targets)
ON_PATHS = [row for row in CATALOGUE if row[1] in MAILBOX_OF]
ON_ENTRA = [row for row in CATALOGUE if row[1] == "entra"]
ON_MAILBOXES = [(fault, box) for fault, box in CATALOGUE if box in MAILBOXES and fault in MAILBOX_FAULTS[READ_BY[box]]]
ON_MAILBOXES.remove(("role_missing", "noreply"))  # a role of Graph, and this mailbox is read over IMAP
ON_GRAPH = [row for row in CATALOGUE if row[1] == "graph"]
NOT_USED = {(fault, box) for fault, box in CATALOGUE if box in MAILBOXES} - {*ON_MAILBOXES}
"""Faults of a way to read that the settings of this mailbox do not use."""


@dataclass(slots=True, kw_only=True)
class Finding:
    """What came of one row."""

    outcome: str = ""
    verdict: str = ""
    reasons: str = ""
    current: Verdict = Verdict.UNKNOWN
    has_latency: bool = False
    counts: Mapping[str, float] = field(default_factory=dict)
    concluded_while_blind: str | None = None
    mailbox_reason: str = ""
    neighbour: str = ""
    neighbour_current: Verdict = Verdict.UNKNOWN
    after_healing: str = ""


class Worker:
    """A lab and an agent, for one row at a time."""

    def __init__(self, lab: Lab, agent: RunningAgent) -> None:
        self.lab = lab
        self.agent = agent

    async def run(self, row: Row) -> Finding:
        """Break, look at what comes of it, heal, and see that all is well again."""
        fault, target = row
        try:
            if target in MAILBOX_OF:
                return await self._on_path(target, fault, PATH_FAULTS[fault])
            if row in ON_ENTRA:
                return await self._on_path("submission", fault, ENTRA_FAULTS[fault], target)
            return await self._on_mailbox(target, fault)
        finally:
            await asyncio.to_thread(self.lab.heal)

    async def _on_path(self, usual: str, fault: str, expected: Expected, broken: str | None = None) -> Finding:
        """Break the path, or what it depends on, and send by it."""
        path, target = expected.path or usual, broken or usual
        patience = "hasty" if fault.startswith("hang") else expected.patience  # who is quick to give up waits less
        check, neighbour = f"{path}-{patience}", _neighbour_of_path(usual, fault)
        before = await self._counts(check, MAILBOX_OF[path])
        await asyncio.to_thread(self.lab.break_, target, fault + expected.value)
        for _ in range(expected.after):
            await self.agent.outcome_of(check)
        canary, beside = await asyncio.gather(self.agent.send(check), self.agent.outcome_of(neighbour))
        row = await self.agent.concluded(canary)
        after = await self._until_counted(before, expected.counts, check, MAILBOX_OF[path])
        finding = Finding(
            outcome=row.outcome,
            verdict=row.verdict,
            reasons=row.reasons,
            current=await self._current(check),
            has_latency=row.end_to_end is not None,
            counts={name: after[name] - before[name] for name in after if after[name] != before[name]},
            neighbour=beside,
            neighbour_current=await self._current(neighbour),
        )
        await asyncio.to_thread(self.lab.heal)
        again = self._recovered if expected.after else self.agent.outcome_of
        finding.after_healing = await again(f"{path}-patient")
        return finding

    async def _recovered(self, check: str) -> str:
        """Send until it is well again: Entra is not asked for a token at each canary while it refuses them."""
        async with asyncio.timeout(60):
            while (outcome := await self.agent.outcome_of(check)) != "delivered":
                await asyncio.sleep(0.2)
        return outcome

    async def _on_mailbox(self, target: str, fault: str) -> Finding:
        check, neighbour = f"{target}-hurried", _neighbour_of_mailbox(target)
        await asyncio.to_thread(self.lab.break_, target, fault)
        if fault in {"imap_login_refused", "role_missing"}:  # they take nothing from those who are in
            await asyncio.to_thread(self.lab.break_, target, "imap_bye")
            await asyncio.to_thread(self.lab.heal, target, "imap_bye")
        await self._until(lambda: not self._mailbox(target).up)
        canary, beside = await asyncio.gather(self.agent.send(check), self.agent.outcome_of(neighbour))
        await self._until_not_read(check)
        while_blind = (await self.agent.row(canary)).outcome
        finding = Finding(
            current=await self._current(check),
            mailbox_reason=self._mailbox(target).reason,
            concluded_while_blind=while_blind,
            neighbour=beside,
            neighbour_current=await self._current(neighbour),
        )
        await asyncio.to_thread(self.lab.heal)
        row = await self.agent.concluded(canary)
        finding.outcome, finding.verdict, finding.reasons = row.outcome, row.verdict, row.reasons
        finding.after_healing = await self.agent.outcome_of(f"{target}-patient")
        return finding

    def _mailbox(self, name: str) -> Any:
        return next(one.status for one in self.agent.pipeline.view().mailboxes if one.name == name)

    async def _until(self, holds: Any) -> None:
        async with asyncio.timeout(60):
            while not holds():
                await asyncio.sleep(0.02)

    async def _until_not_read(self, check: str) -> None:
        """Wait until the current verdict says that the mailbox has not been read for too long."""
        known = next(one.check for one in self.agent.pipeline.view().checks if one.check.name == check)
        async with asyncio.timeout(60):
            while True:
                standing = (await self.agent.ledger.snapshot()).standing_of(known)
                if current(standing, self.agent.clock.steady())[1] == "the mailbox has not been read for too long":
                    return
                await asyncio.sleep(0.05)

    async def _current(self, check: str) -> Verdict:
        picture = Picture(self.agent.pipeline.view(), await self.agent.ledger.snapshot())
        return picture.verdict(next(one for one in picture.checks if one.name == check))

    async def _counts(self, *owners: str) -> dict[str, float]:
        """Read what the books hold beside the canaries: duplicates, recovered ones, ignored messages."""
        counted = ("canaries_duplicates", "canaries_recovered", "messages_ignored")
        totals = (await self.agent.ledger.snapshot()).totals
        return {
            metric: sum(one.value for one in totals if one.metric == metric and one.owner in owners)
            for metric in counted
        }

    async def _until_counted(
        self, before: Mapping[str, float], by: Mapping[str, int], *owners: str
    ) -> dict[str, float]:
        """Wait for what has to be counted, which may come after the verdict (the second copy of a mail does)."""
        async with asyncio.timeout(60):
            while True:
                now = await self._counts(*owners)
                if all(now[name] >= before[name] + more for name, more in by.items()):
                    return now
                await asyncio.sleep(0.02)


def _neighbour_of_path(target: str, fault: str) -> str:
    if fault == "basic_auth_retired":  # a login by token at the same port goes on working
        return "submission-patient"
    return "direct-patient" if target == "relay" else "relay-patient"


def _neighbour_of_mailbox(target: str) -> str:
    return "relay-patient" if target == "inbox" else "submission-patient"


def _write_settings(lab: Lab, folder: Path) -> Path:
    """Derive settings with little patience from those that the lab wrote for itself."""
    known = yaml.safe_load(lab.info.settings.read_text())
    known["agent"]["ledger"] = f"sqlite:///{folder / 'ledger.db'}"
    password = {"file": str(lab.directory / "password-noreply")}
    known["credentials"]["login"] = {"kind": "password", "username": "noreply@contoso.example", "password": password}
    known["paths"]["login"] = {**known["paths"]["submission"], "credential": "login"}
    for path in known["paths"].values():
        path["timeouts"] = dict.fromkeys(STAGES, "20s")
    hasty = {
        f"{name}-hasty": {**path, "timeouts": dict.fromkeys(STAGES, "2s")} for name, path in known["paths"].items()
    }
    known["paths"] |= hasty
    for mailbox in known["mailboxes"].values():
        mailbox["timeout"] = "2s"
    to_mailboxes = {mailbox: ("relay", mailbox) for mailbox in MAILBOXES}
    ways = {path: (path, mailbox) for path, mailbox in MAILBOX_OF.items()} | to_mailboxes
    known["checks"] = {
        f"{name}-{patience}": {
            "path": f"{path}-hasty" if patience == "hasty" else path,
            "mailbox": mailbox,
            **limits,
        }
        for name, (path, mailbox) in ways.items()
        for patience, limits in LIMITS.items()
    }
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(known))
    return file


async def _work(rows: list[Row], findings: dict[Row, Finding | Exception], folder: Path) -> None:
    folder.mkdir()
    async with Lab() as lab, running_agent(_write_settings(lab, folder)) as agent:
        worker = Worker(lab, agent)
        while rows:
            row = rows.pop()
            try:
                findings[row] = await worker.run(row)
            except Exception as error:  # noqa: BLE001 - it is raised in the test of its row
                findings[row] = error


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Row, Finding | Exception]:
    """Run all rows, those that wait longest first."""
    found: dict[Row, Finding | Exception] = {}
    rows = [*(row for row in ON_PATHS if row[0] in PATH_FAULTS), *ON_ENTRA, *ON_MAILBOXES]
    folder = tmp_path_factory.mktemp("faults")

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(_work(rows, found, folder / str(number)))

    asyncio.run(story())
    return found


def _of(findings: Mapping[Row, Finding | Exception], row: Row) -> Finding:
    found = findings[row]
    if isinstance(found, Exception):
        raise found
    return found


def test_every_fault_of_the_catalogue_has_a_row() -> None:
    assert {fault for fault, _ in ON_PATHS} == PATH_FAULTS.keys()
    assert {fault for fault, _ in ON_ENTRA} == ENTRA_FAULTS.keys()
    for mailbox, how in READ_BY.items():
        assert MAILBOX_FAULTS[how].keys() >= {fault for fault, box in ON_MAILBOXES if box == mailbox}
    assert sorted([*ON_PATHS, *ON_ENTRA, *ON_MAILBOXES, *NOT_USED, *ON_GRAPH]) == CATALOGUE


@pytest.mark.parametrize(("fault", "target"), [*ON_PATHS, *ON_ENTRA])
def test_a_fault_of_a_path_gives_its_outcome_and_harms_no_other(
    findings: Mapping[Row, Finding | Exception], fault: str, target: str
) -> None:
    expected, found = {**PATH_FAULTS, **ENTRA_FAULTS}[fault], _of(findings, (fault, target))
    assert (found.outcome, found.verdict) == (expected.outcome, DEFAULT_VERDICT[expected.outcome]), found.reasons
    assert re.search(expected.says, found.reasons), found.reasons
    assert found.current is DEFAULT_VERDICT[expected.outcome]
    assert found.has_latency == (expected.outcome in SEEN)
    assert found.counts == expected.counts
    assert (found.neighbour, found.neighbour_current) == ("delivered", Verdict.PASS)
    assert found.after_healing == "delivered"


@pytest.mark.parametrize(("fault", "target"), ON_MAILBOXES)
def test_while_a_mailbox_cannot_be_read_nothing_is_known_and_nothing_is_lost(
    findings: Mapping[Row, Finding | Exception], fault: str, target: str
) -> None:
    found = _of(findings, (fault, target))
    assert found.current is Verdict.UNKNOWN
    assert found.concluded_while_blind is None
    assert found.mailbox_reason == MAILBOX_FAULTS[READ_BY[target]][fault]
    assert (found.neighbour, found.neighbour_current) == ("delivered", Verdict.PASS)
    assert (found.outcome, found.verdict) == ("delivered", "pass"), found.reasons
    assert found.after_healing == "delivered"
