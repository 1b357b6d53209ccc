"""The settings that a history may go through: limits, checks and folders come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from support.make import a_check

from checks.core.model import Check, Expectations, Limits

KEEP = 1800.0
SHORT = Limits(every=60, late_after=60, lost_after=300, observe_within=900)
LONG = Limits(every=120, late_after=120, lost_after=500, observe_within=900)
NAMES = ("relay", "scan", "negative", "outside")


@dataclass(frozen=True, slots=True)
class Setup:
    """The checks by name, and the watched folders of each mailbox."""

    checks: Mapping[str, Check]
    folders: Mapping[str, Sequence[str]]

    @classmethod
    def usual(cls) -> Setup:
        """Four checks: in the inbox, anywhere, to be refused, and in another mailbox."""
        checks = (
            a_check("relay", limits=SHORT),
            a_check("scan", limits=SHORT, expect=Expectations(placement=None)),
            a_check("negative", limits=SHORT, expect=Expectations(refused="5.7.*")),
            a_check("outside", limits=SHORT, mailbox="outside"),
        )
        return cls({check.name: check for check in checks}, {"inbox": ("INBOX", "Junk Email"), "outside": ("INBOX",)})

    def patient(self) -> Setup:
        """Have other limits, and with them other buckets."""
        return replace(self, checks={name: replace(check, limits=LONG) for name, check in self.checks.items()})

    def without_check(self) -> Setup:
        """Know one check less."""
        return replace(self, checks={name: check for name, check in self.checks.items() if name != "relay"})

    def without_folder(self) -> Setup:
        """Watch no Junk folder."""
        return replace(self, folders={**self.folders, "inbox": ("INBOX",)})

    def without_mailbox(self) -> Setup:
        """Know one mailbox less, and the check that reads it."""
        checks = {name: check for name, check in self.checks.items() if check.mailbox != "outside"}
        return Setup(checks, {"inbox": self.folders["inbox"]})


SETUPS = (
    Setup.usual(),
    Setup.usual().patient(),
    Setup.usual().without_check(),
    Setup.usual().without_folder(),
    Setup.usual().without_mailbox(),
)
