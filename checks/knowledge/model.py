"""What the catalogue says about one answer or failure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from checks.core.model import Protocol


class Exactness(enum.StrEnum):
    """By what a row was found, most exact first."""

    TEXT = "text"  # the words, and the codes where there were any
    CODE = "code"  # the code alone: Microsoft edits its texts
    CLASS = "class"  # only what kind of failure it is (for a code: RFC 3463, RFC 5321)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a line says: reply code (or HTTP status), enhanced code (or error code of Entra or Graph), and the rest.

    Lines from logs may lack any of them; `text` is clean and bounded.
    """

    code: int | None
    enhanced: str | None
    text: str
    protocol: Protocol = Protocol.SMTP


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What it means, what to do about it, where that is written, and how sure it is.

    `row` names the row of the catalogue; it is stable, so that rules and statistics may use it.
    """

    row: str
    exactness: Exactness
    meaning: str
    fix: str
    source: str

    def for_programs(self) -> dict[str, str]:
        """Return what every JSON answer says of it."""
        return {"meaning": self.meaning, "fix": self.fix, "source": self.source}
