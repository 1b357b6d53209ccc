"""One lab for the whole folder, healed after each test; settings with little patience; ledgers with a past."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.config.load import load
from agent.ledger import Judgement, Ledger, LookRecord
from checks.core import verdict
from checks.core.model import (
    Accepted,
    Attempt,
    Canary,
    Cause,
    Check,
    Findings,
    MessageRef,
    Refused,
    Reply,
    Sighting,
    Stage,
    Transcript,
)
from checks.lab import Lab

Settings = dict[str, Any]
Edit = Callable[[Settings], None]


@pytest.fixture(autouse=True)
def no_colour_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "RELAYCANARY_CONFIG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    yield shared_lab
    shared_lab.heal()


def mails(lab: Lab, mailbox: str) -> int:
    """Count what lies in the watched folders of a mailbox."""
    folders: Mapping[str, int] = lab.status()["mails"][mailbox]
    return folders["INBOX"] + folders["Junk Email"]


@pytest.fixture
def settings(lab: Lab, tmp_path: Path) -> Callable[..., Path]:
    """Write the lab's settings with a ledger of the test's own; *edit* may change them, *lost_after* ends waiting."""

    def write(edit: Edit | None = None, *, late_after: str = "8s", lost_after: str = "9s") -> Path:
        content: Settings = yaml.safe_load(lab.info.settings.read_text())
        content["agent"]["ledger"] = f"sqlite:///{tmp_path}/ledger.db"
        for check in content["checks"].values():
            check.update(late_after=late_after, lost_after=lost_after, observe_within="200ms")
        if edit is not None:
            edit(content)
        file = tmp_path / "relaycanary.yaml"
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@dataclasses.dataclass
class Past:
    """Writes the past of an agent into a ledger, through the ledger's own methods.

    `ago` are seconds before the present. The steady timeline of this past runs an hour behind the wall clock, as it
    does when the clock was set forward before the agent was started.
    """

    file: Path
    behind: float = 3600.0
    version: str = "1.2.3"
    _slot: int = 0

    def __post_init__(self) -> None:
        self.settings = load(self.file)
        self.now = datetime.now(UTC)

    def at(self, ago: float) -> float:
        return self.now.timestamp() - self.behind - ago

    def write(self, *facts: Callable[[Ledger], Any], began: float = 7200.0) -> None:
        async def tell(ledger: Ledger) -> None:
            await ledger.begin_run(
                site="ams1",
                version=self.version,
                began_at=self.at(began),
                began_wall=self.now.timestamp() - began,
            )
            watched = {name: ["INBOX", "Junk Email"] for name in self.settings.mailboxes}
            await ledger.configure(watched=watched, thresholds=(), at=self.at(began))
            for fact in facts:
                await fact(ledger)

        with Ledger(self.settings.agent.ledger) as ledger:
            asyncio.run(tell(ledger))

    def canary(
        self, name: str, attempt: Attempt | None, *, ago: float, seen: float | None = None, check: Check | None = None
    ) -> Callable[[Ledger], Any]:
        """A canary that was started *ago*; with *seen*, seen that many seconds later; judged as far as can be."""
        self._slot += 1
        canary = Canary(
            id=f"aaaaaaaaaaaaaa{self._slot:02d}",
            check=check or self.settings.checks[name],
            slot=self._slot,
            started_at=self.at(ago),
            started=datetime.fromtimestamp(self.now.timestamp() - ago, UTC).replace(microsecond=0),
        )

        async def tell(ledger: Ledger) -> None:
            await ledger.start(canary)
            if attempt is not None:
                await ledger.attempted(canary, attempt, online=True, at=self.at(ago) + 0.2)
            if seen is not None:
                await self._see(ledger, canary, self.at(ago) + seen)
            due = await ledger.due(self.at(ago) + (seen or 0.3))
            judgements = [Judgement(due=one, result=verdict.judge(one.facts, self.at(ago))) for one in due]
            await ledger.judged(judgements, at=self.at(ago) + (seen or 0.3))

        return tell

    def accepted(self, *, ago: float) -> Accepted:
        transcript = Transcript(
            began_at=self.at(ago), ended_at=self.at(ago) + 0.2, endpoint="mx.example [192.0.2.1]:25"
        )
        return Accepted(reply=Reply(code=250, enhanced="2.6.0", text="Queued"), transcript=transcript)

    def refused(self, text: str, *, ago: float) -> Refused:
        return Refused(
            stage=Stage.RCPT,
            cause=Cause.REPLY,
            reply=Reply(code=550, enhanced="5.7.64", text=text),
            transcript=Transcript(began_at=self.at(ago), ended_at=self.at(ago) + 0.2, endpoint="mx.example"),
        )

    def looked(self, mailbox: str, *, ago: float) -> Callable[[Ledger], Any]:
        """A complete look into all folders of a mailbox."""

        async def tell(ledger: Ledger) -> None:
            for folder in ("INBOX", "Junk Email"):
                await ledger.looked(self._look(mailbox, folder, self.at(ago)))

        return tell

    def stopped(self, *, ago: float) -> Callable[[Ledger], Any]:
        """Stop the agent."""

        async def tell(ledger: Ledger) -> None:
            await ledger.end_run(at=self.at(ago))

        return tell

    async def _see(self, ledger: Ledger, canary: Canary, at: float) -> None:
        ref = MessageRef(folder="INBOX", validity="1", uid=str(canary.slot))
        sighting = Sighting(canary=canary.id, ref=ref, seen_at=at, after_at=at - 0.1, junk=False, findings=Findings())
        await ledger.looked(self._look(canary.check.mailbox, "INBOX", at, [sighting]))

    @staticmethod
    def _look(mailbox: str, folder: str, at: float, sightings: Sequence[Sighting] = ()) -> LookRecord:
        return LookRecord(
            mailbox=mailbox,
            folder=folder,
            began_at=at - 0.05,
            answered_at=at,
            cursor="1:99",
            complete=True,
            blind_after=1e9,
            sightings=sightings,
        )


@pytest.fixture
def past() -> type[Past]:
    return Past


@pytest.fixture
def file(settings: Callable[..., Path]) -> Path:
    """Settings, as they are in a file."""
    return settings()


@pytest.fixture
def ledger(file: Path) -> Path:
    """The ledger that they name; there is none yet."""
    return file.parent / "ledger.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Where a backup is to be, in a folder of its own."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder / "copy.db"


@pytest.fixture
def one_delivered(file: Path, past: type[Past]) -> None:
    """The ledger of these settings has one canary that arrived."""
    before = past(file)
    before.write(before.canary("relay", before.accepted(ago=5), ago=5, seen=1.0))


@pytest.fixture
def count_mails() -> Callable[[Lab, str], int]:
    return mails
