"""All examinations, in parallel, each within a limit; what breaks is a finding like any other."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from agent.config.settings import Settings
from agent.doctor.examinations.registry import Examination, examinations
from agent.doctor.examinations.settings import of_settings
from agent.doctor.finding import FROM_WORST, Finding, Status, failure, not_tested, warning, worst
from agent.doctor.kit import Kit
from checks.errors import LocalFault
from checks.ports import Clock

LIMIT = 25.0
"""Seconds that one examination may take."""
MOST_AT_ONCE = 16
"""Examinations under way at a time: each holds a connection or two."""

_SUBJECTS = ("path", "mailbox", "credential", "check", "domain", "channel", "heartbeat", "settings", "machine")
_LOGINS = frozenset({"smtp.login", "mailbox.login"})
_MACHINE = "this machine"


class Observer(Protocol):
    """Is told how it goes."""

    def planned(self, subjects: Sequence[str]) -> None:
        """So many examinations there will be."""

    def done(self, subject: str, status: Status) -> None:
        """One has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was found, worst subjects first, and how long it took in seconds."""

    findings: Sequence[Finding]
    seconds: float

    @property
    def status(self) -> Status:
        """The worst of all; what could not be tested does not count."""
        return worst(finding for finding in self.findings if finding.status is not Status.NOT_TESTED)

    def by_subject(self) -> Mapping[str, list[Finding]]:
        """Group the findings by subject, in order."""
        groups: dict[str, list[Finding]] = {}
        for finding in self.findings:
            groups.setdefault(finding.subject, []).append(finding)
        return groups


async def examine(settings: Settings, clock: Clock, observer: Observer) -> Report:
    """Examine everything that the settings name. Nothing is sent; nothing in a mailbox is changed.

    It takes `LIMIT` seconds for every `MOST_AT_ONCE` examinations at most, and a few seconds in practice.

    Raises:
        LocalFault: a path or reader cannot be made of the settings.
    """
    began = clock.steady()
    kit = Kit(settings, clock)
    try:
        planned = examinations(kit)
        observer.planned([one.subject for one in planned])
        turn = asyncio.Semaphore(MOST_AT_ONCE)
        found = await asyncio.gather(*(_examine(one, kit, turn, observer) for one in planned))
    finally:
        await kit.close()
    findings = [finding for findings in found for finding in findings] + of_settings(kit)
    if not any(finding.id == "clock.offset" for finding in findings):
        why = "no server told the time; check with chronyc tracking, or timedatectl"
        findings.append(replace(not_tested("clock.offset", why), subject=_MACHINE))
    return Report(findings=_in_order(findings), seconds=clock.steady() - began)


async def _examine(one: Examination, kit: Kit, turn: asyncio.Semaphore, observer: Observer) -> list[Finding]:
    async with turn:
        findings = [
            finding if finding.subject else replace(finding, subject=one.subject) for finding in await _within(one)
        ]
    kit.ended(one.subject, logged_in=any(one.id in _LOGINS and one.status is Status.OK for one in findings))
    observer.done(one.subject, worst(findings))
    return findings


async def _within(one: Examination) -> list[Finding]:
    """Run one examination; whatever goes wrong in it is a finding."""
    try:
        async with asyncio.timeout(LIMIT):
            return await one.run()
    except TimeoutError:
        return [
            warning(
                "doctor.unfinished",
                f"not finished within {LIMIT:g} s",
                meaning="Some server answers too slowly; what could not be tested is not known to work.",
                fix="Run relaycanary doctor again; if it stays, look at the network to this server.",
                source="relaycanary doctor",
            )
        ]
    except LocalFault as fault:
        return [
            failure(
                "machine",
                str(fault),
                meaning="This machine could not even try; as long as that is so, checks on it are unknown.",
                fix="Mend what is named; it is on this machine, and not at the server.",
                source="relaycanary doctor",
            )
        ]
    except Exception as error:  # noqa: BLE001 - one broken examination must not end the others
        return [
            warning(
                "doctor.defect",
                f"the examination itself broke: {type(error).__name__} at {_place(error)}",
                meaning="It is a defect of relaycanary, or a server says what nobody thought of; the rest is not"
                " affected.",
                fix="Please report it, with what the server says if you can.",
                source="relaycanary doctor",
            )
        ]


def _place(error: BaseException) -> str:
    """Tell where an exception was raised; not its text, which may quote anything."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Put the worst subjects first; among equals, as the settings have them."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.subject, []).append(finding)
    ordered = sorted(groups, key=lambda subject: (FROM_WORST.index(worst(groups[subject])), _kind(subject)))
    return [
        finding
        for subject in ordered
        for finding in sorted(groups[subject], key=lambda one: FROM_WORST.index(one.status))
    ]


def _kind(subject: str) -> int:
    first = subject.partition(" ")[0]
    return _SUBJECTS.index(first) if first in _SUBJECTS else len(_SUBJECTS)
