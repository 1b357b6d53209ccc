"""From the plain values of a document to validated sections, noting everything that is wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from agent.config import habits
from agent.config.alerts import Alerts
from agent.config.expectations import CheckSettings
from agent.config.fit import fit
from agent.config.model import CREDENTIALS, Agent, CredentialSettings, Metrics, Report, Sentry, Web
from agent.config.pieces import NAME, ledger_file, ledger_url
from agent.config.problems import Key, Problems, near, shown
from agent.config.settings import Plugin, Sections
from agent.config.verify import Verifier
from checks import registry
from checks.errors import CheckError
from checks.settings import Section

Load = Callable[[str, str], type[Any]]
"""Finds the class of a plug-in by its group and kind, as `checks.registry.load` does."""

_S = TypeVar("_S", bound=Section)

_SINGLE = ("agent", "web", "metrics", "alerts", "report", "sentry")
_NAMED = ("credentials", "paths", "mailboxes", "checks")
_FILE_KEYS = frozenset({"file", "ca_file"})


def parse(data: Mapping[str, Any], problems: Problems, verifier: Verifier | None, load: Load) -> Sections | None:
    """Validate every section of *data* by itself, and with a *verifier* its references; None where any is wrong."""
    parser = _Parser(data, problems, verifier, load)
    parser.unknown_sections()
    agent = parser.single(Agent, "agent")
    web = parser.single(Web, "web")
    credentials = dict(parser.credentials())
    paths = dict(parser.plugins("paths", registry.PATHS))
    mailboxes = dict(parser.plugins("mailboxes", registry.MAILBOXES))
    checks = dict(parser.checks())
    alerts = parser.single(Alerts, "alerts") if "alerts" in data else None
    metrics = parser.single(Metrics, "metrics")
    report = parser.single(Report, "report") if "report" in data else None
    sentry = parser.single(Sentry, "sentry") if "sentry" in data else None
    if agent is None or web is None or metrics is None or problems.errors:
        return None
    return Sections(
        agent=agent.model_copy(update={"ledger": _ledger(agent.ledger, problems, verifier)}),
        web=web,
        credentials=MappingProxyType(credentials),
        paths=MappingProxyType(paths),
        mailboxes=MappingProxyType(mailboxes),
        checks=MappingProxyType(checks),
        metrics=metrics,
        alerts=alerts,
        report=report,
        sentry=sentry,
    )


def beside(folder: Path, value: Any) -> Any:
    """Return *value* with every relative file name in it taken to be relative to *folder*, that of the settings.

    A service may be started in any directory; what a settings file means must not depend on it.
    """
    if isinstance(value, dict):
        return {
            name: str(folder / item) if name in _FILE_KEYS and isinstance(item, str) and item else beside(folder, item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [beside(folder, item) for item in value]
    return value


def _ledger(url: str, problems: Problems, verifier: Verifier | None) -> str:
    """Return the URL of the ledger with an absolute file name."""
    file = ledger_file(url)
    absolute = problems.file.parent.absolute() / file
    if len(file.parts) > 1 and not file.is_absolute() and Path("/", file.parts[0]).is_dir():
        words = (
            f"means {absolute}, beside the settings file: with four slashes it would be {ledger_url(Path('/', file))}"
        )
        problems.warning(("agent", "ledger"), words)
    if verifier is not None:
        verifier.verify_ledger(absolute, ("agent", "ledger"))
    return ledger_url(absolute)


@dataclass(frozen=True, slots=True)
class _Parser:
    data: Mapping[str, Any]
    problems: Problems
    verifier: Verifier | None
    load: Load

    def unknown_sections(self) -> None:
        known = (*_SINGLE, *_NAMED)
        for name in self.data:
            if name not in known:
                hint = near(name, known) or f"; allowed are {', '.join(known)}"
                self.problems.error((), f"unknown key {shown(name)}{hint}", line=self.problems.lines.get((name,)))

    def single(self, model: type[_S], name: str) -> _S | None:
        return self._fit(model, self.data.get(name), (name,))

    def checks(self) -> Iterator[tuple[str, CheckSettings]]:
        if self.data.get("checks") in (None, {}):
            self.problems.error(("checks",), "is empty: without a check the agent has nothing to do")
        for name, key, entry in self._entries("checks"):
            if (settings := self._fit(CheckSettings, entry, key)) is not None:
                yield name, settings

    def credentials(self) -> Iterator[tuple[str, CredentialSettings]]:
        kinds = sorted(CREDENTIALS)
        for name, key, entry in self._entries("credentials"):
            kind = self._kind(entry, key, kinds)
            if kind is None:
                continue
            if kind not in CREDENTIALS:
                self.problems.error(
                    (*key, "kind"), f"{shown(kind)} is not one of {', '.join(kinds)}{near(kind, kinds)}"
                )
                continue
            settings = self._fit(CREDENTIALS[kind], entry, key)
            if settings is not None:
                yield name, settings

    def plugins(self, section: str, group: str) -> Iterator[tuple[str, Plugin]]:
        for name, key, entry in self._entries(section):
            kind = self._kind(entry, key, registry.kinds(group))
            plugin = None if kind is None else self._load(group, kind, key)
            if kind is None or plugin is None:
                continue
            cls, model = plugin
            # the kind chose the plug-in, which need not know it by that name
            own = entry if "kind" in model.model_fields else {word: entry[word] for word in entry if word != "kind"}
            settings = self._fit(model, own, key)
            if settings is not None:
                yield name, Plugin(kind=kind, cls=cls, settings=settings)

    def _load(self, group: str, kind: str, key: Key) -> tuple[type[Any], type[Section]] | None:
        try:
            cls = self.load(group, kind)
            model: type[Section] = cls.Settings
        except CheckError as fault:
            known = habits.about_value("kind", kind)
            self.problems.error((*key, "kind"), f"{fault}: {known}" if known else str(fault))
        except Exception as fault:  # noqa: BLE001 - a stranger's code is imported here, and may do anything
            words = f"the plug-in of kind {shown(kind)} cannot be loaded: {type(fault).__name__}"
            self.problems.error((*key, "kind"), words)
        else:
            return cls, model
        return None

    def _fit(self, model: type[_S], data: Any, key: Key) -> _S | None:
        settings = fit(model, data, key, self.problems)
        if settings is not None and self.verifier is not None:
            self.verifier.verify(settings, key)
        return settings

    def _entries(self, section: str) -> Iterator[tuple[str, Key, dict[str, Any]]]:
        """Yield name, key and content of each entry of a section of named things."""
        entries = self.data.get(section)
        if entries is None:
            return
        if not isinstance(entries, dict):
            self.problems.error((section,), f"{shown(entries)} is not a mapping of names to settings")
            return
        for name, entry in entries.items():
            key = (section, name)
            if NAME.fullmatch(name) is None:
                allowed = "up to 40 letters, digits, '-' and '_', beginning with a letter or digit"
                self.problems.error(key, f"{shown(name)} is not a name: use {allowed}")
            elif isinstance(entry, dict):
                yield name, key, entry
            else:
                self.problems.error(key, f"{shown(entry)} is not a mapping of settings")

    def _kind(self, entry: Mapping[str, Any], key: Key, allowed: list[str]) -> str | None:
        kind = entry.get("kind")
        if isinstance(kind, str):
            return kind
        found = f"{shown(kind)} is not one of" if "kind" in entry else "is missing; it is one of"
        self.problems.error((*key, "kind"), f"{found} {', '.join(allowed)}")
        return None
