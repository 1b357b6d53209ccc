"""Write the references of settings and metrics from the code: ``python deploy/reference/make.py``.

What a key means, and an example of it, stand below the field in the model; a key without them is an error here.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from agent.config import alerts, model, pieces
from agent.config.documented import Words, first_words, models_in, words_of
from agent.config.expectations import CheckSettings
from agent.config.pieces import spell_duration
from agent.metrics import FAMILIES
from checks import registry, settings
from checks.settings import FileReference, SecretReference, Section
from checks.wire.smtp_settings import SmtpSettings

FOLDER = Path(__file__).parent
SINGLE: Mapping[str, type[Section]] = MappingProxyType(
    {
        "agent": model.Agent,
        "web": model.Web,
        "metrics": model.Metrics,
        "alerts": alerts.Alerts,
        "report": model.Report,
        "sentry": model.Sentry,
    }
)
"""The sections that there are once; the order is that of the page."""

_NAMED_TYPES = (
    (settings.Address, "mail address"),
    (settings.Host, "host name or IP address"),
    (settings.Port, "port"),
    (settings.Text, "text"),
    (pieces.Name, "name"),
    (pieces.HttpsUrl, "`https://` address"),
    (pieces.HttpUrl, "`http://` or `https://` address"),
    (pieces.LedgerUrl, "`sqlite:///FILE`"),
    (pieces.TimeZone, "name of a time zone"),
    (pieces.Listen, "`ADDRESS:PORT`"),
    (pieces.Users, "mapping of names to: bcrypt hash, or `{file: PATH}` or `{env: NAME}` of one"),
    (pieces.RegularExpression, "regular expression"),
    (pieces.FieldName, "name of a header field"),
    (SecretReference, "secret"),
    (FileReference, "`{file: PATH}`"),
    (Path, "file name"),
    (date, "date"),
    (bool, "`true` or `false`"),
    (int, "whole number"),
    (float, "number"),
    (str, "text"),
)
_SETTINGS_INTRO = """\
# Settings: every key

Written from the code by `deploy/reference/make.py`; a test holds it against the code. What yours amount to, defaults
included, is shown by `relaycanary check-config --print`.

The file is YAML. A key that is not here is an error, which names file, line and key. Relative file names are relative
to the settings file.

| type | is written |
|---|---|
| duration | a number and a unit: `500ms`, `30s`, `10m`, `1h`, `1d` |
| secret | where it is kept, never the secret itself: `{file: PATH}` or `{env: NAME}` |
| name | up to 40 letters, digits, `-` and `_`, beginning with a letter or digit |
| a list | `[one, another]` |
"""
_METRICS_INTRO = """\
# Metrics: every name

Written from the code by `deploy/reference/make.py`; a test holds it against the code.

A histogram has the series `_bucket`, `_sum` and `_count`, a summary `_sum` and `_count`. No label ever has an address,
a subject or an id of a message.

*Kept*: comes from the ledger, so that it goes on over a restart, and is absent while the ledger cannot be read. The
others are of the running agent, and begin anew with it.
"""


class Undocumented(Exception):
    """A key of the settings lacks what the reference has to say about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a model: what the table says about it. `type` is the annotation itself."""

    name: str
    type: Any
    default: str
    meaning: str
    example: str


def keys(section: type[Section], *, own: bool = False) -> Iterator[Key]:
    """Walk through the keys of a model, as they stand there; with *own*, only through those that it says itself.

    Raises:
        Undocumented: a key has no meaning or no example.
    """
    hints = get_type_hints(section, include_extras=True)
    said = words_of(section)
    for name, field in section.model_fields.items():
        if own and name not in inspect.get_annotations(section):
            continue
        words = said.get(name, Words("", ""))
        if not (words.meaning and words.example):
            raise Undocumented(
                f'{section.__qualname__}.{name}: write below the field what it means: """... Example: `...`"""'
            )
        yield Key(
            name=name,
            type=hints[name],
            default=_default(field, hints[name]),
            meaning=words.meaning,
            example=words.example,
        )


def _default(field: FieldInfo, hint: Any) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "" if field.default_factory is dict else "see there"
    value = field.default
    if value is None or isinstance(value, Section | Mapping):
        return ""
    if _is_duration(hint):
        return f"`{value if isinstance(value, str) else spell_duration(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _is_duration(hint: Any) -> bool:
    return any(
        isinstance(part, BeforeValidator) and part.func is settings.parse_duration
        for one in (hint, *get_args(hint))
        for part in getattr(one, "__metadata__", ())
    )


def spell(hint: Any) -> str:
    """Say in words what may be written.

    Raises:
        Undocumented: this type has no word yet.
    """
    for known, words in _NAMED_TYPES:
        if hint == known:
            return words
    if _is_duration(hint):
        return "duration"
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return spell(inside[0])
    if origin is Literal:
        return " ".join(f"`{value}`" for value in inside)
    if origin in {Union, UnionType}:
        return " or ".join(spell(part) for part in inside if part is not NoneType)
    if origin is tuple:
        return f"list of: {spell(inside[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return f"mapping of names to: {spell(inside[1])}"
    if isinstance(hint, type) and issubclass(hint, Section):
        return f"[{_title(hint)}](#{_title(hint).replace(' ', '-')})"
    raise Undocumented(f"{hint!r} has no word in _NAMED_TYPES")


def _title(section: type[Section]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", section.__name__).lower()


def nested(section: type[Section]) -> Iterator[type[Section]]:
    """Walk through the models inside *section* that have a table of their own, depth first."""
    for hint in get_type_hints(section, include_extras=True).values():
        for part in models_in(hint):
            if part not in {SecretReference, FileReference}:
                yield part
                yield from nested(part)


def table(section: type[Section], *, own: bool = False) -> str:
    """Write the table of a model; nothing where it has no key to tell of."""
    rows = [
        f"| `{key.name}` | {spell(key.type)} | {key.default} | {key.meaning} | `{key.example}` |".replace(
            key.example, key.example.replace("|", "\\|")
        )
        for key in keys(section, own=own)
    ]
    head = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n" if rows else ""


def _first_words(thing: type) -> str:
    return first_words(inspect.getdoc(thing) or "")


def _plugin(group: str, kind: str) -> str:
    cls = registry.load(group, kind)
    shared = issubclass(cls.Settings, SmtpSettings)
    about = f"{_first_words(cls)} {_first_words(cls.Settings)}"
    rest = "\nAnd all [keys of SMTP paths](#keys-of-smtp-paths).\n" if shared else ""
    own = table(cls.Settings, own=shared)
    return f"### `kind: {kind}`\n\n{about}\n" + (f"\n{own}" if own else "") + rest


def _of(heading: str, section: type[Section], said: set[type[Section]]) -> str:
    """Write the chapter of a model and of those inside it that were not told yet."""
    parts = [f"{heading}\n\n{_first_words(section)}\n\n{table(section)}"]
    for inner in nested(section):
        if inner not in said:
            said.add(inner)
            parts.append(f"### {_title(inner)}\n\n{_first_words(inner)}\n\n{table(inner)}")
    return "\n".join(parts)


def settings_page() -> str:
    """Write the reference of the settings."""
    said: set[type[Section]] = set()
    parts = [_SETTINGS_INTRO, _of("## `agent`", SINGLE["agent"], said), _of("## `web`", SINGLE["web"], said)]
    parts.append("## `credentials`\n\nLogins by name: `NAME: {kind: …}`.\n")
    parts += [f"### `kind: {kind}`\n\n{_first_words(cls)}\n\n{table(cls)}" for kind, cls in model.CREDENTIALS.items()]
    parts.append("## `paths`\n\nWays to send by name: `NAME: {kind: …}`.\n")
    parts += [_plugin(registry.PATHS, kind) for kind in registry.kinds(registry.PATHS)]
    parts.append(_of("### keys of SMTP paths", SmtpSettings, said))
    parts.append("## `mailboxes`\n\nWhere canaries arrive, by name: `NAME: {kind: …}`.\n")
    parts += [_plugin(registry.MAILBOXES, kind) for kind in registry.kinds(registry.MAILBOXES)]
    parts.append(_of("## `checks`", CheckSettings, said))
    parts += [_of(f"## `{name}`", one, said) for name, one in SINGLE.items() if name not in {"agent", "web"}]
    return "\n".join(parts)


def metrics_page() -> str:
    """Write the reference of the metrics."""
    rows = []
    for family in FAMILIES:
        kind = "gauge, always 1" if family.kind == "info" else family.kind
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {kind} | {labels} | {'kept' * family.recorded} | {family.documentation} |")
    head = ["| name | type | labels | | meaning |", "|---|---|---|---|---|"]
    return "\n".join([_METRICS_INTRO, *head, *rows]) + "\n"


PAGES = MappingProxyType({"settings.md": settings_page, "metrics.md": metrics_page})
"""What is written, and by what."""


def main() -> None:
    """Write both pages beside this file."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except Undocumented as error:
        sys.exit(f"reference: {error}")
