"""What tells others of the agent beside its HTTP server, as the settings have it: pings, a textfile, OTLP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from agent.config.model import Otlp
from agent.config.model import Textfile as TextfileSettings
from agent.config.secrets import SecretSource
from agent.config.settings import Settings
from agent.ledger import Ledger, LedgerError
from agent.metrics import Exposition, Picture
from agent.metrics.textfile import Textfile
from agent.pings import Target
from agent.status import AgentView
from checks.ports import Clock

Part = Callable[[], Awaitable[None]]


def ping_target(settings: Settings, check: str) -> Target | None:
    """Tell where the pings of a check go; None for nowhere."""
    section = settings.sections.checks[check].ping if check in settings.sections.checks else None
    return None if section is None else Target(url=SecretSource(section.url), start=section.start)


def metric_outlets(
    settings: Settings, view: Callable[[], AgentView], ledger: Ledger, clock: Clock
) -> Iterator[tuple[str, Part]]:
    """Walk through the ways out for metrics: the name of each, and what runs it until it is cancelled."""
    exposition = Exposition(view, ledger.snapshot)
    section = settings.sections.metrics
    if section.textfile is not None:
        yield "textfile", _textfile(section.textfile, view, exposition, clock)
    if section.otlp is not None:
        yield "otlp", _otlp(section.otlp, view, exposition, ledger, clock)


def _textfile(section: TextfileSettings, view: Callable[[], AgentView], exposition: Exposition, clock: Clock) -> Part:
    async def metrics() -> Sequence[bytes] | None:
        if not view().applied:  # an empty file would read as "no checks"
            return None
        blocks, _ = await exposition.scrape("", "")
        return blocks

    return Textfile(section.file, section.every, metrics, clock).run


def _otlp(section: Otlp, view: Callable[[], AgentView], exposition: Exposition, ledger: Ledger, clock: Clock) -> Part:
    from agent.metrics.otlp import Exporter

    began = clock.now().timestamp()

    async def picture() -> tuple[Picture, float] | None:
        if not view().applied:
            return None
        taken = await exposition.picture()
        if not taken.view.applied:  # it is about to end, and has let go of its checks meanwhile
            return None
        try:
            first = await ledger.past(lambda past: past.first_run())
        except LedgerError:  # what the ledger counts is not in the picture then
            first = None
        return taken, began if first is None else first

    return Exporter(
        endpoint=section.endpoint,
        headers=lambda: {name: SecretSource(secret)() for name, secret in section.headers.items()},
        ca_file=section.ca_file,
        every=section.every,
        picture=picture,
        clock=clock,
    ).run
