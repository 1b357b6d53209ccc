"""Write settings as YAML, with every default filled in and every secret left where it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel, BeforeValidator

from agent.config.model import Web
from agent.config.pieces import spell_duration
from agent.config.settings import Plugin, Settings
from checks.settings import parse_duration

_HIDDEN = "***"


def effective(settings: Settings) -> str:
    """Return what the settings amount to, as a file that means the same when it is read again.

    Only hashes of passwords are left out: from one that is seen, a weak password can be guessed.
    """
    sections = settings.sections
    document: dict[str, Any] = {"agent": _plain(sections.agent), "web": _web(sections.web)}
    if metrics := _plain(sections.metrics):
        document["metrics"] = metrics
    document["credentials"] = {name: _plain(credential) for name, credential in sections.credentials.items()}
    document["paths"] = {name: _plugin(path) for name, path in sections.paths.items()}
    document["mailboxes"] = {name: _plugin(mailbox) for name, mailbox in sections.mailboxes.items()}
    document["checks"] = {
        name: _plain(check.model_copy(update={"to": settings.checks[name].recipient}))
        for name, check in sections.checks.items()
    }
    for name, section in (("alerts", sections.alerts), ("report", sections.report), ("sentry", sections.sentry)):
        if section is not None:
            document[name] = _plain(section)
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _web(web: Web) -> dict[str, Any]:
    hidden = {name: _HIDDEN if isinstance(one, str) else _plain(one) for name, one in web.users.items()}
    return _plain(web) | {"users": hidden}


def _plugin(plugin: Plugin) -> dict[str, Any]:
    return {"kind": plugin.kind} | _plain(plugin.settings)


def _plain(section: BaseModel) -> dict[str, Any]:
    """Return a section as plain values, without the keys that are not set."""
    fields = type(section).model_fields
    return {
        name: _value(value, duration=_is_duration(fields[name].annotation, fields[name].metadata))
        for name, value in section
        if value is not None
    }


def _value(value: Any, *, duration: bool) -> Any:
    match value:
        case float() if duration:
            return spell_duration(value)
        case str() | bool() | int() | float():
            return value
        case BaseModel():
            return _plain(value)
        case Mapping():
            return {str(name): _value(item, duration=duration) for name, item in value.items()}
        case list() | tuple():
            return [_value(item, duration=duration) for item in value]
        case _:  # a path, a date, or what a stranger's plug-in keeps
            return str(value)


def _is_duration(annotation: Any, metadata: Iterable[Any]) -> bool:
    """Tell whether a field was written as a duration: seconds alone would not be read again."""
    if any(isinstance(part, BeforeValidator) and part.func is parse_duration for part in metadata):
        return True
    return any(_is_duration(part, getattr(part, "__metadata__", ())) for part in get_args(annotation))
