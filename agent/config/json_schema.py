"""The JSON Schema of a settings file, made from the models: with it editors complete keys and mark mistakes.

It is as strict as the models about names, types and choices. What only they can tell (that a file is there, that two
keys fit each other) is left to ``relaycanary check-config``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.resources import files
from typing import Any, get_type_hints

import yaml
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from agent.config import alerts, model
from agent.config.documented import first_words, models_in, words_of
from agent.config.expectations import CheckSettings
from agent.config.pieces import NAME, DecimalText
from checks import registry
from checks.settings import Section

FILE_NAME = "relaycanary.schema.json"
"""What the schema is called beside a settings file."""

_SHIPPED = "settings.schema.json"
_SINGLE: Mapping[str, type[Section]] = {
    "agent": model.Agent,
    "web": model.Web,
    "metrics": model.Metrics,
    "alerts": alerts.Alerts,
    "report": model.Report,
    "sentry": model.Sentry,
}
_REQUIRED = ["agent", "paths", "mailboxes", "checks"]

Schema = dict[str, Any]


class _Generator(GenerateJsonSchema):
    """Leaves out titles, which only repeat names."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        return False


def shipped() -> str:
    """Return the schema of the paths and mailboxes that come with the agent, as it is in the package."""
    return (files("agent.config") / _SHIPPED).read_text(encoding="utf-8")


def written(schema: Schema) -> str:
    """Write a schema as text."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def settings_schema() -> Schema:
    """Make the schema, with every kind of path and mailbox that is installed."""
    plugins = {group: _settings_of(group) for group in (registry.PATHS, registry.MAILBOXES)}
    models: list[type[Section]] = [*_SINGLE.values(), *model.CREDENTIALS.values(), CheckSettings]
    models += [one for kinds in plugins.values() for one in kinds.values()]
    every = list(dict.fromkeys(part for one in models for part in _parts(one)))
    places, made = models_json_schema(
        [(one, "validation") for one in every], ref_template="#/$defs/{model}", schema_generator=_Generator
    )
    defined: Schema = made["$defs"]
    names = {one: places[one, "validation"]["$ref"].rpartition("/")[2] for one in every}
    for one in every:
        _document(one, defined[names[one]])
    for kinds in plugins.values():
        for kind, one in kinds.items():
            of_kind = defined[names[one]]
            of_kind["properties"] = {"kind": {"const": kind}, **of_kind["properties"]}
    sections: Schema = {name: _or_nothing(names[one]) for name, one in _SINGLE.items()}
    sections["credentials"] = _named(_by_kind(model.CREDENTIALS, names))
    sections["paths"] = _named(_by_kind(plugins[registry.PATHS], names))
    sections["mailboxes"] = _named(_by_kind(plugins[registry.MAILBOXES], names))
    sections["checks"] = {**_named(_reference(names[CheckSettings])), "minProperties": 1}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of relaycanary",
        "type": "object",
        "additionalProperties": False,
        "required": _REQUIRED,
        "properties": sections,
        "$defs": defined,
    }


def _settings_of(group: str) -> Mapping[str, type[Section]]:
    return {kind: registry.load(group, kind).Settings for kind in registry.kinds(group)}


def _parts(section: type[Section]) -> Iterator[type[Section]]:
    """Walk through *section* and the models inside it."""
    yield section
    for hint in get_type_hints(section, include_extras=True).values():
        for part in models_in(hint):
            yield from _parts(part)


def _document(section: type[Section], schema: Schema) -> None:
    """Say of each key what it means; of what may be a number or text, allow both."""
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = first_words(schema["description"])
    hints = get_type_hints(section, include_extras=True)
    words = words_of(section)
    for name, of_field in schema.get("properties", {}).items():
        if isinstance(of_field.get("default"), dict | list):
            del of_field["default"]
        if DecimalText in getattr(hints[name], "__metadata__", ()):
            choices = [one for part in of_field.pop("anyOf") for one in part.get("enum", [None])]
            of_field["enum"] = [*choices, *(float(one) for one in choices if one is not None)]
        if "$ref" in of_field:  # what stands beside a reference is passed over
            of_field["allOf"] = [{"$ref": of_field.pop("$ref")}]
        if name in words:
            of_field["description"] = words[name].meaning
            if words[name].example:
                of_field["examples"] = [_example(words[name].example)]


def _example(text: str) -> Any:
    """Read an example as the settings are read: dates are text there."""
    value = yaml.safe_load(text)
    return text if isinstance(value, date) else value


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _or_nothing(name: str) -> Schema:
    """Allow a section with nothing below it."""
    return {"anyOf": [_reference(name), {"type": "null"}]}


def _named(entry: Schema) -> Schema:
    return {"type": "object", "propertyNames": {"pattern": f"^(?:{NAME.pattern})$"}, "additionalProperties": entry}


def _by_kind(kinds: Mapping[str, type[Section]], names: Mapping[type[Section], str]) -> Schema:
    """Choose what is allowed by the value of ``kind``."""
    chosen: Sequence[Schema] = [
        {
            "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
            "then": _reference(names[one]),
        }
        for kind, one in kinds.items()
    ]
    return {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": list(kinds)}}, "allOf": chosen}
