"""Every named fault of the lab gives the outcome that the rules say, and breaks nothing but its own path.

All rows run first, several at a time, each worker with a lab and an agent of its own; the tests then read what came
of each. So a fault that waits for a timeout holds up nobody, and each row still has a test, and a name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.lab_faults import (
    ANY_MAIL,
    CATALOGUE,
    ENTRA_FAULTS,
    GIVES_UP_SOON,
    GRAPH_FAULTS,
    HARMLESS,
    LIMITS,
    MAILBOX_FAULTS,
    MAILBOX_OF,
    MAILBOXES,
    NOT_USED,
    ON_ENTRA,
    ON_MAILBOXES,
    ON_PATHS,
    PATH_FAULTS,
    READ_BY,
    STAGES,
    Expected,
    Row,
    expected_of,
)
from support.running import RunningAgent, running_agent

from agent.metrics import Picture
from checks.core.model import Verdict
from checks.core.verdict import DEFAULT_VERDICT, SEEN, current
from checks.lab import Lab

WORKERS = 6


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
    by_graph: Finding | None = None


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
                return await self._on_path(target, fault, expected_of(row))
            if row in ON_ENTRA:
                return await self._on_entra(fault)
            if row in HARMLESS:
                return await self._on_path("graph", fault, expected_of(row), target)
            return await self._on_mailbox(target, fault)
        finally:
            await asyncio.to_thread(self.lab.heal)

    async def _on_path(self, usual: str, fault: str, expected: Expected, broken: str | None = None) -> Finding:
        """Break the path, or what it depends on, and send by it."""
        path, target = expected.path or usual, broken or usual
        # who is quick to give up waits less
        patience = "hasty" if fault.startswith("hang") else expected.patience
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
        again = self._recovered if expected.after or broken == "entra" else self.agent.outcome_of
        finding.after_healing = await again(f"{path}-patient")
        return finding

    async def _on_entra(self, fault: str) -> Finding:
        """Send by SMTP, and by Graph."""
        by_graph = await self._on_path("graph", fault, replace(ENTRA_FAULTS[fault], after=0), "entra")
        await self._recovered("graph-patient")
        by_smtp = await self._on_path("submission", fault, ENTRA_FAULTS[fault], "entra")
        by_smtp.by_graph = by_graph
        await self._recovered("graph-patient")  # the reader has asked meanwhile, and been refused
        return by_smtp

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
        """Read what the books hold beside the canaries: duplicates, recovered ones, what was ignored."""
        counted = ("canaries_duplicates", "canaries_recovered", "messages_ignored")
        totals = (await self.agent.ledger.snapshot()).totals
        return {
            metric: sum(
                one.value
                for one in totals
                # copies in Sent Items come from other canaries, too
                if one.metric == metric and one.owner in owners and dict(one.labels).get("reason") != "copy"
            )
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
    ways_to_send = known["paths"]
    known["paths"] = {name: _with_limit(path, "20s") for name, path in ways_to_send.items()}
    known["paths"] |= {f"{name}-hasty": _with_limit(path, "2s") for name, path in ways_to_send.items()}
    for mailbox in known["mailboxes"].values():
        mailbox["timeout"] = "2s"
    to_mailboxes = {mailbox: ("relay", mailbox) for mailbox in MAILBOXES}
    ways = {path: (path, mailbox) for path, mailbox in MAILBOX_OF.items()} | to_mailboxes
    known["checks"] = {
        f"{name}-{patience}": {
            "path": f"{path}-hasty" if patience in GIVES_UP_SOON else path,
            "mailbox": mailbox,
            **limits,
        }
        for name, (path, mailbox) in ways.items()
        for patience, limits in LIMITS.items()
    }
    file = folder / "relaycanary.yaml"
    file.write_text(yaml.safe_dump(known))
    return file


def _with_limit(path: dict[str, Any], limit: str) -> dict[str, Any]:
    if path["kind"] == "graph_send":
        return {**path, "timeout": limit}
    return {**path, "timeouts": dict.fromkeys(STAGES, limit)}


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
    rows = [*ON_PATHS, *HARMLESS, *ON_ENTRA, *ON_MAILBOXES]
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
    assert {fault for fault, path in ON_PATHS if path != "graph"} == PATH_FAULTS.keys()
    assert {fault for fault, path in ON_PATHS if path == "graph"} == GRAPH_FAULTS.keys() | {*ANY_MAIL}
    assert {fault for fault, _ in ON_ENTRA} == ENTRA_FAULTS.keys()
    for mailbox, how in READ_BY.items():
        assert MAILBOX_FAULTS[how].keys() >= {fault for fault, box in ON_MAILBOXES if box == mailbox}
    assert sorted([*ON_PATHS, *ON_ENTRA, *ON_MAILBOXES, *HARMLESS, *NOT_USED]) == CATALOGUE


@pytest.mark.parametrize(("fault", "target"), [*ON_PATHS, *HARMLESS])
def test_a_fault_of_a_path_gives_its_outcome_and_harms_no_other(
    findings: Mapping[Row, Finding | Exception], fault: str, target: str
) -> None:
    _hold(expected_of((fault, target)), _of(findings, (fault, target)))


@pytest.mark.parametrize("fault", ENTRA_FAULTS)
def test_a_fault_of_entra_gives_its_outcome_by_smtp_and_by_graph(
    findings: Mapping[Row, Finding | Exception], fault: str
) -> None:
    found = _of(findings, (fault, "entra"))
    assert found.by_graph is not None
    _hold(ENTRA_FAULTS[fault], found.by_graph)
    _hold(ENTRA_FAULTS[fault], found)


def _hold(expected: Expected, found: Finding) -> None:
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
