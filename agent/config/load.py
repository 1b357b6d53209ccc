"""Find the settings file, and make `Settings` of it, or a list of everything that is wrong with it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from agent.clock import SystemClock
from agent.config import document, environment
from agent.config.advice import advise
from agent.config.problems import Problem, Problems, SettingsError
from agent.config.references import assemble, check_credentials, check_names
from agent.config.sections import Load, beside, parse
from agent.config.settings import Settings
from agent.config.verify import Verifier
from checks import registry

PLACES = (Path("relaycanary.yaml"), Path("/etc/relaycanary/relaycanary.yaml"), Path(".lab/relaycanary.yaml"))
"""Where the settings are looked for, in this order, when nobody says where they are."""


def find(config: Path | None = None) -> Path:
    """Tell which settings file to use: *config*, else ``RELAYCANARY_CONFIG``, else the first of `PLACES` there is.

    Raises:
        SettingsError: nobody said where it is, and it is in none of the usual places.
    """
    if config is not None:
        return config
    if named := environment.variable(environment.CONFIG):
        return Path(named)
    for place in PLACES:
        if _is_there(place):
            return place
    words = (
        f"there is no settings file; looked for {', '.join(str(place) for place in PLACES)}."
        f" Say where it is by --config or {environment.CONFIG}, or let `relaycanary init` write one"
    )
    raise SettingsError([Problem(file=PLACES[0], line=None, key="", message=words)])


def _is_there(place: Path) -> bool:
    try:
        return place.is_file()
    except OSError:  # in a folder that this user may not enter
        return False


def load(file: Path, *, verified: bool = True, now: datetime | None = None, plugins: Load = registry.load) -> Settings:
    """Read and check the settings in *file*.

    Every secret and certificate that they refer to is read once, to know that it can be, and forgotten.

    Args:
        file: the YAML file; relative file names in it are relative to its folder.
        verified: without it, no file that the settings name is looked at: for what needs none of them, and must work
            while they are gone, as systemd's credentials are with the service.
        now: decides which certificates have expired; the present, unless a test says otherwise.
        plugins: finds the classes of paths and mailboxes by group and kind.

    Raises:
        SettingsError: it cannot be used; all the reasons are in it.
    """
    now = SystemClock().now() if now is None else now
    problems = Problems(file)
    data = beside(file.parent.absolute(), document.read(file, problems))
    check_names(data, problems)
    sections = parse(data, problems, Verifier(problems, now) if verified else None, plugins)
    if sections is None or problems.errors:
        raise SettingsError(problems.errors)
    check_credentials(sections, problems)
    checks = assemble(sections, problems)
    if problems.errors:
        raise SettingsError(problems.errors)
    for advice in advise(sections, now.date()):
        problems.warning(advice.key, advice.message)
    return Settings(file=file, sections=sections, checks=checks, warnings=problems.warnings)
