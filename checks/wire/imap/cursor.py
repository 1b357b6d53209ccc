"""How far a folder was read, in the form in which it is kept between looks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

_WRITTEN = re.compile(r"(\d{1,20}):(\d{1,20})(?::(-?\d{1,12}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Everything up to `uid` was shown, under this UIDVALIDITY.

    `stored` is the INTERNALDATE of the message `uid`, in seconds since the epoch: it stays the same for as long as
    the UID means that message (RFC 9051 2.3.3). None if there was no such message, or it had none to rely on.
    """

    validity: str
    uid: int
    stored: int | None = None

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read what `str` wrote, now or before it told `stored`; None for anything else."""
        found = _WRITTEN.fullmatch(text or "")
        if found is None:
            return None
        validity, uid, stored = found.groups()
        return cls(validity, int(uid), None if stored is None else int(stored))

    def __str__(self) -> str:
        """Write it as UIDVALIDITY:UID:INTERNALDATE, the last only where it is known."""
        known = f"{self.validity}:{self.uid}"
        return known if self.stored is None else f"{known}:{self.stored}"


def in_seconds(stored: datetime | None) -> int | None:
    """Return an INTERNALDATE, which has no fractions of a second, in seconds since the epoch."""
    return None if stored is None else int(stored.timestamp())
