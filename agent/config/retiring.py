"""What of these settings a provider ends on a known day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time

from agent.config.settings import Sections
from agent.status import Ahead
from checks.knowledge.retirements import retirements_of


def retiring(sections: Sections) -> Iterator[Ahead]:
    """Yield what ends for each path, as of the end of its day in UTC."""
    for name, path in sections.paths.items():
        credential = sections.credentials.get(path.text("credential") or "")
        login = "" if credential is None else credential.kind
        for one in retirements_of(path.text("host") or "", login):
            end = datetime.combine(one.day, time.max, UTC)
            yield Ahead(what=f"path {name}: {one.what}", when=end.timestamp(), fix=one.fix)
